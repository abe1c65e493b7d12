"""Ids as large as hashes, and the order of items and detections, are those of the file."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from df2_landmarks.common import UserError as DataError
from df2_landmarks.evaluation.score import score
from df2_landmarks.formats.annotations import read_ground_truth
from df2_landmarks.formats.ground_truth import VISIBLE_AND_OCCLUDED
from df2_landmarks.formats.results import read_results
from tests.evaluation.cases import (
    Json,
    make_ground_truth,
    make_results,
    pycocotools_score,
    write_json,
)


def case(seed: int) -> tuple[Json, list[Json]]:
    rng = np.random.default_rng(seed)
    truth = make_ground_truth(rng, num_images=12, unlabelled=0.3)
    return truth, make_results(rng, truth, filled=True)


def assert_scores_equal(folder: Path, truth: Json, results: list[Json]) -> None:
    ground_truth = read_ground_truth(folder / "truth.json")
    detections = read_results(folder / "results.json", ground_truth)
    curves = score(ground_truth, detections, VISIBLE_AND_OCCLUDED).curves
    oracle = pycocotools_score(truth, results)
    np.testing.assert_array_equal(curves.precision, oracle.eval["precision"][..., 0])
    np.testing.assert_array_equal(curves.recall, oracle.eval["recall"][..., 0])


@pytest.mark.parametrize("base", [2**53, 2**62, -(2**63) + 1])
def test_neighbours_among_huge_ids_are_not_mixed_up(tmp_path: Path, base: int) -> None:
    truth, results = case(0)
    for image in truth["images"]:
        image["id"] += base
    for record in [*truth["annotations"], *results]:
        record["image_id"] += base
    for item in truth["annotations"]:
        item["id"] += 2**53
    write_json(tmp_path / "truth.json", truth)
    write_json(tmp_path / "results.json", results)
    assert_scores_equal(tmp_path, truth, results)


def test_items_that_are_equally_similar_keep_their_order_in_any_notation(tmp_path: Path) -> None:
    # Of two equal items a detection takes the later one, and only one of the two is a crowd.
    truth, results = case(1)
    for item in copy.deepcopy(truth["annotations"]):
        crowd = {"iscrowd": 1 - item["iscrowd"], "id": len(truth["annotations"]) + 1}
        truth["annotations"].append({**item, **crowd, "area": item["area"] * (1 + item["id"] % 2)})
    texts = [json.dumps(item) for item in truth["annotations"]]
    texts = [text.replace(" 0.0,", " 0.00,") if i % 2 else text for i, text in enumerate(texts)]
    images = json.dumps(truth["images"])
    annotations = ", ".join(texts)
    (tmp_path / "truth.json").write_text(f'{{"images": {images}, "annotations": [{annotations}]}}')
    write_json(tmp_path / "results.json", results)
    ground_truth = read_ground_truth(tmp_path / "truth.json")
    for found in ground_truth.classes:
        order = np.lexsort((found.ids, found.image_index))
        np.testing.assert_array_equal(order, np.arange(len(found)))
    assert_scores_equal(tmp_path, truth, results)


@pytest.mark.parametrize("field", ["image_id", "category_id"])
@pytest.mark.parametrize("value", [10**30, -(10**400), 2**63])
def test_integers_beyond_64_bits_are_refused_in_a_short_line(
    tmp_path: Path, field: str, value: Any
) -> None:
    truth, results = case(2)
    ground_truth = read_ground_truth(write_json(tmp_path / "truth.json", truth))
    results[3][field] = value
    write_json(tmp_path / "results.json", results)
    with pytest.raises(DataError, match=f"^results.json, record 3: {field}: ") as caught:
        read_results(tmp_path / "results.json", ground_truth)
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize("field", ["id", "image_id", "category_id", "num_keypoints", "iscrowd"])
def test_ground_truth_beyond_64_bits_is_refused_in_a_short_line(tmp_path: Path, field: str) -> None:
    truth, _ = case(3)
    truth["annotations"][3][field] = 10**400
    write_json(tmp_path / "truth.json", truth)
    with pytest.raises(DataError, match=f"^truth.json, annotations, record 3: {field}: ") as caught:
        read_ground_truth(tmp_path / "truth.json")
    assert len(str(caught.value)) < 100
