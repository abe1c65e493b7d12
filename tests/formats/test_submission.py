"""Submissions: packed as the page asks, checked in one line, hostile ones refused cheaply."""

from __future__ import annotations

import copy
import json
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from df2_landmarks.cli import submission
from df2_landmarks.common import UserError as DataError
from df2_landmarks.formats.submission import check_submission
from tests.evaluation.cases import (
    make_ground_truth,
    make_results,
    pycocotools_score,
    write_json,
)

RNG = np.random.default_rng(0)
TRUTH = make_ground_truth(RNG, num_images=12, unlabelled=0, occluded_only=0)
RESULTS = make_results(RNG, TRUTH, per_item=40)
IDS = np.asarray([image["id"] for image in TRUTH["images"]])
VAL = "val_keypoints.json"


@pytest.fixture
def tool() -> ModuleType:
    return submission


def make_zip(path: Path, *members: tuple[str, Any]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            archive.writestr(name, data)
    return path


def changed(**fields: Any) -> list[Any]:
    results = copy.deepcopy(RESULTS)
    results[5].update(fields)
    return results


def test_pack_check_and_score_agree_with_pycocotools(
    tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = str(write_json(tmp_path / "truth.json", TRUTH))
    results = str(write_json(tmp_path / "results.json", RESULTS))
    packed = str(tmp_path / "mine.zip")
    assert tool.main(["pack", "--results", results, "--gt", truth, "--output", packed]) == 0
    assert tool.main(["check", packed, "--gt", truth]) == 0
    assert tool.main(["score", packed, "--gt", truth]) == 0
    with zipfile.ZipFile(packed) as archive:
        assert archive.namelist() == [VAL]
        records = json.loads(archive.read(VAL))
    cells = [(record["image_id"], record["category_id"]) for record in records]
    assert max(cells.count(cell) for cell in set(cells)) == 20
    before, after = pycocotools_score(TRUTH, RESULTS), pycocotools_score(TRUTH, records)
    np.testing.assert_allclose(after.stats, before.stats, atol=2e-4)  # two decimals
    assert f"{after.stats[0]:.3f}" in capsys.readouterr().out


def test_the_same_results_give_the_same_bytes(tool: ModuleType, tmp_path: Path) -> None:
    truth = str(write_json(tmp_path / "truth.json", TRUTH))
    results = str(write_json(tmp_path / "results.json", RESULTS))
    for name in ("a.zip", "b.zip"):
        output = str(tmp_path / name)
        assert tool.main(["pack", "--results", results, "--gt", truth, "--output", output]) == 0
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_test_split_is_packed_under_its_name(tool: ModuleType, tmp_path: Path) -> None:
    truth = str(write_json(tmp_path / "truth.json", {"images": TRUTH["images"]}))
    results = str(write_json(tmp_path / "results.json", RESULTS))
    output = str(tmp_path / "t.zip")
    assert tool.main(["pack", "--results", results, "--gt", truth, "--output", output]) == 0
    with zipfile.ZipFile(output) as archive:
        assert archive.namelist() == ["test_keypoints.json"]


def test_pack_leaves_nothing_half_written(
    tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = str(write_json(tmp_path / "truth.json", TRUTH))
    results = str(write_json(tmp_path / "results.json", changed(category_id=14)))
    output = tmp_path / "t.zip"
    assert tool.main(["pack", "--results", results, "--gt", truth, "--output", str(output)]) == 1
    assert capsys.readouterr().err == (
        "df2 submission: results.json, record 5: category_id: must be 1..13, but got 14\n"
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["results.json", "truth.json"]


def foreign(number: Any) -> list[Any]:
    """A number in a slot of another category, the last or the first one."""
    keypoints = list(RESULTS[5]["keypoints"])
    keypoints[-2 if RESULTS[5]["category_id"] < 13 else 0] = number
    return changed(keypoints=keypoints)


NAN = json.dumps(changed(score=float("nan"))).encode()
TEXT = json.dumps(changed(keypoints=["1"] * 882)).encode()


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([(VAL, RESULTS), ("extra.txt", b"")], "must hold exactly one file, but holds 2"),
        ([], "must hold exactly one file, but holds 0"),
        ([(f"../{VAL}", RESULTS)], r"must hold val_keypoints.json or .*, but holds '\.\./val"),
        ([(f"folder/{VAL}", RESULTS)], "without a folder, but holds 'folder/val_keypoints.json'"),
        ([(VAL, {"a": 1})], "expected a JSON list of records"),
        ([(VAL, b"\x00\xff" * 100)], "expected a JSON list of records"),
        ([(VAL, b"[" * 100_000)], r"expected a record like \{...\}, got '\[\[\["),
        ([(VAL, b'[{"a":' * 100_000)], "ends in the middle of a record"),
        ([(VAL, NAN)], "record 5: numbers must be finite, but got NaN"),
        ([(VAL, TEXT)], r'record 5: keypoints\[0\]: must be a finite number, but got "1"'),
        ([(VAL, changed(keypoints=[1] * 881))], "record 5: .* needs 294 .* = 882 numbers, got 881"),
        ([(VAL, changed(keypoints=[0] * 882))], "record 5: keypoints: v must be 1 in .* has 0"),
        ([(VAL, changed(keypoints=[1e400] * 882))], "record 5: numbers must be finite"),
        (
            [(VAL, foreign(10**400))],
            r"record 5: keypoints\[\d+\]: must be a finite number, but got 1",
        ),
        ([(VAL, changed(image_id=10**9))], "record 5: image_id: must be an image of the split"),
        ([(VAL, changed(image_id=10**30))], "record 5: image_id"),
        ([(VAL, changed(category_id=0))], "record 5: category_id: must be 1..13, but got 0"),
        ([(VAL, changed(score="0.5"))], "record 5: score: Expected `float`, got `str`"),
        ([(VAL, changed(score=None))], "record 5: score: Expected `float`, got `null`"),
    ],
)
def test_hostile_submissions_are_refused_in_one_line(
    tmp_path: Path, members: list[tuple[str, Any]], message: str
) -> None:
    packed = make_zip(tmp_path / "s.zip", *members)
    with pytest.raises(DataError, match=message) as caught:
        check_submission(packed, image_ids=IDS)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_what_is_no_zip_is_refused(tool: ModuleType, tmp_path: Path) -> None:
    for content in (b"", b"PK\x03\x04 and no more", b"[]"):
        (tmp_path / "s.zip").write_bytes(content)
        assert tool.main(["check", str(tmp_path / "s.zip")]) == 1


def test_a_damaged_zip_is_refused(tool: ModuleType, tmp_path: Path) -> None:
    packed = make_zip(tmp_path / "s.zip", (VAL, RESULTS))
    data = bytearray(packed.read_bytes())
    data[len(data) // 2] ^= 0xFF
    packed.write_bytes(data)
    assert tool.main(["check", str(packed)]) == 1


def test_the_other_split_is_refused(tmp_path: Path) -> None:
    packed = make_zip(tmp_path / "s.zip", (VAL, RESULTS))
    with pytest.raises(DataError, match=r"must hold test_keypoints\.json without a folder"):
        check_submission(packed, split="test")


PADDED = (
    '{"image_id": 1, "category_id": 7, "score": 1, "keypoints": ['
    f"{' ' * (1 << 20)}1{',1' * 881}]}},"
)
BOMBS = {  # beginning, and what is repeated until it is a megabyte
    "bomb": ("[", "  "),
    "lying bomb": ("[", "  "),
    "spaces": ("[", "  "),
    "one record": ('[{"keypoints": [', "0,"),
    "braces": ('[{"a": [', "{{"),
    "escapes": ('[{"a": "', r"\\"),
    "padded numbers": ("[", PADDED),
}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak from /proc")
@pytest.mark.parametrize("kind", BOMBS)
def test_bombs_are_refused_in_bounded_memory(tmp_path: Path, kind: str) -> None:
    noise = np.random.default_rng(0).bytes(5 << 20) if kind != "bomb" else b""
    beginning, repeated = (text.encode() for text in BOMBS[kind])
    with (
        zipfile.ZipFile(tmp_path / "s.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(VAL, "w") as stream,
    ):
        stream.write(beginning)
        for _ in range(160):  # MB
            stream.write(repeated * max(1, (1 << 20) // len(repeated)))
        stream.write(noise.replace(b"}", b"x"))  # so that the ratio alone looks innocent
    if kind == "lying bomb":
        data = (tmp_path / "s.zip").read_bytes()
        place = data.rindex(b"PK\x01\x02") + 24  # the uncompressed size in the directory
        (tmp_path / "s.zip").write_bytes(data[:place] + struct.pack("<I", 1000) + data[place + 4 :])
    program = (
        "from df2_landmarks.cli import submission; "
        f"code = submission.main(['check', {str(tmp_path / 's.zip')!r}]);"
        "status = open('/proc/self/status').read();"
        "print(code, status.partition('VmHWM:')[2].split()[0])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    code, peak_kb = map(int, ended.stdout.split())
    assert code == 1
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert peak_kb < 120 * 1024
