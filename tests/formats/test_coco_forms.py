"""Files of other tools are understood: their ids, landmarks, masks and missing fields."""

from __future__ import annotations

import codecs
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from df2_landmarks.common import UserError
from df2_landmarks.data import load_landmark_json
from df2_landmarks.evaluation import score
from df2_landmarks.formats import (
    VISIBLE_AND_OCCLUDED,
    CocoReader,
    read_boxes_and_masks,
    read_ground_truth,
    read_results,
)
from df2_landmarks.formats.coco.rle import decode_rle
from df2_landmarks.taxonomy import DEEPFASHION2
from tests.evaluation.cases import make_ground_truth, make_results
from tests.formats.coco_cases import HEIGHT, WIDTH, Json, all_slots, coco, own_landmarks, write

TOPS = (0, 7, 12, 0)
"""Classes of the garments of `coco`."""


def loaded(folder: Path, content: Any) -> list[tuple[int, list[float]]]:
    """Class and landmarks of each garment as training gets them."""
    records = load_landmark_json(write(folder / "train.json", content), folder)
    garments = [(r["image_id"], a) for r in records for a in r["annotations"]]
    return [(a["category_id"], a["keypoints"].tolist()) for _, a in garments]


def scored(folder: Path, content: Any) -> list[Any]:
    """Landmarks and boxes of each class as the score gets them."""
    truth = read_ground_truth(write(folder / "train.json", content))
    return [
        [part.landmarks_xy.tolist(), part.visibility.tolist(), part.boxes_xywh.tolist()]
        for part in truth.classes
    ]


def notes(path: Path) -> str:
    reader = CocoReader(path)
    for _ in reader.blocks():
        pass
    return "\n".join(reader.report.lines())


def with_ids(content: Json, new_id: dict[int, Any], names: dict[int, str] | None = None) -> Json:
    """The same file with other category ids."""
    for record in content["categories"]:
        record["name"] = (names or {}).get(record["id"], record["name"])
        record["id"] = new_id[record["id"]]
    for record in content["annotations"]:
        record["category_id"] = new_id[record["category_id"]]
    return content


IDS = range(1, DEEPFASHION2.num_categories + 1)


@pytest.mark.parametrize(
    "new_id",
    [
        {i: i - 1 for i in IDS},
        {i: 10 * i for i in IDS},
        {i: DEEPFASHION2.num_categories + 1 - i for i in IDS},
        {i: 2**40 + 3 * i for i in IDS},
    ],
)
@pytest.mark.parametrize("where", ["first", "between", "last"])
def test_categories_go_by_name_whatever_their_ids_and_place(
    tmp_path: Path, new_id: dict[int, int], where: str
) -> None:
    expected = loaded(tmp_path, coco())
    expected_scored = scored(tmp_path, coco())
    content = with_ids(coco(), new_id)
    order = {
        "first": ("categories", "images", "annotations"),
        "between": ("annotations", "categories", "images"),
        "last": ("images", "annotations", "categories"),
    }[where]
    content = {key: content[key] for key in order}
    assert loaded(tmp_path, content) == expected
    assert scored(tmp_path, content) == expected_scored
    assert [class_index for class_index, _ in expected] == [7, 0, 0, 12]
    assert f"category ids go by name: {min(new_id.values())} is " in notes(tmp_path / "train.json")


@pytest.mark.parametrize("where", ["first", "last"])
def test_a_packed_file_is_mapped_alike(tmp_path: Path, where: str) -> None:
    content = with_ids(coco(), {i: i - 1 for i in IDS})
    if where == "last":
        content["categories"] = content.pop("categories")
    path = tmp_path / "truth.json.gz"
    path.write_bytes(gzip.compress(json.dumps(content).encode()))
    counts = [len(part) for part in read_ground_truth(path).classes]
    assert [counts[c] for c in (0, 7, 12)] == [2, 1, 1]


def test_a_member_of_that_name_deeper_in_the_file_is_not_taken(tmp_path: Path) -> None:
    content = with_ids(coco(), {i: i - 1 for i in IDS})
    categories = content.pop("categories")
    wrong = [{"id": i, "name": c.official_name} for i, c in enumerate(DEEPFASHION2.categories, 1)]
    content = {**content, "categories": categories, "info": {"categories": wrong}}
    assert [class_index for class_index, _ in loaded(tmp_path, content)] == [7, 0, 0, 12]


@pytest.mark.parametrize("spelling", [str.upper, str.title, lambda n: f" {n} ".replace("_", "-")])
def test_raw_and_official_names_in_any_spelling_are_known(tmp_path: Path, spelling: Any) -> None:
    names = {c.id: spelling((c.name, c.official_name)[c.id % 2]) for c in DEEPFASHION2.categories}
    content = with_ids(coco(), {i: i - 1 for i in IDS}, names)
    assert loaded(tmp_path, content) == loaded(tmp_path, coco())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {0: "short sleeved shrit"},
            r"record 0: category_id: 1 is 'short sleeved shrit', which is not a category of "
            r"DeepFashion2; did you mean 'short_sleeved_shirt'\?",
        ),
        ({1: "Short Sleeved Shirt"}, "'Short Sleeved Shirt' must occur once, but ids 1 and 2 both"),
    ],
)
def test_names_that_are_unknown_or_equal_are_one_line(
    tmp_path: Path, changes: dict[int, str], message: str
) -> None:
    content = coco()
    for row, name in changes.items():
        content["categories"][row]["name"] = name
    path = write(tmp_path / "train.json", content)
    for read in (read_ground_truth, lambda p: load_landmark_json(p, tmp_path)):
        with pytest.raises(UserError, match=message):
            read(path)


def test_a_category_that_no_garment_has_may_be_unknown(tmp_path: Path) -> None:
    content = coco()
    content["categories"].insert(0, {"id": 0, "name": "clothes"})  # as some tools write
    assert loaded(tmp_path, content) == loaded(tmp_path, coco())


def test_an_id_that_no_category_has_is_refused(tmp_path: Path) -> None:
    content = with_ids(coco(), {i: i - 1 for i in IDS})
    content["annotations"][2]["category_id"] = 13
    with pytest.raises(UserError, match=r"record 2: category_id: must be 0\.\.12, but got 13"):
        loaded(tmp_path, content)


def test_two_categories_of_one_id_are_refused(tmp_path: Path) -> None:
    content = coco()
    content["categories"][1]["id"] = 1
    with pytest.raises(UserError, match=r"categories: id 1 must occur once, but occurs again"):
        loaded(tmp_path, content)


def test_without_categories_ids_must_be_those_of_the_taxonomy(tmp_path: Path) -> None:
    content = coco()
    del content["categories"]
    assert loaded(tmp_path, content) == loaded(tmp_path, coco())
    content["annotations"][1]["category_id"] = 0
    with pytest.raises(UserError, match=r"record 1: category_id: must be 1\.\.13, but got 0"):
        loaded(tmp_path, content)


def test_landmark_names_in_another_order_are_refused(tmp_path: Path) -> None:
    content = coco()
    names = list(DEEPFASHION2.categories[0].landmark_names)
    content["categories"][0]["keypoints"] = names
    assert loaded(tmp_path, content) == loaded(tmp_path, coco())
    names[1], names[2] = names[2], names[1]
    with pytest.raises(UserError, match="in the order of the taxonomy, with 'neckline_left' as"):
        loaded(tmp_path, content)


def test_own_landmarks_are_read_as_all_slots_are(tmp_path: Path) -> None:
    assert loaded(tmp_path, coco(own=True)) == loaded(tmp_path, coco(own=False))
    assert scored(tmp_path, coco(own=True)) == scored(tmp_path, coco(own=False))


def test_results_with_own_landmarks_have_the_same_score_to_the_last_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth = make_ground_truth(rng)
    results = make_results(rng, truth)
    ground_truth = read_ground_truth(write(tmp_path / "truth.json", truth))
    curves = []
    for own in (False, True):
        for record in results if own else ():
            slots = DEEPFASHION2.slots(record["category_id"] - 1)
            record["keypoints"] = record["keypoints"][3 * slots.start : 3 * slots.stop]
        detections = read_results(write(tmp_path / "results.json", results), ground_truth)
        curves.append(score(ground_truth, detections, VISIBLE_AND_OCCLUDED).curves)
    np.testing.assert_array_equal(curves[0].precision, curves[1].precision)
    np.testing.assert_array_equal(curves[0].scores, curves[1].scores)


def rle(compressed: bool) -> Json:
    """A mask of 30 x 20 pixels at x = 50, y = 100."""
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8, order="F")
    mask[100:120, 50:80] = 1
    if compressed:
        return {"size": [HEIGHT, WIDTH], "counts": coco_mask.encode(mask)["counts"].decode()}
    column = [20, HEIGHT - 20]
    return {
        "size": [HEIGHT, WIDTH],
        "counts": [50 * HEIGHT + 100, *(column * 29), 20, 120 * HEIGHT + HEIGHT - 120],
    }


@pytest.mark.parametrize("compressed", [False, True])
def test_masks_in_rle_form_are_trained_on_along_the_edges_of_their_pixels(
    tmp_path: Path, compressed: bool
) -> None:
    content = coco((0,))
    content["annotations"][0]["segmentation"] = rle(compressed)
    (_, record) = load_landmark_json(write(tmp_path / "train.json", content), tmp_path)
    (polygon,) = record["annotations"][0]["segmentation"]
    assert polygon.min() == 50
    corners = {(x, y) for x, y in polygon.reshape(-1, 2).tolist()}
    assert corners == {(50, 100), (80, 100), (80, 120), (50, 120)}
    assert "1 x masks in RLE form" in notes(tmp_path / "train.json")


@pytest.mark.parametrize("compressed", [False, True])
def test_crowds_in_rle_form_are_read_and_scored(tmp_path: Path, compressed: bool) -> None:
    content = coco()
    crowd = content["annotations"][1]
    crowd |= {"iscrowd": 1, "segmentation": rle(compressed)}
    del crowd["keypoints"], crowd["num_keypoints"]  # COCO's own crowds have zeros
    path = write(tmp_path / "train.json", content)
    assert len(load_landmark_json(path, tmp_path).with_garments()) == 2
    truth = COCO()
    truth.dataset = read_boxes_and_masks(path)
    truth.createIndex()
    assert truth.annToMask(truth.anns[2]).sum() == 30 * 20
    assert sum(part.crowd.sum() for part in read_ground_truth(path).classes) == 1


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (
            {"size": [HEIGHT, WIDTH]},
            "record 0: segmentation: as a mask in RLE form, counts",
        ),
        ({"counts": "a"}, r"record 0: .* size must be \[height, width\], but got None"),
        ({"size": [2, 2], "counts": [1, 2]}, "counts must have the sum 2 x 2, but got 3"),
        ({"size": [2, 2], "counts": [1, -1, 4]}, "counts must be a list of whole numbers, or COCO"),
        ({"size": [2, 2], "counts": "Z~"}, "counts must be COCO's compressed text, but got 'Z~'"),
        ({"size": [2, 2], "counts": "4Z"}, "counts must be COCO's compressed text, but it ends"),
        ({"size": [10**9, 10**9], "counts": "a"}, "size must be .* of a picture"),
        (
            {"size": [4, 2], "counts": [8]},
            "1 of 1 masks .* size of its.*4, 2, image 200 x 300",
        ),
    ],
)
def test_a_damaged_mask_is_refused(tmp_path: Path, mask: Json, message: str) -> None:
    content = coco((0,))
    content["annotations"][0]["segmentation"] = mask
    path = write(tmp_path / "train.json", content)
    for read in (read_ground_truth, lambda p: load_landmark_json(p, tmp_path)):
        with pytest.raises(UserError, match=message):
            read(path)


@pytest.mark.parametrize("seed", range(3))
def test_compressed_masks_are_decoded_as_pycocotools_decodes_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = np.asfortranarray(rng.random((40, 30)) < (0.5, 0.02, 0.98)[seed], dtype=np.uint8)
    mask[5:30, 7:20] = seed % 2
    counts = coco_mask.encode(mask)["counts"].decode()
    np.testing.assert_array_equal(decode_rle({"size": [40, 30], "counts": counts}), mask)


def test_missing_iscrowd_and_area_are_filled_in_and_said(tmp_path: Path) -> None:
    content = coco()
    for annotation in content["annotations"]:
        del annotation["iscrowd"], annotation["area"]
    content["annotations"][0]["iscrowd"] = None
    path = write(tmp_path / "train.json", content)
    content = read_boxes_and_masks(path)
    assert [(a["iscrowd"], a["area"]) for a in content["annotations"]] == [(0, 100 * 200)] * 4
    assert "note: 4 x iscrowd is missing: taken as 0" in notes(path)
    assert "note: 4 x area is missing: taken as width x height of the box" in notes(path)
    (remark, *_) = read_ground_truth(path).remarks
    assert remark.startswith("train.json, note: 4 x ")


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ({"iscrowd": False}, "iscrowd as true or false"),
        ({"iscrowd": 0.0}, "iscrowd as a decimal number"),
        ({"id": "1", "image_id": "9"}, "id as text"),
        ({"category_id": "1"}, "category_id as text"),
        ({"id": 1.0}, "id as a decimal number"),
        ({"segmentation": None}, None),
        ({"segmentation": [40, 60, 140, 60, 140, 260]}, "segmentation as one flat list"),
        ({"num_keypoints": None}, None),
    ],
)
def test_fields_of_another_type_are_understood_and_counted(
    tmp_path: Path, change: Json, note: str | None
) -> None:
    content = coco((0,))
    content["annotations"][0] |= change
    path = write(tmp_path / "train.json", content)
    assert loaded(tmp_path, content) == loaded(tmp_path, coco((0,)))
    if note:
        write(path, content)
        assert f"note: 1 x {note}: understood" in notes(path)


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("scale", 0.9, "a decimal number"),
        ("occlusion", "partial", "text"),
        ("zoom_in", True, "true or false"),
        ("viewpoint", "left", "text"),
        ("source", 3, "a whole number"),
        ("style", 1.5, "a decimal number"),
        ("pair_id", {"of": 3}, "something else"),
        ("pair_id", 10**30, "a whole number"),
    ],
)
def test_fields_of_other_data_sets_are_no_attributes_and_counted(
    tmp_path: Path, name: str, value: Any, kind: str
) -> None:
    content = coco((0,))
    content["annotations"][0][name] = value
    path = write(tmp_path / "train.json", content)
    (record,) = (r for r in load_landmark_json(path, tmp_path) if r["annotations"])
    assert name not in record["annotations"][0]
    assert loaded(tmp_path, content) == loaded(tmp_path, coco((0,)))
    write(path, content)
    assert f"note: 1 x {name} as {kind}: not read, no attribute of DeepFashion2" in notes(path)


def test_sizes_of_images_may_be_decimals_or_text(tmp_path: Path) -> None:
    content = coco()
    content["images"][0]["width"], content["images"][1]["height"] = float(WIDTH), str(HEIGHT)
    records = load_landmark_json(write(tmp_path / "train.json", content), tmp_path)
    assert {(r["width"], r["height"]) for r in records} == {(WIDTH, HEIGHT)}


def test_ids_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    content = coco()
    content["images"][0]["id"] = "a7f3"
    with pytest.raises(UserError, match=r"images, record 0: id: Expected `int`, got `str`"):
        loaded(tmp_path, content)


def test_a_byte_order_mark_is_skipped_and_utf_16_is_named(tmp_path: Path) -> None:
    text = json.dumps(coco())
    assert loaded(tmp_path, codecs.BOM_UTF8 + text.encode()) == loaded(tmp_path, text)
    for encoded in (text.encode("utf-16"), text.encode("utf-16-be")):
        with pytest.raises(UserError, match=r"train\.json: must be UTF-8, but was saved as UTF-16"):
            loaded(tmp_path, encoded)


def test_a_garment_without_keypoints_is_refused(tmp_path: Path) -> None:
    content = coco()
    del content["annotations"][1]["keypoints"]
    with pytest.raises(UserError, match="record 1: keypoints: must be there; write 0 where there"):
        loaded(tmp_path, content)


def test_the_slots_of_these_cases_are_those_of_the_taxonomy() -> None:
    for class_index in TOPS:
        slots = DEEPFASHION2.slots(class_index)
        own = all_slots(class_index)[3 * slots.start : 3 * slots.stop]
        assert own == own_landmarks(class_index)
