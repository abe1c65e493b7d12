"""The report: what is planted appears in its place, nothing is loaded or run from elsewhere."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from df2_landmarks.cli import score
from df2_landmarks.cli.report import main
from df2_landmarks.taxonomy import DEEPFASHION2
from tests.evaluation.cases import annotation, make_ground_truth, make_results, write_json
from tests.support import CHROMIUM, probed

HOSTILE = "\"><script>document.title='run'</script>&'" + "x" * 500 + ".jpg"


def write(folder: Path, truth: dict[str, Any], results: list[dict[str, Any]]) -> list[str]:
    """Write the files of a report, with photos, and return its arguments."""
    photos = folder / "validation/image"
    photos.mkdir(parents=True)
    (folder / "annotations").mkdir()
    for image in truth["images"]:
        image.setdefault("file_name", f"{image['id']}.jpg")
        if len(image["file_name"]) < 200:
            Image.new("RGB", (image["width"], image["height"])).save(photos / image["file_name"])
    gt = write_json(folder / "annotations/validation.json", truth)
    return ["--gt", str(gt), "--results", str(write_json(folder / "results.json", results))]


def report(folder: Path, arguments: list[str]) -> str:
    output = folder / "report.html"
    assert main([*arguments, "--output", str(output), "--resamples", "9"]) == 0
    return output.read_text(encoding="utf-8")


@pytest.fixture
def planted(tmp_path: Path) -> tuple[Path, list[str]]:
    """One picture for each error, with all else right."""
    rng = np.random.default_rng(3)
    skirt, shorts = 8, 6
    truth: dict[str, Any] = {
        "images": [{"id": i, "width": 400, "height": 600} for i in range(1, 7)],
        "annotations": [],
        "categories": [{"id": c.id, "name": c.official_name} for c in DEEPFASHION2.categories],
    }
    results = []
    kinds = ["correct", "missed item", "wrong category", "duplicate", "background", "inversion"]
    for image, kind in enumerate(kinds, 1):
        item = annotation(
            rng, id=image, image_id=image, class_index=skirt, visibility=np.full(8, 2)
        )
        x, y, w, h = item["bbox"] = [50, 50, 300, 400]
        shape = [(0, 0), (0.5, 0), (1, 0), (0, 0.5), (0, 1), (0.5, 1), (1, 1), (1, 0.5)]
        own = np.array([[x + a * w, y + b * h, 2] for a, b in shape])
        slots = np.zeros((DEEPFASHION2.num_slots, 3))
        slots[DEEPFASHION2.slots(skirt)] = own
        item |= {"area": w * h, "keypoints": slots.ravel().tolist()}
        truth["annotations"].append(item)
        predicted = own.copy()
        if kind == "inversion":
            predicted = own[DEEPFASHION2.flip_indices[skirt, :8]]
        class_index = shorts if kind == "wrong category" else skirt
        if kind != "missed item":
            results.append(result(image, class_index, predicted, 0.9, item["bbox"]))
        if kind == "duplicate":
            results.append(result(image, class_index, predicted, 0.8, item["bbox"]))
        if kind == "background":
            results.append(result(image, shorts, np.ones((10, 3)), 0.7, [380, 580, 10, 10]))
    return tmp_path, write(tmp_path, truth, results)


def result(
    image_id: int, class_index: int, own: np.ndarray, score: float, box: list[float]
) -> dict[str, Any]:
    slots = np.zeros((DEEPFASHION2.num_slots, 3))
    points = slots[DEEPFASHION2.slots(class_index)]
    points[: len(own)] = own[: len(points)]
    points[:, 2] = 1
    return {
        "image_id": image_id,
        "category_id": class_index + 1,
        "score": score,
        "keypoints": slots.ravel().tolist(),
        "bbox": box,
    }


def test_each_planted_error_is_named_at_its_picture(planted: tuple[Path, list[str]]) -> None:
    page = report(*planted)
    figures = re.findall(r'<figure class="picture".*?</figure>', page, re.DOTALL)
    tags = {}
    for figure in figures:
        found = re.search(r'data-tags="([^"]*)"', figure)
        name = re.search(r"<b>(\d)\.jpg</b>", figure)
        assert found and name
        tags[int(name[1])] = {t for t in found[1].split("|") if t.startswith("error=")}
    assert tags == {
        1: set(),
        2: {"error=missed item"},
        3: {"error=wrong category"},
        4: {"error=duplicate"},
        5: {"error=background"},
        6: {"error=poor landmarks", "error=inversion"},
    }
    costs = [float(cost) for cost in re.findall(r"</b> costs ([\d.]+)", page)]
    assert costs == sorted(costs, reverse=True) and costs[-1] == 0


def test_every_section_has_its_numbers(planted: tuple[Path, list[str]]) -> None:
    page = report(*planted)
    for section in ("score", "categories", "errors", "garments", "calibration", "pictures", "run"):
        assert page.count(f'<section id="{section}"') == 1
    assert 'id="comparison"' not in page
    assert "Not to be compared with published scores: this is not the released" in page
    truth = Path(planted[1][1]).read_bytes()
    assert f"ground truth: SHA-256 {hashlib.sha256(truth).hexdigest()}." in page
    assert page.count("9 skirt</th>") == 1  # the row of the confusion matrix
    assert "skirt, visible landmarks" in page
    assert re.search(r"1 waist_left: [\d.]+ sigmas, n 4, 3 good, 0 jitter, 1 inversion", page)


def test_calibration_and_pictures_have_the_confidence_of_landmarks(
    planted: tuple[Path, list[str]],
) -> None:
    folder, arguments = planted
    assert "have no confidence and no visibility" in report(folder, arguments)
    results = json.loads(Path(arguments[3]).read_text())
    for record in results:
        count = DEEPFASHION2.counts[record["category_id"] - 1]
        record["landmark_scores"] = [0.91] * count
        record["landmark_visible"] = [0.4] * count
    write_json(Path(arguments[3]), results)
    page = report(folder, arguments)
    assert "have no confidence" not in page
    assert re.search(r"Confidence of a landmark beside its similarity: ECE 0\.\d\d\d", page)
    assert re.search(
        r"<title>1 waist_left: good, 0.0 px, 0.00 sigmas, confidence 0.91, visible 0.40", page
    )


def test_the_same_input_gives_the_same_bytes(planted: tuple[Path, list[str]]) -> None:
    folder, arguments = planted
    first = report(folder, arguments)
    assert report(folder, arguments) == first


def test_nothing_is_loaded_and_no_text_of_a_file_is_code(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth = make_ground_truth(rng, num_images=4)
    for image in truth["images"]:
        image["file_name"] = HOSTILE
    arguments = write(tmp_path, truth, make_results(rng, truth))
    hostile_results = tmp_path / "<img src=x onerror=alert(1)>.json"
    Path(arguments[3]).rename(hostile_results)
    page = report(tmp_path, [*arguments[:3], str(hostile_results)])
    assert "<script>document" not in page and "<img" not in page
    assert len(re.findall("<script", page)) == 1
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert all(a.startswith(("#", "data:")) for a in addresses)
    assert not re.search(r"https?://|@import|url\(", page)


def test_two_results_stand_side_by_side(planted: tuple[Path, list[str]]) -> None:
    folder, arguments = planted
    results = json.loads(Path(arguments[3]).read_text())
    other = write_json(folder / "other.json", results[:1])
    page = report(folder, [*arguments, "--compare", str(other)])
    part = page[page.index('id="comparison"') : page.index('id="run"')]
    assert (
        "Beside other.json" in part and part.count("</figure>") == 2 * 3
    )  # the duplicate, the background and the inversion cost less than a missed one
    assert "costs 1.00 there" in part


def test_a_run_adds_curves_and_what_is_missing_is_said(planted: tuple[Path, list[str]]) -> None:
    folder, arguments = planted
    run = folder / "run"
    run.mkdir()
    lines = [
        {"iteration": 19, "total_loss": 3.5, "lr": 0.1, "time": 0.25, "max_mem_mb": 1400},
        {"iteration": 39, "total_loss": 2.5, "lr": 0.1, "time": 0.25, "landmarks/AP": 12.5},
    ]
    (run / "metrics.json").write_text("\n".join(map(json.dumps, lines)) + '\n{"iter')
    page = report(folder, [*arguments, "--run", str(run)])
    assert "<figcaption>Loss</figcaption>" in page and "0.250 (median)" in page
    assert "<td>1.40 GB (main process, or its GPU)</td>" in page
    assert "Not here: no weights (model_final.pth)." in page
    assert "train_net.py --config-file" in page


def test_without_photos_and_sizes_the_overlays_stay(planted: tuple[Path, list[str]]) -> None:
    folder, arguments = planted
    shutil.rmtree(folder / "validation")
    page = report(folder, arguments)
    assert "The photos are not here" in page and "<image" not in page
    assert page.count('<g class="truth">') == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--images", "nowhere"], "--images nowhere: there is no such folder"),
        (["--run", "nowhere"], "--run nowhere: there is no such folder"),
        (["--output", "."], "--output .: must be a file, but is a folder"),
    ],
)
def test_a_wrong_path_is_one_line(
    planted: tuple[Path, list[str]],
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*planted[1], *arguments]) != 0
    assert capsys.readouterr().err.startswith(f"df2 report: {message}")


def test_the_costliest_pictures_are_written_as_files(
    planted: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, arguments = planted
    out = folder / "worst"
    assert score.main([*arguments, "--pictures", str(out), "--num-pictures", "3"]) == 0
    names = sorted(path.name for path in out.iterdir())
    # those that cost 1, and the duplicate with its score of .8 or the exchanged sides
    assert names[:2] == ["001_image_2.png", "002_image_3.png"] and len(names) == 3
    picture = np.asarray(Image.open(out / names[0]))
    truth, predicted = np.hsplit(picture, 2)
    black = np.array([0, 0, 0])
    drawn = [((half != black) & (half != 255)).any(axis=2).mean() for half in (truth, predicted)]
    assert drawn[0] > drawn[1]  # it was missed
    shutil.rmtree(folder / "validation")
    assert score.main([*arguments, "--pictures", str(out)]) == 2
    assert "name their folder (--images)" in capsys.readouterr().err


PROBE = """
const select = document.querySelector("select[name=error]");
select.value = "inversion";
select.dispatchEvent(new Event("change", { bubbles: true }));
const shown = [...document.querySelectorAll("#gallery figure:not([hidden]) b")];
const truth = document.querySelector("input[name=show-truth]");
truth.click();
const hidden = getComputedStyle(document.querySelector(".truth")).display;
const point = document.querySelector("#gallery .predicted circle[class] title").textContent;
const dark = matchMedia("(prefers-color-scheme: dark)").matches;
say([shown.map((b) => b.textContent), hidden, point,
     performance.getEntriesByType("resource").length,
     dark, getComputedStyle(document.body).backgroundColor].join(";"));
"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_a_browser_filters_hovers_and_asks_for_nothing(planted: tuple[Path, list[str]]) -> None:
    folder, arguments = planted
    report(folder, arguments)
    colors = set()
    for scheme in (True, False):
        said = probed(folder / "report.html", PROBE, dark=scheme)
        shown, hidden, point, requests, dark, color = said.split(";")
        assert shown == "6.jpg" and hidden == "none"
        assert re.match(r"\d+ waist_\w+: ", point)
        assert requests == "0" and dark == str(scheme).lower()
        colors.add(color)
    assert len(colors) == 2
