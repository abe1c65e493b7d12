"""Bad input ends with one clear line and code 1 or 2, or it is left out and listed."""

import json

import pytest

from converters.deepfashion2_to_coco import main

SHIRT_WITH_24 = [0] * 72


@pytest.fixture
def folder(raw_folder, raw_item):
    """A split whose second image, 000002, is to be broken."""
    folder = raw_folder("validation")
    folder.add(1, raw_item())
    folder.add(2, raw_item(), raw_item())
    return folder


@pytest.fixture
def run(folder, tmp_path, capsys):
    """run(*arguments) -> (code, last line of stderr)."""

    def run(*arguments):
        paths = ["--annos", folder.annos, "--images", folder.images]
        code = main([str(a) for a in (*paths, "--output", tmp_path / "o" / "v.json", *arguments)])
        return code, capsys.readouterr().err.strip()

    return run


def assert_nothing_written(tmp_path):
    assert not (tmp_path / "o").exists() or not list((tmp_path / "o").iterdir())


BAD_ITEMS = {
    "landmarks": (
        {"landmarks": SHIRT_WITH_24},
        "wrong_landmark_count",
        "category 1 (short sleeve top) needs 25 landmarks = 75 numbers, got 72",
    ),
    "category": (
        {"category_id": 14},
        "unknown_category",
        "category_id: expected 1..13, got 14",
    ),
    "category 0": ({"category_id": 0}, "unknown_category", "expected 1..13, got 0"),
    "name": (
        {"category_name": "skirt"},
        "category_mismatch",
        "category_name: expected 'short sleeve top' for category_id 1, got 'skirt'",
    ),
    "visibility": (
        {"landmarks": [1, 2, 3] + [0] * 72},
        "invalid_visibility",
        "landmark 1: visibility must be 0, 1 or 2, got 3",
    ),
    "box length": (
        {"bounding_box": [1, 2, 3]},
        "wrong_box_length",
        "bounding_box: expected x1, y1, x2, y2, got 3 numbers",
    ),
    "empty box": ({"bounding_box": [9, 2, 9, 8]}, "empty_box", "got [9, 2, 9, 8]"),
    "box away": (
        {"bounding_box": [130, 2, 140, 8]},
        "box_outside_image",
        "expected a box in the image of 120 x 160 pixels, got [130, 2, 140, 8]",
    ),
    "type": ({"style": "1"}, "wrong_type", "style: expected `int`, got `str`"),
    "nested type": (
        {"segmentation": [[1, None]]},
        "wrong_type",
        "segmentation[0][1]: expected `int | float`, got `null`",
    ),
    "range": ({"bounding_box": [0, 0, 9, 10**30]}, "out_of_range", "bounding_box[3]"),
}


@pytest.mark.parametrize("name", BAD_ITEMS)
def test_bad_item_is_one_line_with_file_item_expected_got(name, folder, raw_item, run, tmp_path):
    changes, _, message = BAD_ITEMS[name]
    folder.add(2, raw_item(), {**raw_item(), **changes})
    code, error = run()
    assert code == 1
    assert "\n" not in error
    assert "validation/annos/000002.json, item2: " in error
    assert message in error
    assert_nothing_written(tmp_path)


@pytest.mark.parametrize("name", BAD_ITEMS)
def test_bad_item_can_be_left_out_and_is_listed(name, folder, raw_item, run, tmp_path):
    changes, reason, message = BAD_ITEMS[name]
    folder.add(2, raw_item(), {**raw_item(), **changes})
    report = tmp_path / "report.json"
    assert run("--on-error", "skip", "--report", report)[0] == 0
    coco = json.loads((tmp_path / "o" / "v.json").read_bytes())
    assert [a["image_id"] for a in coco["annotations"]] == [1, 2]
    counts = json.loads(report.read_text())["v"]
    assert (counts["items"], counts["annotations"]) == (3, 2)
    (skipped,) = counts["skipped_items"]
    assert (skipped["reason"], skipped["item"]) == (reason, "item2")
    assert message in skipped["message"]


def test_missing_field_is_named(folder, raw_item, run):
    item = raw_item()
    del item["zoom_in"]
    folder.add(2, item)
    code, error = run()
    assert code == 1 and "000002.json, item1: zoom_in: missing" in error


ITEM_TEXT = '{"source": "shop", "pair_id": 1, %s}'
BAD_FILES = {
    "malformed_json": ('{"source": "shop", "pair_id": 1', "is not valid JSON"),
    "malformed_json array": ("[]", "must be a JSON object: expected `object`, got `array`"),
    "malformed_json empty": ("", "is not valid JSON"),
    "malformed_json nan": (ITEM_TEXT % '"item1": NaN', "is not valid JSON"),
    "missing_field": ('{"source": "shop"}', "pair_id: missing"),
    "wrong_type": ('{"source": 1, "pair_id": 1}', "source: expected `str`, got `int`"),
    "unknown_key": (ITEM_TEXT % '"items": {}', "item1, item2..., got 'items'"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_annotation_file_is_one_line(name, folder, run, tmp_path):
    text, message = BAD_FILES[name]
    folder.add_text(2, text)
    code, error = run()
    assert code == 1
    assert "\n" not in error
    assert "validation/annos/000002.json: " in error and message in error
    assert_nothing_written(tmp_path)


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_annotation_file_can_be_left_out_and_is_listed(name, folder, run, tmp_path):
    folder.add_text(2, BAD_FILES[name][0])
    report = tmp_path / "report.json"
    assert run("--on-error", "skip", "--report", report)[0] == 0
    coco = json.loads((tmp_path / "o" / "v.json").read_bytes())
    assert [image["id"] for image in coco["images"]] == [1]
    (skipped,) = json.loads(report.read_text())["v"]["skipped_files"]
    assert skipped["reason"] == name.split()[0]


@pytest.mark.parametrize(
    "keys", [("item1", "item1"), ("item1", "item01"), ("item1", r"\u0069tem1")]
)
def test_item_that_is_there_twice_is_not_dropped_in_silence(keys, folder, raw_item, run):
    item = json.dumps(raw_item())
    folder.add_text(2, ITEM_TEXT % ", ".join(f'"{key}": {item}' for key in keys))
    code, error = run()
    assert code == 1 and "item 1 is there twice" in error


@pytest.mark.parametrize("content", [b"", b"not an image", b"\xff\xd8\xff\xe0\x00\x10JFIF"])
def test_unreadable_image_is_one_line(content, folder, run, tmp_path):
    (folder.images / "000002.jpg").write_bytes(content)
    code, error = run()
    assert code == 1
    assert "\n" not in error
    assert "validation/image/000002.jpg: unreadable image: " in error
    assert_nothing_written(tmp_path)


def test_missing_image_lists_its_items_when_left_out(folder, run, tmp_path):
    (folder.images / "000002.jpg").unlink()
    code, error = run()
    assert code == 1 and "image/000002.jpg: missing image; correct it, or" in error
    report = tmp_path / "report.json"
    assert run("--on-error", "skip", "--report", report)[0] == 0
    counts = json.loads(report.read_text())["v"]
    assert (counts["files"], counts["images"], len(counts["skipped_files"])) == (2, 1, 1)
    assert (counts["items"], counts["annotations"]) == (3, 1)
    assert [s["item"] for s in counts["skipped_items"]] == ["item1", "item2"]


def test_name_that_is_not_a_number_is_one_line(folder, run):
    (folder.annos / "000001 (1).json").write_text("{}")
    (folder.annos / "._000001.json").write_text("left by a file manager")
    code, error = run()
    assert code == 1 and "000001 (1).json: the file name must be a number" in error


@pytest.mark.parametrize("jobs", [1, 2])
def test_names_that_are_no_numbers_at_all_can_be_left_out(jobs, folder, run, tmp_path):
    for path in folder.annos.iterdir():
        path.rename(path.with_name(f"x{path.name}"))
    assert run("--on-error", "skip", "--jobs", jobs)[0] == 0
    assert json.loads((tmp_path / "o" / "v.json").read_bytes())["images"] == []


def test_two_names_of_one_number_are_one_line(folder, run):
    (folder.annos / "1.json").write_text("{}")
    code, error = run()
    assert code == 1 and "has the same number as 000001.json" in error


def test_images_without_annotation_file_are_counted(folder, run, tmp_path):
    (folder.annos / "000002.json").unlink()
    report = tmp_path / "report.json"
    assert run("--report", report)[0] == 0
    assert json.loads(report.read_text())["v"]["images_without_annotation"] == 1


@pytest.mark.parametrize("option", ["--annos", "--images", "--root"])
def test_missing_folder_is_one_line(option, folder, tmp_path, capsys):
    paths = {"--annos": folder.annos, "--images": folder.images, "--output": tmp_path / "o" / "v"}
    if option == "--root":
        paths = {}
    paths[option] = tmp_path / "nowhere"
    code = main([str(a) for pair in paths.items() for a in pair])
    error = capsys.readouterr().err.strip()
    assert code == 2
    assert "\n" not in error and "nowhere" in error
    assert_nothing_written(tmp_path)


def test_output_that_is_a_folder_is_one_line(folder, run, tmp_path):
    (tmp_path / "o" / "v.json").mkdir(parents=True)
    code, error = run()
    assert code == 2 and "v.json: must be a file, but is a folder" in error


def test_error_keeps_the_old_output(folder, run, tmp_path):
    assert run()[0] == 0
    old = (tmp_path / "o" / "v.json").read_bytes()
    folder.add_text(2, "{")
    assert run()[0] == 1
    assert (tmp_path / "o" / "v.json").read_bytes() == old
    assert len(list((tmp_path / "o").iterdir())) == 1


@pytest.mark.parametrize(
    "arguments",
    [[], ["--images", "x"], ["--root", "x", "--output", "y"], ["--root", "x", "--jobs", "0"]],
)
def test_wrong_usage_ends_with_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_help_names_every_option(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for option in ("--root", "--annos", "--images", "--output", "--visibility", "--jobs",
                   "--limit", "--on-error", "--report"):  # fmt: skip
        assert option in text


def test_report_counts_everything(folder, raw_item, run, tmp_path):
    unusual = raw_item(9, landmarks=[130, 9, 2] + [0] * 21, segmentation=[], viewpoint=4)
    folder.add(3, unusual, raw_item(9, landmarks=[0] * 24, segmentation=[[1, 2, 3, 4]]))
    folder.add(4)
    report = tmp_path / "report.json"
    assert run("--report", report)[0] == 0
    counts = json.loads(report.read_text())["v"]
    assert (counts["files"], counts["images"]) == (4, 4)
    assert (counts["items"], counts["annotations"]) == (5, 5)
    # Three shirts of 25 landmarks with 2, 1, 0, 2, 1, 0...; two skirts of 8 with one visible.
    assert counts["visibility"] == {"not labelled": 39, "occluded": 24, "visible": 28}
    assert counts["categories"]["short sleeve top"] == 3
    assert counts["categories"]["skirt"] == 2
    assert counts["accepted"] == {
        "image_without_items": 1,
        "landmark_outside_image": 1,
        "no_labelled_landmark": 1,
        "no_polygon": 1,
        "unknown_attribute_value": 1,
        "unusable_polygon": 1,
    }
    assert counts["repairs"] == counts["skipped_files"] == counts["skipped_items"] == []
