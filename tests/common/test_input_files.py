"""Files that are damaged, odd or no files at all are refused in one line."""

from __future__ import annotations

import gzip
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from df2_landmarks.common import UserError as DataError
from df2_landmarks.formats.annotations import read_ground_truth
from df2_landmarks.formats.results import read_results
from df2_landmarks.formats.submission import check_submission
from tests.evaluation.cases import make_ground_truth, make_results, write_json

RNG = np.random.default_rng(0)
TRUTH = make_ground_truth(RNG, num_images=3)
RESULTS = make_results(RNG, TRUTH)
MEMBER = "val_keypoints.json"


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    with zipfile.ZipFile(tmp_path / "s.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MEMBER, json.dumps(RESULTS))
    return tmp_path / "s.zip"


def damaged(whole: bytes) -> list[bytes]:
    """Cut off anywhere, and with one byte changed: each of the headers, some of the data."""
    places = [*range(60), *range(60, len(whole) - 100, 37), *range(len(whole) - 100, len(whole))]
    cut = [whole[:end] for end in places[1:]]
    return cut + [whole[:i] + bytes([whole[i] ^ 0x55]) + whole[i + 1 :] for i in places]


def test_a_gzip_bomb_is_not_read_to_its_end(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.json.gz"
    with gzip.open(bomb, "wb") as file:
        for _ in range(300):
            file.write(b" " * (1 << 20))
    with pytest.raises(DataError, match=r"bomb\.json\.gz: looks like a gzip bomb: over 76"):
        read_results(bomb)


def test_a_zip_with_junk_before_it_gets_one_verdict(packed: Path) -> None:
    truth = read_ground_truth(write_json(packed.parent / "truth.json", TRUTH))
    packed.write_bytes(b"junk" + packed.read_bytes())
    with pytest.raises(DataError, match="must be a zip from its first byte on"):
        check_submission(packed)
    with pytest.raises(DataError):
        read_results(packed, truth)


@pytest.mark.parametrize("form", ["zip", "gzip"])
def test_a_damaged_file_is_refused_in_one_line(packed: Path, form: str) -> None:
    truth = read_ground_truth(write_json(packed.parent / "truth.json", TRUTH))
    readers = [lambda: read_results(packed, truth)]
    if form == "zip":
        readers.append(lambda: check_submission(packed))
    else:
        packed.write_bytes(gzip.compress(json.dumps(RESULTS).encode()))
    num_refused = 0
    for content in damaged(packed.read_bytes()):
        packed.write_bytes(content)
        for read in readers:
            try:
                read()  # what is damaged may be of no importance, such as a date
            except DataError as error:
                message = str(error)
                assert message.startswith("s.zip") and "\n" not in message and len(message) < 200
                num_refused += 1
    assert num_refused > 150 * len(readers)


def test_a_member_name_cannot_break_the_line(tmp_path: Path) -> None:
    truth = read_ground_truth(write_json(tmp_path / "truth.json", TRUTH))
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        archive.writestr("a\n\x1b[31m" + 200 * "b", "{}")
    with pytest.raises(DataError) as caught:
        read_results(tmp_path / "s.zip", truth)
    assert str(caught.value).startswith(r"s.zip:a\n\x1b[31mbb") and len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("kind", "message"),
    [("folder", "must be a file, but is a folder"), ("pipe", "must be a regular file; write ")],
)
def test_what_is_no_regular_file_is_named(tmp_path: Path, kind: str, message: str) -> None:
    path = tmp_path / "given"
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    for read in (check_submission, read_ground_truth):
        with pytest.raises(DataError, match=f"{path}: {message}"):
            read(path)
