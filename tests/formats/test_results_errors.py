"""A wrong file is refused in one line that names record, field, expected and got."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from df2_landmarks.common import UserError as DataError
from df2_landmarks.formats.annotations import read_ground_truth
from df2_landmarks.formats.results import read_results
from tests.evaluation.cases import make_ground_truth, make_results, write_json

RNG = np.random.default_rng(0)
TRUTH = make_ground_truth(RNG, num_images=10)
RESULTS = make_results(RNG, TRUTH)


def read(tmp_path: Path, results: Any) -> None:
    text = results if isinstance(results, str) else json.dumps(results)
    (tmp_path / "results.json").write_text(text)
    truth = read_ground_truth(write_json(tmp_path / "truth.json", TRUTH))
    read_results(tmp_path / "results.json", truth)


def put(field: str, value: Any, index: int | None = None) -> list[Any]:
    results = copy.deepcopy(RESULTS)
    if index is None:
        results[3][field] = value
    else:
        results[3][field][index] = value
    return results


@pytest.mark.parametrize(
    ("results", "message"),
    [
        (
            put("keypoints", [0] * 879),
            "record 3: keypoints: needs 294 landmarks = 882 numbers, got 879",
        ),
        (put("keypoints", []), "record 3: keypoints: needs 294 landmarks = 882 numbers, got 0"),
        (put("keypoints", "0,0"), 'record 3: keypoints: must be a list of numbers, but got "0,0"'),
        (
            put("keypoints", "7", 5),
            r'record 3: keypoints\[5\]: must be a finite number, but got "7"',
        ),
        (
            put("keypoints", None, 5),
            r"record 3: keypoints\[5\]: must be a finite number, but got null",
        ),
        (put("keypoints", float("nan"), 5), "record 3: numbers must be finite, but got NaN"),
        (put("score", float("inf")), "record 3: numbers must be finite, but got Infinity"),
        (put("score", "high"), "record 3: score: Expected `float`, got `str`"),
        (put("category_id", 14), r"record 3: category_id: must be 1..13, but got 14"),
        (put("category_id", 0), r"record 3: category_id: must be 1..13, but got 0"),
        (put("image_id", 999), "record 3: image_id: 999 is not an image of the ground truth"),
        (put("image_id", "7"), "record 3: image_id: Expected `int`, got `str`"),
        (
            put("landmark_scores", [0.5]),
            r"record 3: landmark_scores: needs a number for each of the \d+ landmarks .* got 1",
        ),
        (
            put("landmark_visible", []),
            r"record 3: landmark_visible: needs a number for each of the \d+ landmarks .* got 0",
        ),
        (
            put("landmark_visible", [0.5, -0.1]),
            r"record 3: landmark_visible\[1\]: Expected `float` >= 0",
        ),
        (
            put("landmark_scores", [1.001]),
            r"record 3: landmark_scores\[0\]: Expected `float` <= 1",
        ),
        (put("landmark_scores", 0.5), "record 3: landmark_scores: Expected `array | null`"),
        ([{"image_id": 1}], "record 0: Object missing required field `category_id`"),
        ({"annotations": []}, "expected a JSON list of records, got '{"),
        ([1, 2], "expected a record like {...}, got '1, 2]'"),
        ("", "expected a JSON list of records, got the end of the file"),
        (json.dumps(RESULTS)[:-5], "the file ends in the middle of a record"),
        (json.dumps(RESULTS) + "x", "expected the end of the file, got 'x'"),
        (json.dumps(RESULTS).replace("}, {", "} {", 1), "not valid JSON|expected ',' or"),
    ],
)
def test_wrong_results_are_named(tmp_path: Path, results: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, results)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("results.json")


def test_objects_and_strings_within_records_are_not_counted_as_records(tmp_path: Path) -> None:
    results = put("score", float("nan"))
    results[1]["more"] = [{}, {"a": '}, {\\" },{'}, {}]
    with pytest.raises(DataError, match="record 3: numbers must be finite, but got NaN"):
        read(tmp_path, results)


@pytest.mark.parametrize("number", [float("nan"), float("-inf")])
def test_a_number_that_ends_its_line_does_not_break_the_message(
    tmp_path: Path, number: float
) -> None:
    for results in (put("score", number), put("keypoints", number, 881)):
        with pytest.raises(DataError) as caught:
            read(tmp_path, json.dumps(results, indent=1))
        start, word = str(caught.value).rsplit(" ", 1)
        assert start == "results.json, record 3: numbers must be finite, but got"
        assert json.dumps(number).endswith(word)  # the sign may be cut off


def test_a_record_that_is_nested_too_deeply_is_refused_in_one_line(tmp_path: Path) -> None:
    depth = 1_000_000  # Python 3.14 goes as deep as the stack does, about 100,000 for each MB
    nested = "[" * depth + "]" * depth
    text = json.dumps(put("more", 0)).replace('"more": 0', f'"more": {nested}')
    message = r"^results\.json, record \d+ or a later one: not valid JSON \(.*(recursion|overflow)"
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_an_empty_list_of_results_is_valid(tmp_path: Path) -> None:
    read(tmp_path, [])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"category_id": 99}, "annotations, record 2: category_id: must be 1..13, but got 99"),
        ({"keypoints": [0] * 75}, "annotations, record 2: keypoints: needs 294 landmarks = 882"),
        ({"keypoints": [3] * 882}, "record 2: keypoints: v must be 0, 1 or 2, but got 3"),
        ({"keypoints": [2] * 882}, "record 2: keypoints: a slot of another category has v > 0"),
        ({"id": 0}, "annotation ids must be 1 or more, but one is 0"),
        ({"id": 1}, "annotation ids must be unique, but 1 occurs 2 times"),
        ({"image_id": 999}, "annotation 3 is of image 999, which is not in the list 'images'"),
        ({"bbox": [1, 2, 3]}, "record 2: bbox: Expected `array` of length 4"),
    ],
)
def test_wrong_ground_truth_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    truth = copy.deepcopy(TRUTH)
    truth["annotations"][2].update(change)
    with pytest.raises(DataError, match=message):
        read_ground_truth(write_json(tmp_path / "truth.json", truth))


def test_ground_truth_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must have a list 'images' with at least one image"):
        read_ground_truth(write_json(tmp_path / "truth.json", {"info": {"a": [1, {}]}}))
