"""Comparing two results: paired, reproducible, and right where the answer is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from df2_landmarks.evaluation.comparison import WeightedAP, compare_scores
from df2_landmarks.evaluation.matching import match
from df2_landmarks.evaluation.score import score
from df2_landmarks.formats.annotations import read_ground_truth
from df2_landmarks.formats.detections import Detections
from df2_landmarks.formats.ground_truth import VISIBLE_AND_OCCLUDED, GroundTruth
from df2_landmarks.formats.results import read_results
from tests.evaluation.cases import make_ground_truth, make_results, pycocotools_score, write_json

RNG = np.random.default_rng(0)
TRUTH = make_ground_truth(RNG, num_images=60, crowd=0, unlabelled=0, occluded_only=0)
RESULTS = make_results(RNG, TRUTH, noise=3)


@pytest.fixture
def case(tmp_path: Path) -> tuple[GroundTruth, Detections]:
    ground_truth = read_ground_truth(write_json(tmp_path / "truth.json", TRUTH))
    return ground_truth, read_results(write_json(tmp_path / "r.json", RESULTS), ground_truth)


def worse(detections: Detections, shift_px: float) -> Detections:
    classes = (replace(d, landmarks_xy=d.landmarks_xy + shift_px) for d in detections.classes)
    return replace(detections, classes=tuple(classes))


def test_a_clear_difference_is_clear_and_equal_results_differ_by_zero(
    case: tuple[GroundTruth, Detections],
) -> None:
    ground_truth, detections = case
    first = score(ground_truth, detections, VISIBLE_AND_OCCLUDED)
    second = score(ground_truth, worse(detections, 12), VISIBLE_AND_OCCLUDED)
    overall = compare_scores(first, second, num_images=60, resamples=100).overall
    assert overall is not None and overall.is_clear
    assert overall.low < overall.difference < overall.high
    assert overall.first == pytest.approx(first.curves.summary()["AP"], abs=1e-12)
    same = compare_scores(first, first, num_images=60, resamples=20).overall
    assert same is not None and (same.low, same.difference, same.high) == (0, 0, 0)


@pytest.mark.parametrize("scale", [None, 2])
def test_drawing_an_image_twice_is_a_copy_of_it(
    case: tuple[GroundTruth, Detections], scale: int | None
) -> None:
    """In a subset, too: of one scale, on the images that show such an item."""
    ground_truth, detections = case
    result = score(ground_truth, detections, VISIBLE_AND_OCCLUDED)
    pairs, matching, images = result.pairs, result.matching, np.ones(60, bool)
    if scale is not None:
        column = np.concatenate([truth.attributes[:, 0] for truth in ground_truth.classes])
        images = np.isin(np.arange(60), pairs.item_images[column == scale])
        matching = match(pairs, column != scale)
        assert 5 < images.sum() < 55
    weights = np.random.default_rng(1).integers(0, 3, 60)
    truth = {**TRUTH, "images": [], "annotations": []}
    results = []
    for copy_number in range(2):
        for image_id in ground_truth.image_ids[images & (weights > copy_number)].tolist():
            new_id = image_id + 1000 * copy_number
            truth["images"].append({"id": new_id})
            for item in TRUTH["annotations"]:
                if item["image_id"] == image_id:
                    new = {**item, "image_id": new_id, "id": len(truth["annotations"]) + 1}
                    if scale not in (None, item["scale"]):
                        new["num_keypoints"] = 0  # what makes pycocotools ignore an item
                    truth["annotations"].append(new)
            records = (r for r in RESULTS if r["image_id"] == image_id)
            results += [{**r, "image_id": new_id} for r in records]
    precision = pycocotools_score(truth, results).eval["precision"][:, :, :, 0, 0]
    expected = [p.mean() if p.max() >= 0 else np.nan for p in np.moveaxis(precision, 2, 0)]
    got = WeightedAP(pairs, matching, images).per_category(weights)
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_the_interval_is_the_same_each_time_and_absent_categories_have_none(
    case: tuple[GroundTruth, Detections],
) -> None:
    ground_truth, detections = case
    first = score(ground_truth, detections, VISIBLE_AND_OCCLUDED)
    second = score(ground_truth, worse(detections, 3), VISIBLE_AND_OCCLUDED)
    comparisons = [compare_scores(first, second, num_images=60, resamples=20) for _ in range(2)]
    assert comparisons[0] == comparisons[1]
    content = comparisons[0].as_dict()
    assert content["per_category"]["trousers"] is None
    skirt = content["per_category"]["skirt"]
    assert set(skirt) == {"first", "second", "difference", "low", "high"}
    assert skirt["difference"] == skirt["first"] - skirt["second"]
