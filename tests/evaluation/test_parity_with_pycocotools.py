"""The score equals pycocotools' keypoint evaluator with the 294 sigmas, to the last bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from df2_landmarks.evaluation.average_precision import Curves
from df2_landmarks.evaluation.score import score
from df2_landmarks.formats.annotations import read_ground_truth
from df2_landmarks.formats.ground_truth import VISIBLE, VISIBLE_AND_OCCLUDED
from df2_landmarks.formats.results import read_results
from df2_landmarks.taxonomy import DEEPFASHION2
from tests.evaluation.cases import (
    Json,
    make_ground_truth,
    make_results,
    pycocotools_score,
    visible_only,
    write_json,
)


def assert_equal(folder: Path, truth: Json, results: list[Json]) -> None:
    """Both protocols give pycocotools' arrays and its ten numbers."""
    ground_truth = read_ground_truth(write_json(folder / "truth.json", truth))
    detections = read_results(write_json(folder / "results.json", results), ground_truth)
    for protocol, seen in ((VISIBLE_AND_OCCLUDED, truth), (VISIBLE, visible_only(truth))):
        curves = score(ground_truth, detections, protocol).curves
        _assert_curves_equal(curves, pycocotools_score(seen, results))


def _assert_curves_equal(curves: Curves, oracle: object) -> None:
    for name in ("precision", "recall", "scores"):
        expected = oracle.eval[name][..., 0]  # type: ignore[attr-defined]
        np.testing.assert_array_equal(getattr(curves, name), expected, err_msg=name)
    summary = [-1 if value is None else value for value in curves.summary().values()]
    np.testing.assert_array_equal(summary, oracle.stats)  # type: ignore[attr-defined]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 2**32 - 1),
    max_items=st.sampled_from([1, 2, 5, 12]),
    per_item=st.sampled_from([1, 3, 12]),
    crowd=st.sampled_from([0, 0.3]),
    unlabelled=st.sampled_from([0, 0.4]),
    occluded_only=st.sampled_from([0, 0.4]),
    filled=st.booleans(),
    bbox=st.booleans(),
    ties=st.booleans(),
)
def test_any_results_score_as_in_pycocotools(
    tmp_path: Path,
    seed: int,
    max_items: int,
    per_item: int,
    crowd: float,
    unlabelled: float,
    occluded_only: float,
    filled: bool,
    bbox: bool,
    ties: bool,
) -> None:
    rng = np.random.default_rng(seed)
    truth = make_ground_truth(
        rng,
        num_images=8,
        max_items=max_items,
        crowd=crowd,
        unlabelled=unlabelled,
        occluded_only=occluded_only,
    )
    results = make_results(rng, truth, per_item=per_item, filled=filled, bbox=bbox, ties=ties)
    if results:
        assert_equal(tmp_path, truth, results)


def test_more_than_20_detections_of_an_image_and_category(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    truth = make_ground_truth(rng, num_images=3, max_items=4, classes=(8,))
    results = make_results(rng, truth, per_item=60, ties=True)
    assert max(np.unique([r["image_id"] for r in results], return_counts=True)[1]) > 40
    assert_equal(tmp_path, truth, results)


def test_oks_exactly_at_a_threshold(tmp_path: Path) -> None:
    # Skirt: 8 landmarks, some exact and the others far away: OKS is n / 8, among them .5 and .75.
    rng = np.random.default_rng(2)
    truth = make_ground_truth(rng, num_images=6, classes=(8,), unlabelled=0, occluded_only=0)
    for item in truth["annotations"]:
        slots = np.asarray(item["keypoints"]).reshape(-1, 3)
        slots[DEEPFASHION2.slots(8), 2] = 2
        item["keypoints"], item["num_keypoints"] = slots.ravel().tolist(), 8
    results = make_results(rng, truth, per_item=5, noise=0)
    for number, record in enumerate(results):
        slots = np.asarray(record["keypoints"]).reshape(-1, 3)
        slots[DEEPFASHION2.offsets[8] : DEEPFASHION2.offsets[8] + number % 9, :2] += 1e6
        record["keypoints"] = slots.ravel().tolist()
    assert_equal(tmp_path, truth, results)


def test_num_keypoints_of_the_file_decides_what_is_ignored(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    truth = make_ground_truth(rng, num_images=6)
    for item in truth["annotations"][::2]:
        item["num_keypoints"] = 0 if item["num_keypoints"] else 5
    results = make_results(rng, truth)
    ground_truth = read_ground_truth(write_json(tmp_path / "truth.json", truth))
    detections = read_results(write_json(tmp_path / "results.json", results), ground_truth)
    curves = score(ground_truth, detections, VISIBLE_AND_OCCLUDED).curves
    _assert_curves_equal(curves, pycocotools_score(truth, results))


def test_masks_give_the_areas_where_the_first_record_has_one(tmp_path: Path) -> None:
    mask = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(4)
    truth = make_ground_truth(rng, num_images=10)
    results = make_results(rng, truth)
    for record in results:
        side = int(rng.integers(1, 200))
        pixels = np.zeros((200, 200), dtype=np.uint8, order="F")
        pixels[:side, :side] = 1
        encoded = mask.encode(pixels)
        record["segmentation"] = {"size": encoded["size"], "counts": encoded["counts"].decode()}
    assert_equal(tmp_path, truth, results)
