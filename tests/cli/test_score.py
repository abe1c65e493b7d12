"""df2 score: the tables and the JSON, one clear line for what is wrong, no torch."""

from __future__ import annotations

import gzip
import importlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.evaluation.cases import (
    make_ground_truth,
    make_results,
    pycocotools_score,
    visible_only,
    write_json,
)

PROJECT = Path(__file__).resolve().parents[2] / "projects" / "df2_landmarks"
RNG = np.random.default_rng(0)
TRUTH = make_ground_truth(RNG, num_images=30)
RESULTS = make_results(RNG, TRUTH)


def load_tool(name: str) -> ModuleType:
    return importlib.import_module(f"df2_landmarks.cli.{name}")


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    truth = write_json(tmp_path / "truth.json", TRUTH)
    results = write_json(tmp_path / "results.json", RESULTS)
    return ["--gt", str(truth), "--results", str(results)]


def test_json_holds_pycocotools_numbers_as_fractions(paths: list[str], tmp_path: Path) -> None:
    out = tmp_path / "scores.json"
    by = "category,scale,occlusion,zoom_in,viewpoint,source"
    assert load_tool("score").main([*paths, "--json", str(out), "--by", by]) == 0
    content = json.loads(out.read_text())
    for protocol, truth in (("visible_and_occluded", TRUTH), ("visible", visible_only(TRUTH))):
        names = ["AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl"]
        got = [content[protocol][name] for name in names]
        np.testing.assert_array_equal(got, pycocotools_score(truth, RESULTS).stats)
        assert content[protocol]["per_category"]["trousers"] is None
        assert set(content[protocol]["by"]) == set(by.split(","))


def test_text_says_protocol_counts_and_what_is_not_available(
    paths: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert load_tool("score").main(paths) == 0
    text = capsys.readouterr().out
    assert f"30 images, {len(TRUTH['annotations'])} items, {len(RESULTS)} detections" in text
    assert "Categories without ground truth (n/a): long_sleeved_shirt" in text
    assert "challenge baseline, visible (another data set!)" in text
    assert "0.605  0.790  0.684" in text
    tables = text[text.index("landmarks  ") :]  # behind the paths, which may hold anything
    assert "-1" not in tables and "nan" not in tables


def test_results_on_few_of_the_images_are_doubted(
    paths: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    annotated = len({item["image_id"] for item in TRUTH["annotations"]})
    write_json(Path(paths[-1]), [found for found in RESULTS if found["image_id"] < 15])
    assert load_tool("score").main(paths) == 0
    few = len({found["image_id"] for found in RESULTS if found["image_id"] < 15})
    line = f"Detections on {few} images, but items on {annotated}: are these the results of"
    assert few > 0 and line in capsys.readouterr().out
    write_json(Path(paths[-1]), RESULTS)
    assert load_tool("score").main(paths) == 0
    assert "are these the results of" not in capsys.readouterr().out


def test_the_paper_is_not_compared_in_silence(
    paths: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for axes, is_said in (("scale", True), ("category", False)):
        assert load_tool("score").main([*paths, "--by", axes]) == 0
        text = capsys.readouterr().out
        assert ("The paper's AP is that of the real validation set" in text) == is_said
        assert ("paper's AP  " in text or "paper's AP\n" in text) == is_said


def test_one_protocol_alone(paths: list[str], tmp_path: Path) -> None:
    out = tmp_path / "scores.json"
    assert load_tool("score").main([*paths, "--protocol", "visible", "--json", str(out)]) == 0
    assert list(json.loads(out.read_text())) == ["visible"]


def test_diagnosis_and_comparison_are_printed_and_written(
    paths: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "scores.json"
    more = ["--diagnose", "--compare", paths[-1], "--resamples", "5", "--json", str(out)]
    assert load_tool("score").main([*paths, *more]) == 0
    text = capsys.readouterr().out
    assert "What limits AP" in text and "paired bootstrap" in text
    content = json.loads(out.read_text())
    assert len(content["visible_and_occluded"]["diagnosis"]["per_landmark"]) == 294
    assert content["visible"]["compare"]["AP"]["difference"] == 0


@pytest.mark.parametrize("form", ["gzip", "zip"])
def test_compressed_results_score_the_same(tmp_path: Path, form: str, paths: list[str]) -> None:
    packed = tmp_path / f"results.{form}"
    data = json.dumps(RESULTS).encode()
    if form == "gzip":
        packed.write_bytes(gzip.compress(data))
    else:
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("val_keypoints.json", data)
    outs = [tmp_path / "plain.json", tmp_path / "packed.json"]
    tool = load_tool("score")
    assert tool.main([*paths, "--json", str(outs[0])]) == 0
    assert tool.main([*paths[:3], str(packed), "--json", str(outs[1])]) == 0
    assert outs[0].read_text() == outs[1].read_text()


def test_wrong_data_ends_with_one_line_and_exit_code_1(
    paths: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = write_json(tmp_path / "short.json", [{**RESULTS[0], "keypoints": [1, 2, 3]}])
    tool = load_tool("score")
    assert tool.main([*paths[:3], str(short), "--json", str(tmp_path / "no.json")]) == 1
    assert tool.main([*paths[:3], str(tmp_path / "absent.json")]) == 1
    assert tool.main(["--gt", str(tmp_path / "absent.json"), *paths[2:]]) == 1
    assert tool.main([*paths, "--json", "/no/such/folder/out.json"]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert errors == [
        "score: short.json, record 0: keypoints: needs 294 landmarks = 882 numbers, got 3",
        f"score: {tmp_path / 'absent.json'}: there is no such file",
        f"score: {tmp_path / 'absent.json'}: there is no such ground truth; `make convert` writes "
        "it into the annotations folder of the data, and --gt (GT= or DATA= of make) names another "
        "one",
        "score: --json /no/such/folder/out.json: there is no such folder",
    ]
    assert not (tmp_path / "no.json").exists()


def test_a_split_without_annotations_cannot_be_scored(
    paths: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = write_json(tmp_path / "images.json", {"images": TRUTH["images"]})
    assert load_tool("score").main(["--gt", str(images), *paths[2:]]) == 1
    assert "has no annotations" in capsys.readouterr().err


def test_wrong_usage_ends_with_exit_code_2(paths: list[str]) -> None:
    for wrong in (["--by", "colour"], ["--resamples", "0"], ["--protocol", "hidden"]):
        with pytest.raises(SystemExit) as ended:
            load_tool("score").main([*paths, *wrong])
        assert ended.value.code == 2


def test_the_tool_starts_without_torch_and_uninstalled(paths: list[str]) -> None:
    program = (
        "import sys, runpy; sys.modules['torch'] = None; sys.modules['detectron2'] = None;"
        f"sys.argv = ['score.py', *{paths!r}];"
        f"runpy.run_path({str(PROJECT / 'tools' / 'score.py')!r}, run_name='__main__')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd="/"
    )
    assert ended.returncode == 0, ended.stderr
