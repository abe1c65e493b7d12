"""df2 check: what is in a COCO file, and code 1 where training would suffer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from df2_landmarks.cli.check import main
from tests.formats.coco_cases import coco, write


def test_a_right_file_is_summarised_with_code_0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(write(tmp_path / "a.json", coco()))]) == 0
    summary, verdict = capsys.readouterr().out.splitlines()
    assert summary.startswith("a.json: 2 images, 4 garments; landmarks: ")
    assert verdict == "ready for training"


def test_every_kind_of_error_is_listed_with_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = coco()
    content["annotations"][0]["bbox"] = [40, 60, 0, 0]
    content["annotations"][1]["bbox"] = [900, 60, 100, 200]
    content["images"][1]["file_name"] = ""
    for annotation in content["annotations"]:
        del annotation["iscrowd"]
    assert main([str(write(tmp_path / "a.json", content))]) == 1
    captured = capsys.readouterr()
    levels = [line.partition(":")[0] for line in captured.out.splitlines()]
    assert levels == ["a.json", "error", "error", "error", "note", "training would suffer"]
    assert captured.err == ""


def test_a_wrong_record_is_one_line_with_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = coco()
    content["annotations"][3]["keypoints"][2] = 0.5
    assert main([str(write(tmp_path / "a.json", content))]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("df2 check: a.json, annotations, record 3: keypoints: v must be")
    assert captured.err.count("\n") == 1


def test_what_is_odd_in_the_taxonomy_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foxes = {"name": "fox", "keypoints": ["left_ear", "right_ear"], "flip_pairs": []}
    image = {"id": 1, "file_name": "1.jpg", "width": 80, "height": 80}
    content = {"images": [image], "annotations": [], "categories": [foxes | {"id": 1}]}
    path = str(write(tmp_path / "foxes.json", content))
    assert main([path, "--taxonomy", path]) == 0
    assert "note: taxonomy foxes: fox: these names differ in" in capsys.readouterr().out


def test_missing_pictures_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "a.json", coco())
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "000005.jpg").touch()
    assert main([str(path), "--images", str(tmp_path / "images")]) == 1
    assert "error: 1 of 2 images (50 %): the picture is not in " in capsys.readouterr().out
    (tmp_path / "images" / "000009.jpg").touch()
    assert main([str(path), "--images", str(tmp_path / "images")]) == 0
    assert main([str(path), "--images", str(tmp_path / "none")]) == 2


def test_json_is_a_report_for_machines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = coco()
    content["annotations"][0]["num_keypoints"] = 1
    assert main([str(write(tmp_path / "a.json", content)), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["images"], report["garments"], report["crowds"]) == (2, 4, 0)
    (finding,) = report["findings"]
    assert (finding["level"], finding["count"], finding["total"]) == ("warning", 1, 4)


def test_a_file_that_is_not_there_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "none.json")]) == 1
    assert capsys.readouterr().err.endswith("none.json: there is no such file\n")
