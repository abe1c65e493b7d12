"""df2 score: the tables and the JSON, one clear line for what is wrong, no torch."""

from __future__ import annotations

import csv
import gzip
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from df2_landmarks.cli.score import main
from df2_landmarks.taxonomy import DEEPFASHION2
from tests.evaluation.cases import (
    make_ground_truth,
    make_results,
    pycocotools_score,
    visible_only,
    write_json,
)
from tests.support import run_python

RNG = np.random.default_rng(0)
TRUTH = make_ground_truth(RNG, num_images=30)
RESULTS = make_results(RNG, TRUTH)


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    truth = write_json(tmp_path / "truth.json", TRUTH)
    results = write_json(tmp_path / "results.json", RESULTS)
    return ["--gt", str(truth), "--results", str(results)]


def test_json_holds_pycocotools_numbers_as_fractions(paths: list[str], tmp_path: Path) -> None:
    out = tmp_path / "scores.json"
    by = "category,scale,occlusion,zoom_in,viewpoint,source"
    assert main([*paths, "--json", str(out), "--by", by]) == 0
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
    assert main(paths) == 0
    text = capsys.readouterr().out
    assert f"30 images, {len(TRUTH['annotations'])} items, {len(RESULTS)} detections" in text
    assert "Categories without ground truth (n/a): long_sleeved_shirt" in text
    assert "challenge baseline, visible (on another data set)" in text
    assert "0.605  0.790  0.684" in text
    tables = text[text.index("landmarks  ") :]  # behind the paths, which may hold anything
    assert "-1" not in tables and "nan" not in tables


def test_results_on_few_of_the_images_are_doubted(
    paths: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    annotated = len({item["image_id"] for item in TRUTH["annotations"]})
    few_results = [record for record in RESULTS if record["image_id"] < 15]
    write_json(Path(paths[-1]), few_results)
    assert main(paths) == 0
    few = len({record["image_id"] for record in few_results})
    line = f"The results have detections on {few} images, the ground truth has items on {annotated}"
    assert few > 0 and f"{line}: do they belong to the same split?" in capsys.readouterr().out
    write_json(Path(paths[-1]), RESULTS)
    assert main(paths) == 0
    assert "the same split" not in capsys.readouterr().out


def test_the_paper_is_not_compared_in_silence(
    paths: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for axes, is_said in (("scale", True), ("category", False)):
        assert main([*paths, "--by", axes]) == 0
        text = capsys.readouterr().out
        assert ("The paper's AP was measured on the real validation set" in text) == is_said
        assert ("paper's AP  " in text or "paper's AP\n" in text) == is_said


def test_one_protocol_alone(paths: list[str], tmp_path: Path) -> None:
    out = tmp_path / "scores.json"
    assert main([*paths, "--protocol", "visible", "--json", str(out)]) == 0
    assert list(json.loads(out.read_text())) == ["visible"]


def test_diagnosis_and_comparison_are_printed_and_written(
    paths: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "scores.json"
    more = ["--diagnose", "--compare", paths[-1], "--resamples", "5", "--json", str(out)]
    assert main([*paths, *more]) == 0
    text = capsys.readouterr().out
    assert "What limits AP" in text and "paired bootstrap" in text
    content = json.loads(out.read_text())
    assert len(content["visible_and_occluded"]["diagnosis"]["per_landmark"]) == 294
    assert content["visible"]["compare"][paths[-1]]["AP"]["difference"] == 0


@pytest.fixture
def others(tmp_path: Path) -> list[str]:
    """Two more results."""
    noises = {"b_&_%.json": 8.0, "c|d.json": 2.0}
    return [
        str(write_json(tmp_path / name, make_results(np.random.default_rng(1), TRUTH, noise=noise)))
        for name, noise in noises.items()
    ]


@pytest.mark.parametrize("twice", [False, True])
def test_all_results_of_compare_stand_in_one_table(
    paths: list[str], others: list[str], capsys: pytest.CaptureFixture[str], twice: bool
) -> None:
    words = ["--compare", others[0], *(["--compare"] if twice else []), others[1]]
    assert main([*paths, *words, "--resamples", "5"]) == 0
    text = capsys.readouterr().out
    table = text[text.rindex("Landmark AP") :]
    rows = [line.split()[0] for line in table.splitlines()[4:]]
    assert rows == [paths[-1], *others]
    assert text.count("A = ") == 2


def test_tables_for_papers_are_read_back_with_the_same_numbers(
    paths: list[str], others: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--compare", *others, "--by", "scale", "--intervals", "--resamples", "5", "--format"]
    assert main([*paths, *more, "csv"]) == 0
    blocks = [list(csv.reader(b.splitlines())) for b in capsys.readouterr().out.split("\n\n")]
    assert [block[0][0] for block in blocks] == ["results", "category", "scale", "scorer"]
    ap = pycocotools_score(TRUTH, RESULTS).stats[0]
    assert blocks[0][1][:2] == [paths[-1], f"{ap:.3f}"]
    assert [row[0] for row in blocks[0][1:]] == [paths[-1], *others]
    assert len(blocks[1]) == 1 + DEEPFASHION2.num_categories
    assert main([*paths, *more, "latex"]) == 0
    latex = capsys.readouterr().out
    assert r"b\_\&\_\%.json" in latex and latex.count(r"\toprule") == 4
    protocols = r" & \multicolumn{3}{c}{visible and occluded} & \multicolumn{3}{c}{visible} & "
    assert f"{protocols} &  &  \\\\\n" in latex and r"\cmidrule(lr){2-4}\cmidrule(lr){5-7}" in latex
    for table in latex.split("\n\n"):  # each line has as many cells as the table has columns
        width = len(re.findall(r"\\begin\{tabular\}\{(lr*)\}", table)[0])
        for line in table.splitlines():
            if line.endswith(r" \\"):
                spanned = sum(int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d+)\}", line))
                assert line.replace(r"\&", "").count("&") + 1 + spanned == width
    assert main([*paths, *more, "markdown"]) == 0
    markdown = capsys.readouterr().out
    assert r"c\|d.json" in markdown
    assert f"| {ap:.3f} |" in markdown
    for table in markdown.split("\n\n")[1::2]:
        assert len({line.replace("\\|", "").count("|") for line in table.splitlines()}) == 1
    assert main([*paths, "--format", "csv", "--protocol", "visible"]) == 0


def test_plots_are_the_same_bytes_again(paths: list[str], tmp_path: Path) -> None:
    contents = []
    for name in ("a", "b"):
        assert main([*paths, "--plots", str(tmp_path / name)]) == 0
        files = sorted((tmp_path / name).iterdir())
        stems = ("precision_recall", "thresholds")
        assert [f.name for f in files] == [f"{s}.{e}" for s in stems for e in ("pdf", "svg")]
        contents.append([file.read_bytes() for file in files])
    assert contents[0] == contents[1]
    svg = contents[0][1].decode()
    assert "skirt" in svg and "trousers" not in svg  # of which there are none


def test_a_format_for_papers_goes_with_scores_only(
    paths: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([*paths, "--format", "csv", "--diagnose"])
    assert "are for --format text" in capsys.readouterr().err


def test_results_in_true_boxes_are_a_row_of_the_diagnosis(
    paths: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    better = make_results(np.random.default_rng(1), TRUTH, noise=0)
    given = write_json(tmp_path / "true_boxes.json", better)
    out = tmp_path / "scores.json"
    options = ["--diagnose", "--true-box-results", str(given), "--json", str(out)]
    assert main([*paths, *options]) == 0
    ladder = json.loads(out.read_text())["visible_and_occluded"]["diagnosis"]["ladder"]
    ap = ladder["true box and category"]["AP"]
    assert ap == pycocotools_score(TRUTH, better).stats[0]
    text = capsys.readouterr().out
    assert f"true box and category  {ap:.3f}  " in text
    assert main([*paths, "--diagnose"]) == 0
    text = capsys.readouterr().out
    assert "true box and category  0" not in text and "give --true-box-results" in text


def test_results_in_true_boxes_need_the_diagnosis(
    paths: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*paths, "--true-box-results", paths[-1]])
    assert ended.value.code == 2
    assert "--true-box-results needs --diagnose" in capsys.readouterr().err


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
    assert main([*paths, "--json", str(outs[0])]) == 0
    assert main([*paths[:3], str(packed), "--json", str(outs[1])]) == 0
    assert outs[0].read_text() == outs[1].read_text()


def test_wrong_data_ends_with_one_line_and_exit_code_1(
    paths: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = write_json(tmp_path / "short.json", [{**RESULTS[0], "keypoints": [1, 2, 3]}])
    assert main([*paths[:3], str(short), "--json", str(tmp_path / "no.json")]) == 1
    assert main([*paths[:3], str(tmp_path / "absent.json")]) == 1
    assert main(["--gt", str(tmp_path / "absent.json"), *paths[2:]]) == 1
    assert main([*paths, "--json", "/no/such/folder/out.json"]) == 1
    lines = capsys.readouterr().err.splitlines()
    starts = [
        "short.json, record 0: keypoints: ",
        f"{tmp_path / 'absent.json'}: there is no such file",
        f"{tmp_path / 'absent.json'}: there is no such ground truth; `make convert` writes it",
        "--json /no/such/folder/out.json: its folder does not exist; ",
    ]
    for line, start in zip(lines, starts, strict=True):
        assert line.startswith(f"df2 score: {start}")
    assert not (tmp_path / "no.json").exists()


def test_a_split_without_annotations_cannot_be_scored(
    paths: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = write_json(tmp_path / "images.json", {"images": TRUTH["images"]})
    assert main(["--gt", str(images), *paths[2:]]) == 1
    assert "has no annotations" in capsys.readouterr().err


def test_wrong_usage_ends_with_exit_code_2(paths: list[str]) -> None:
    for wrong in (["--by", "colour"], ["--resamples", "0"], ["--protocol", "hidden"]):
        with pytest.raises(SystemExit) as ended:
            main([*paths, *wrong])
        assert ended.value.code == 2


def test_the_command_starts_without_torch(paths: list[str]) -> None:
    program = (
        "import sys; sys.modules['torch'] = sys.modules['detectron2'] = None;"
        "from df2_landmarks.cli.score import main; sys.exit(main(sys.argv[1:]))"
    )
    ended = run_python("-c", program, *paths, "--diagnose")
    assert ended.returncode == 0, ended.stderr
