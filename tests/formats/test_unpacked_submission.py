"""A submission that a server has unpacked, and submissions of another taxonomy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from df2_landmarks.common import UserError
from df2_landmarks.formats import (
    MEMBERS,
    check_submission,
    check_unpacked_submission,
    read_results,
    submission,
    write_submission,
)
from df2_landmarks.taxonomy import taxonomy_from_rows

FOXES = taxonomy_from_rows(
    [
        {"id": 1, "name": "fox", "keypoints": ["ear_left", "ear_right", "nose"]},
        {"id": 2, "name": "owl", "keypoints": ["eye_left", "eye_right"]},
    ],
    name="foxes",
    where="test",
)
IDS = np.array([1, 2])
OWN = [10, 20, 1, 30, 20, 1, 20, 40, 1]
FOX: dict[str, Any] = {"image_id": 1, "category_id": 1, "score": 0.5, "keypoints": OWN}
ALL_SLOTS = {**FOX, "keypoints": [*OWN, *([0] * 6)]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "res").mkdir()
    return tmp_path / "res"


def put(folder: Path, *records: dict[str, Any]) -> None:
    (folder / MEMBERS["val"]).write_text(json.dumps(records))


def check(folder: Path, **options: Any) -> Any:
    return check_unpacked_submission(folder, split="val", image_ids=IDS, taxonomy=FOXES, **options)


@pytest.mark.parametrize("record", [FOX, ALL_SLOTS, {**FOX, "keypoints": [v + 1 for v in OWN]}])
def test_another_taxonomy_takes_own_landmarks_or_all_and_any_v(
    folder: Path, record: dict[str, Any]
) -> None:
    put(folder, record, record)
    facts = check(folder)
    assert (facts.num_records, facts.num_images, facts.num_beyond) == (2, 1, 0)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({**FOX, "keypoints": OWN[:-1]}, "record 0: keypoints: needs 5 landmarks = 15 numbers"),
        ({**FOX, "category_id": 3}, r"record 0: category_id: must be 1\.\.2, but got 3"),
        ({**FOX, "image_id": 3}, "record 0: image_id: must be an image of the split, but got 3"),
    ],
)
def test_a_wrong_record_of_another_taxonomy_is_named(
    folder: Path, record: dict[str, Any], message: str
) -> None:
    put(folder, record)
    with pytest.raises(UserError, match=message):
        check(folder)


def test_ids_are_those_of_the_ground_truth(folder: Path) -> None:
    put(folder, {**FOX, "category_id": 30})
    assert check(folder, class_of_id={30: 0, 11: 1}).num_records == 1
    with pytest.raises(UserError, match="category_id: must be one of 30, 11, but got 1"):
        put(folder, FOX)
        check(folder, class_of_id={30: 0, 11: 1})


def test_a_zip_of_another_taxonomy_is_written_and_read_back(tmp_path: Path, folder: Path) -> None:
    put(folder, FOX)
    detections = read_results(folder / MEMBERS["val"], taxonomy=FOXES)
    write_submission(tmp_path / "s.zip", detections, split="test", class_of_id={30: 0, 11: 1})
    facts = check_submission(
        tmp_path / "s.zip",
        split="test",
        image_ids=IDS,
        taxonomy=FOXES,
        class_of_id={30: 0, 11: 1},
    )
    assert (facts.member, facts.num_records) == (MEMBERS["test"], 1)


def test_what_is_not_a_file_is_refused(folder: Path) -> None:
    (folder / MEMBERS["val"]).mkdir()
    with pytest.raises(UserError, match="must be a plain file, but is a link or a folder"):
        check(folder)


def test_a_file_that_is_too_large_is_not_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, FOX)
    monkeypatch.setattr(submission, "MAX_UNPACKED_BYTES", 10)
    with pytest.raises(UserError, match="must have at most 10 bytes"):
        check(folder)
