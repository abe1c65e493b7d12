"""``df2 view``: the sheets show the file, the loader's own examples and the errors of the score."""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest

from df2_landmarks.cli import view
from df2_landmarks.cli.view import main
from df2_landmarks.formats import Garment
from df2_landmarks.taxonomy import DEEPFASHION2
from df2_landmarks.visualization import LandmarkErrors
from tests.own_data.drawing import ANIMALS, PAIRS, write_data
from tests.support import CHROMIUM, probed

Json = dict[str, Any]


class Drawn(NamedTuple):
    """What a sheet was made of."""

    images: list[np.ndarray]
    garments: list[list[Garment]]
    errors: list[list[LandmarkErrors]]
    captions: list[list[str]]
    headings: list[str]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """Collects what `main` draws, while it draws it."""
    seen = Drawn([], [], [], [], [])
    draw, draw_errors, sheet = view.draw_garments, view.draw_errors, view.contact_sheet

    def drawing(image: Any, garments: Any, style: Any) -> Any:
        seen.images.append(image)
        seen.garments.append(list(garments))
        return draw(image, garments, style)

    def error_drawing(image: Any, errors: Any, **options: Any) -> Any:
        seen.errors.append(list(errors))
        return draw_errors(image, errors, **options)

    def sheet_making(rows: Any, **options: Any) -> Any:
        seen.captions.extend(options["captions"])
        seen.headings[:] = options["headings"]
        return sheet(rows, **options)

    monkeypatch.setattr(view, "draw_garments", drawing)
    monkeypatch.setattr(view, "draw_errors", error_drawing)
    monkeypatch.setattr(view, "contact_sheet", sheet_making)
    return seen


@pytest.fixture
def data(tiny_datasets: Path) -> Path:
    return tiny_datasets / "deepfashion2_synthetic"


@pytest.fixture
def edited(data: Path, tmp_path: Path) -> Callable[[Callable[[Json], None]], str]:
    """Gives the training split with changes, as FILE@IMAGES."""

    def edit(change: Callable[[Json], None]) -> str:
        content = json.loads((data / "annotations/train.json").read_text())
        change(content)
        (tmp_path / "edited.json").write_text(json.dumps(content))
        return f"{tmp_path}/edited.json@{data}/train/image"

    return edit


def shown_ids(out: str) -> list[int]:
    """Image ids in the lines that were printed."""
    lines = [line.partition(" images ")[2] for line in out.splitlines()]
    return [int(number) for line in lines for number in line.split(",")]


def test_a_file_is_shown_without_torch(data: Path, tmp_path: Path, run_python: Any) -> None:
    source = f"{data}/annotations/train.json@{data}/train/image"
    program = (
        "import sys; from df2_landmarks.cli.view import main; "
        f"code = main([{source!r}, '--output', {str(tmp_path / 'out')!r}]); "
        "print(code, 'torch' in sys.modules, 'detectron2' in sys.modules)"
    )
    done = run_python("-c", program)
    line, verdict = done.stdout.splitlines()
    assert line == f"{tmp_path}/out/sheet_001.png: 12 pictures, images " + ", ".join(
        map(str, range(1, 13))
    )
    assert verdict == "0 False False"
    sheet = cv2.imread(str(tmp_path / "out/sheet_001.png"))
    assert sheet.shape[1] == 4 * view.TILE_PX


def test_every_sheet_gets_a_line_and_no_more_pictures_than_asked_for(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view, "PER_SHEET", 3)
    assert main([str(data), "--images", "7", "--output", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert [line.partition(":")[0] for line in out.splitlines()] == [
        f"{tmp_path}/sheet_00{number}.png" for number in (1, 2, 3)
    ]
    assert shown_ids(out) == list(range(1, 8))
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        f"sheet_00{number}.png" for number in (1, 2, 3)
    ]


def test_the_same_command_writes_the_same_bytes(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheets, ids = [], []
    for folder, seed in (("a", 3), ("b", 3), ("c", 4)):
        options = ["--augmented", "2", "--shuffle", "--seed", seed, "--images", "3"]
        assert main([str(data), *map(str, options), "--output", str(tmp_path / folder)]) == 0
        sheets.append((tmp_path / folder / "sheet_001.png").read_bytes())
        ids.append(shown_ids(capsys.readouterr().out))
    assert sheets[0] == sheets[1] and ids[0] == ids[1]
    assert ids[0] != ids[2] and ids[0] != sorted(ids[0])


def test_augmented_pictures_show_the_loaders_landmarks_mirrored_ones_too(
    data: Path, tmp_path: Path, drawn: Drawn
) -> None:
    options = ["--augmented", "6", "--images", "1", "--output", str(tmp_path)]
    assert main([str(data), *options]) == 0
    truth, *examples = drawn.garments
    picture, *inputs = drawn.images
    assert len(examples) == 6
    assert drawn.headings == ["ground truth", *(f"augmented, seed {seed}" for seed in range(6))]
    kinds = set()
    for garments, image in zip(examples, inputs, strict=True):
        size = np.array(image.shape[1::-1])
        small = cv2.resize(image, picture.shape[1::-1], interpolation=cv2.INTER_AREA).astype(int)
        is_mirrored = abs(small[:, ::-1] - picture).mean() < abs(small - picture).mean()
        kinds.add(is_mirrored)
        for garment, true in zip(garments, truth, strict=True):
            expected = true.landmarks.xy * size / picture.shape[1::-1]
            visibility = true.landmarks.visibility
            if is_mirrored:
                flipped = DEEPFASHION2.flip_indices[true.category_id - 1, : len(expected)]
                expected = (expected * (-1, 1) + (size[0], 0))[flipped]
                visibility = visibility[flipped]
            labelled = visibility > 0
            assert (garment.landmarks.visibility == visibility).all()
            assert np.allclose(garment.landmarks.xy[labelled], expected[labelled], atol=0.01)
            assert garment.mask is not None and true.mask is not None
            share = garment.mask.area / true.mask.area / np.prod(size / picture.shape[1::-1])
            assert share == pytest.approx(1, abs=0.05)
    assert kinds == {False, True}


def test_the_configuration_is_the_trainings(data: Path, tmp_path: Path, drawn: Drawn) -> None:
    options = ["INPUT.RANDOM_FLIP", "none", "INPUT.MIN_SIZE_TRAIN", "(64,)", "MODEL.MASK_ON", "no"]
    arguments = ["--augmented", "3", "--opts", *options[:-1], "False", "--images", "1"]
    assert main([str(data), *arguments, "--output", str(tmp_path)]) == 0
    assert all(min(image.shape[:2]) == 64 for image in drawn.images[1:])
    assert all(g.mask is None for garments in drawn.garments[1:] for g in garments)


def write_results(data: Path, path: Path, *, shift_sigmas: float) -> Json:
    """Write predictions for all but the first garment, moved to the right; return the truth."""
    truth: Json = json.loads((data / "annotations/train.json").read_text())
    records = []
    for annotation in truth["annotations"][1:]:
        sigmas = DEEPFASHION2.slot_sigmas
        keypoints = np.reshape(annotation["keypoints"], (-1, 3)).astype(float)
        moved = shift_sigmas * 2 * sigmas * math.sqrt(annotation["area"])
        keypoints[:, 0] += moved * (keypoints[:, 2] > 0)
        records.append(
            {
                "image_id": annotation["image_id"],
                "category_id": annotation["category_id"],
                "keypoints": keypoints.ravel().tolist(),
                "score": 0.9,
            }
        )
    path.write_text(json.dumps(records))
    return truth


def test_errors_are_those_of_the_garment_that_the_score_matches(
    data: Path, tmp_path: Path, drawn: Drawn
) -> None:
    truth = write_results(data, tmp_path / "results.json", shift_sigmas=1.0)
    results = ["--results", str(tmp_path / "results.json")]
    assert main([str(data), *results, "--output", str(tmp_path / "out")]) == 0
    errors = [garment for picture in drawn.errors for garment in picture]
    assert len(errors) == len(truth["annotations"]) - 1
    for garment in errors:
        assert np.allclose(garment.error_sigmas, 1, atol=1e-6)
        assert (garment.predicted_xy[:, 0] > garment.true_xy[:, 0]).all()
    first = truth["annotations"][0]
    assert ["(not found)" in line for _, line in drawn.captions].count(True) == 1
    assert "(not found)" in drawn.captions[first["image_id"] - 1][1]


PROBE = """
const select = document.querySelector("select[name=category]");
select.value = select.options[1].value;
select.dispatchEvent(new Event("change", { bubbles: true }));
document.querySelector("input[name=show-truth]").click();
const display = (element) => getComputedStyle(element).display;
say([select.value, document.getElementById("shown").textContent,
     [...document.getElementById("gallery").children].filter((e) => display(e) != "none").length,
     display(document.querySelector(".truth"))].join(";"));
"""


def figures_of(page: Path) -> list[tuple[set[str], str]]:
    """Return the tags and the text of each row of a page."""
    text = page.read_text(encoding="utf-8")
    gallery = text[text.index('id="gallery"') : text.index("</main>")]
    return [
        (set(html.unescape(tags).split("|")), row)
        for tags, row in re.findall(r'data-tags="([^"]*)"(.*?)(?=data-tags|$)', gallery, re.S)
    ]


def test_a_page_has_the_pictures_beside_each_other_and_can_be_filtered(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "view.html"
    arguments = [str(data), "--augmented", "2", "--images", "3", "--html", str(page)]
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith(f"{page}: 3 pictures (")
    assert list(tmp_path.iterdir()) == [page]
    truth = json.loads((data / "annotations/train.json").read_text())
    rows = figures_of(page)
    assert len(rows) == 3
    for image, (tags, row) in enumerate(rows, 1):
        items = [a for a in truth["annotations"] if a["image_id"] == image]
        names = {DEEPFASHION2.categories[a["category_id"] - 1].official_name for a in items}
        assert {tag for tag in tags if tag.startswith("category=")} == {
            f"category={name}" for name in names
        }
        assert {tag for tag in tags if tag.startswith("source=")} == {
            f"source={a['source']}" for a in items
        }
        assert row.count("<figure") == 3 and row.count("data:image/jpeg") == 3
        assert "</b> ground truth<" in row and "</b> augmented, seed 1<" in row
        assert row.count('<g class="truth">') == 3 * len(items)
        assert row.count('class="mask"') == 3 * len(items)
    text = page.read_text(encoding="utf-8")
    assert "show-predicted" not in text and 'id="score"' not in text
    assert not re.search(r"https?://|undefined", text)
    assert main(arguments) == 0
    assert page.read_text(encoding="utf-8") == text


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_a_browser_filters_rows_of_pictures(data: Path, tmp_path: Path) -> None:
    page = tmp_path / "view.html"
    assert main([str(data), "--augmented", "1", "--images", "12", "--html", str(page)]) == 0
    category, said, shown, truth = probed(page, PROBE).split(";")
    expected = sum(f"category={category}" in tags for tags, _ in figures_of(page))
    assert 0 < expected < 12
    assert said == f"{expected} pictures" and int(shown) == expected and truth == "none"


def test_a_page_of_results_shows_errors_and_what_was_not_found(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = write_results(data, tmp_path / "results.json", shift_sigmas=1.0)
    source = f"{data}/annotations/train.json@{data}/train/image"
    page, results = tmp_path / "view.html", ["--results", str(tmp_path / "results.json")]
    assert main([source, *results, "--html", str(page)]) == 0
    rows = figures_of(page)
    missed = [i for i, (tags, _) in enumerate(rows, 1) if "error=missed item" in tags]
    assert missed == [truth["annotations"][0]["image_id"]]
    errors = re.findall(r"<title>\d+ \w+: (\w+), [\d.]+ px, ([\d.]+) sigmas", page.read_text())
    assert len(errors) > 20 and set(errors) == {("jitter", "1.00")}
    assert "show-predicted" in page.read_text()


def test_a_page_or_sheets_must_be_asked_for(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([str(data)])
    assert "give --output DIR, --html FILE or both" in capsys.readouterr().err
    assert main([str(data), "--html", str(tmp_path)]) != 0
    assert "must be a file, but is a folder" in capsys.readouterr().err


def source_with_a_picture_named(
    name: str, data: Path, tmp_path: Path, edited: Callable[[Callable[[Json], None]], str]
) -> str:
    images = tmp_path / "images"
    images.mkdir()
    picture = cv2.imread(str(next((data / "train/image").iterdir())))
    (images / name).write_bytes(cv2.imencode(".png", picture)[1].tobytes())

    def change(content: Json) -> None:
        content["images"][0]["file_name"] = name

    return edited(change).partition("@")[0] + f"@{images}"


def test_names_of_files_are_text_in_a_page(
    data: Path, tmp_path: Path, edited: Callable[[Callable[[Json], None]], str]
) -> None:
    name = "\"><script>alert(1)<&'.png"
    source = source_with_a_picture_named(name, data, tmp_path, edited)
    page = tmp_path / "view.html"
    assert main([source, "--images", "1", "--html", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert text.count("<script") == 1 and name in html.unescape(text)


def test_garments_that_the_score_does_not_match_have_no_errors(
    data: Path, tmp_path: Path, drawn: Drawn
) -> None:
    write_results(data, tmp_path / "results.json", shift_sigmas=1.3)  # exp(-1.3**2 / 2) < .5
    results = ["--results", str(tmp_path / "results.json")]
    assert main([str(data), *results, "--output", str(tmp_path / "out")]) == 0
    assert not any(drawn.errors)


def test_category_and_attribute_ask_for_one_garment_that_is_both(
    data: Path,
    tmp_path: Path,
    edited: Callable[[Callable[[Json], None]], str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    def change(content: Json) -> None:
        garments = content["annotations"]
        for garment in garments:
            garment["category_id"], garment["occlusion"] = 1, 1
        for garment in garments[:3]:
            garment["occlusion"] = 3
        top = garments[2]["keypoints"]
        slots, other = DEEPFASHION2.slots(8), DEEPFASHION2.slots(0)
        assert len(top) == 3 * DEEPFASHION2.num_slots
        for garment in garments:
            skirt = garment is garments[2] or garment is garments[4]
            garment["category_id"] = 9 if skirt else 1
            own = slots if skirt else other
            values = np.zeros((DEEPFASHION2.num_slots, 3))
            values[own] = (40, 40, 2)
            garment["keypoints"] = values.ravel().tolist()
            garment["num_keypoints"] = own.stop - own.start
        garments[:] = garments[:5]
        for number, garment in enumerate(garments, 1):
            garment["image_id"] = number

    source = edited(change)
    for options, expected in (
        (["--category", "Skirt"], [3, 5]),
        (["--attribute", "occlusion=heavy"], [1, 2, 3]),
        (["--category", "skirt", "--attribute", "occlusion=heavy"], [3]),
        (["--category", "skirt", "short_sleeved_shirt"], [1, 2, 3, 4, 5]),
    ):
        assert main([source, *options, "--output", str(tmp_path / "out")]) == 0
        assert shown_ids(capsys.readouterr().out) == expected
    assert main([source, "--category", "shorts", "--output", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.endswith("none of its pictures is of the kind asked for\n")


def test_suspicious_pictures_are_those_that_check_warns_of_with_the_reason(
    tmp_path: Path,
    edited: Callable[[Callable[[Json], None]], str],
    drawn: Drawn,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def change(content: Json) -> None:
        for annotation in content["annotations"]:  # one garment on each picture
            annotation["iscrowd"] = int(annotation["image_id"] == 12)
        by_image = {a["image_id"]: a for a in content["annotations"]}
        content["annotations"] = list(by_image.values())
        by_image[2]["bbox"] = [0, 0, 500, 100]
        by_image[3]["num_keypoints"] = 1
        by_image[5]["keypoints"] = [0] * len(by_image[5]["keypoints"])
        by_image[5]["num_keypoints"] = 0
        far = np.reshape(by_image[7]["keypoints"], (-1, 3))
        far[far[:, 2] > 0] = (10_000_000, -10_000_000, 2)
        by_image[7]["keypoints"] = far.ravel().tolist()

    assert main([edited(change), "--suspicious", "--output", str(tmp_path / "out")]) == 0
    assert shown_ids(capsys.readouterr().out) == [2, 3, 5, 7]
    reasons = [lines[2].partition(": ")[2] for lines in drawn.captions]
    assert reasons == [
        "the box leaves the image",
        "num_keypoints is not the number of landmarks with v > 0",
        "no landmark is labelled",
        "most landmarks lie beside the image",
    ]


def test_a_right_file_has_nothing_suspicious(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = f"{data}/annotations/validation.json@{data}/validation/image"
    assert main([source, "--suspicious", "--output", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_names_of_files_are_cut_and_escaped(
    data: Path, tmp_path: Path, edited: Callable[[Callable[[Json], None]], str]
) -> None:
    name = "\x1b[2J\n男" + 200 * "x" + ".png"
    source = source_with_a_picture_named(name, data, tmp_path, edited)
    assert main([source, "--images", "1", "--output", str(tmp_path / "out")]) == 0
    sheet = cv2.imread(str(tmp_path / "out/sheet_001.png"))
    assert sheet.shape[1] == view.TILE_PX
    assert (sheet[-36:-18] < 100).any()  # the name is written


def test_your_own_categories_are_shown_mirrored_by_their_pairs(
    tmp_path: Path, drawn: Drawn
) -> None:
    data = write_data(tmp_path / "animals", ANIMALS, all_slots=False)
    file = data / "annotations/train.json"
    options = ["--taxonomy", str(file), "--category", "owl", "--augmented", "6", "--images", "1"]
    assert main([str(data), *options, "--output", str(tmp_path / "out")]) == 0
    (true,), *examples = drawn.garments
    expected = true.landmarks.xy.copy()
    for a, b in PAIRS["owl"]:
        expected[[a - 1, b - 1]] = expected[[b - 1, a - 1]]
    width = drawn.images[0].shape[1]
    moved = [
        garment.landmarks.xy * width / image.shape[1]
        for (garment,), image in zip(examples, drawn.images[1:], strict=True)
    ]
    mirrored = [xy for xy in moved if not np.allclose(xy, true.landmarks.xy, atol=0.01)]
    assert 0 < len(mirrored) < 6
    for xy in mirrored:
        assert np.allclose(xy, expected * (-1, 1) + (width, 0), atol=0.01)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["none_train"], 1, "DATA: there is no data set 'none_train'"),
        (["none.json@."], 1, "none.json: there is no such file"),
        (["none.json@nowhere"], 1, "there is no folder nowhere with the images"),
        (["DATA", "--category", "coat"], 2, "has no 'coat'; it has short sleeve top, "),
        (["DATA", "--attribute", "colour=red"], 2, "must be NAME=VALUE with a name of scale, "),
        (["DATA", "--attribute", "scale=red"], 2, "must be one of small, moderate, large, but"),
        (["DATA", "--results", "none.json"], 1, "none.json: there is no such file"),
        (["RAW"], 1, "raw DeepFashion2: run `python -m converters.deepfashion2_to_coco --annos"),
        (["RAWROOT"], 1, "not yet converted: run `python -m converters.deepfashion2_to_coco --ro"),
        (["coco_2017_train"], 1, "has no landmarks per category; name a landmark data set"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str],
    code: int,
    message: str,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "raw/train/annos").mkdir(parents=True)
    names = {"DATA": data, "RAW": tmp_path / "raw/train", "RAWROOT": tmp_path / "raw"}
    words = [str(names.get(word, word)) for word in arguments]
    assert main([words[0], *words[1:], "--output", str(tmp_path / "out")]) == code
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1
    assert captured.out == ""


def test_a_missing_picture_is_one_line(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = f"{data}/annotations/train.json@{tmp_path}"
    assert main([source, "--output", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_another_size_of_the_picture_is_said(
    tmp_path: Path,
    edited: Callable[[Callable[[Json], None]], str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    def change(content: Json) -> None:
        content["images"][0]["width"] += 1

    arguments = [edited(change), "--images", "2", "--output", str(tmp_path / "out")]
    assert main(arguments) == 0
    assert capsys.readouterr().out.count("warning: ") == 1
