"""What is written is what is read again; detections need no ground truth for it."""

from __future__ import annotations

import json
import zipfile
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from df2_landmarks.common import UserError
from df2_landmarks.evaluation import score
from df2_landmarks.formats import (
    VISIBLE_AND_OCCLUDED,
    Detections,
    check_submission,
    read_boxes_and_masks,
    read_ground_truth,
    read_results,
    write_results_file,
    write_submission,
)
from df2_landmarks.taxonomy import DEEPFASHION2
from tests.evaluation.cases import Json, make_ground_truth, make_results, write_json

RNG = np.random.default_rng(0)
TRUTH = make_ground_truth(RNG, num_images=12, unlabelled=0.3)


def rounded_results(**changes: Any) -> list[Json]:
    results = make_results(np.random.default_rng(1), TRUTH, **changes)
    for record in results:
        record["keypoints"] = np.round(record["keypoints"], 2).tolist()
    return results


def assert_equal(got: Detections, expected: Detections) -> None:
    np.testing.assert_array_equal(got.image_ids, expected.image_ids)
    for got_class, expected_class in zip(got.classes, expected.classes, strict=True):
        for field in fields(got_class):
            np.testing.assert_array_equal(
                getattr(got_class, field.name), getattr(expected_class, field.name)
            )


def test_results_written_and_read_without_a_ground_truth_are_equal(tmp_path: Path) -> None:
    results = rounded_results(per_item=5)
    for record in results:
        count = DEEPFASHION2.counts[record["category_id"] - 1]
        record["box_xywh"] = [1.25, 2.5, 30, 40.75]
        record["landmark_scores"] = np.linspace(0, 1, count).round(3).tolist()
        record["landmark_visible"] = [0.001] * count
    detections = read_results(write_json(tmp_path / "a.json", results))
    assert detections.image_ids.tolist() == sorted({record["image_id"] for record in results})
    assert len(detections) == len(results) > 40
    assert detections.has_boxes
    assert write_results_file(tmp_path / "b.json", detections, with_extras=True) == len(results)
    written = json.loads((tmp_path / "b.json").read_text())
    for record, expected in zip(written, results, strict=True):
        assert record == expected
    assert_equal(read_results(tmp_path / "b.json"), detections)


def test_results_with_own_landmarks_only_are_read_as_those_with_all_slots(tmp_path: Path) -> None:
    detections = read_results(write_json(tmp_path / "a.json", rounded_results(per_item=5)))
    write_results_file(tmp_path / "b.json", detections, own_landmarks=True)
    for record in json.loads((tmp_path / "b.json").read_text()):
        assert len(record["keypoints"]) == 3 * DEEPFASHION2.counts[record["category_id"] - 1]
    assert_equal(read_results(tmp_path / "b.json"), detections)


def test_a_submission_needs_all_slots(tmp_path: Path) -> None:
    detections = read_results(write_json(tmp_path / "a.json", rounded_results(per_item=5)))
    write_results_file(tmp_path / "b.json", detections, own_landmarks=True)
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        archive.write(tmp_path / "b.json", "val_keypoints.json")
    with pytest.raises(UserError, match="record 0: keypoints: a submission needs all 294"):
        check_submission(tmp_path / "s.zip")


def test_a_submission_is_made_and_read_without_a_ground_truth(tmp_path: Path) -> None:
    results = rounded_results(per_item=60)
    detections = read_results(write_json(tmp_path / "a.json", results))
    for record in results:
        record["landmark_scores"] = [0.5] * DEEPFASHION2.counts[record["category_id"] - 1]
    with_more = read_results(write_json(tmp_path / "more.json", results))
    write_submission(tmp_path / "more.zip", with_more, split="val")
    num_written = write_submission(tmp_path / "s.zip", detections, split="val")
    assert (tmp_path / "s.zip").read_bytes() == (tmp_path / "more.zip").read_bytes()
    assert num_written < len(results)  # at most 20 of an image and category
    submitted = read_results(tmp_path / "s.zip")
    assert len(submitted) == num_written
    best = [some.ranked() for some in detections.classes]
    for got, expected in zip(submitted.classes, best, strict=True):
        np.testing.assert_array_equal(got.ranked().landmarks_xy, expected.landmarks_xy)
    with zipfile.ZipFile(tmp_path / "s.zip") as archive:
        assert archive.namelist() == ["val_keypoints.json"]


def test_nothing_is_written_and_read_again(tmp_path: Path) -> None:
    nothing = read_results(write_json(tmp_path / "a.json", []))
    assert len(nothing) == len(nothing.image_ids) == 0
    assert write_results_file(tmp_path / "b.json", nothing) == 0
    assert json.loads((tmp_path / "b.json").read_text()) == []
    assert_equal(read_results(tmp_path / "b.json"), nothing)


@pytest.mark.parametrize("filled", [False, True])
@pytest.mark.parametrize("bbox", [False, True])
def test_the_score_is_the_same_whether_results_were_read_with_the_ground_truth(
    tmp_path: Path, filled: bool, bbox: bool
) -> None:
    ground_truth = read_ground_truth(write_json(tmp_path / "truth.json", TRUTH))
    path = write_json(tmp_path / "a.json", rounded_results(filled=filled, bbox=bbox))
    with_truth, alone = read_results(path, ground_truth), read_results(path)
    np.testing.assert_array_equal(with_truth.image_ids, ground_truth.image_ids)
    curves = [score(ground_truth, d, VISIBLE_AND_OCCLUDED).curves for d in (with_truth, alone)]
    np.testing.assert_array_equal(curves[0].precision, curves[1].precision)
    np.testing.assert_array_equal(curves[0].scores, curves[1].scores)
    num_kept = sum(len(some.full_xy) for some in with_truth.classes)
    assert num_kept < sum(len(some.full_xy) for some in alone.classes) or not filled


def test_detections_of_another_split_are_refused_when_they_are_scored(tmp_path: Path) -> None:
    ground_truth = read_ground_truth(write_json(tmp_path / "truth.json", TRUTH))
    results = rounded_results()
    results[7]["image_id"] = 999
    results[9]["image_id"] = 998
    detections = read_results(write_json(tmp_path / "a.json", results))
    message = r"^a\.json, record 7: image_id: 999 is not an image of the ground truth \(12 images"
    with pytest.raises(UserError, match=message):
        score(ground_truth, detections, VISIBLE_AND_OCCLUDED)
    with pytest.raises(UserError, match=message):
        read_results(tmp_path / "a.json", ground_truth)


def test_an_image_without_detections_may_be_unknown_to_the_ground_truth(tmp_path: Path) -> None:
    ground_truth = read_ground_truth(write_json(tmp_path / "truth.json", TRUTH))
    detections = read_results(write_json(tmp_path / "a.json", rounded_results()))
    more = replace(detections, image_ids=np.append(detections.image_ids, 10**6))
    assert_equal(
        more.of_images(ground_truth.image_ids), read_results(tmp_path / "a.json", ground_truth)
    )


def test_pycocotools_gets_boxes_and_masks_without_keypoints(tmp_path: Path) -> None:
    coco_module: Any = pytest.importorskip("pycocotools.coco")
    content = read_boxes_and_masks(write_json(tmp_path / "truth.json", TRUTH))
    assert not any("keypoints" in annotation for annotation in content["annotations"])
    coco = coco_module.COCO()
    coco.dataset = content
    coco.createIndex()
    assert sorted(coco.getImgIds()) == sorted(image["id"] for image in TRUTH["images"])
    assert coco.getCatIds() == list(range(1, 14))
    for expected in TRUTH["annotations"]:
        annotation = coco.anns[expected["id"]]
        for key in ("image_id", "category_id", "area", "iscrowd", "segmentation"):
            assert annotation[key] == expected[key]
        assert list(annotation["bbox"]) == expected["bbox"]
    results = [{**r, "bbox": [0, 0, 5, 5]} for r in make_results(RNG, TRUTH)]
    assert len(coco.loadRes(results).anns) == len(results)
