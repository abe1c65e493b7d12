"""The content of the COCO JSON, on hand-made files."""

import json

import numpy as np
import pytest

from converters.deepfashion2_to_coco import main
from df2_landmarks.formats import read_ground_truth
from df2_landmarks.taxonomy import DEEPFASHION2
from tests.support import run_python

SHIRT, TROUSERS, SLING_DRESS = 1, 8, 13


@pytest.fixture
def convert(raw_folder, tmp_path):
    """convert(folder, *arguments) -> the parsed output."""

    def run(folder, *arguments):
        output = tmp_path / "out.json"
        paths = ["--annos", folder.annos, "--images", folder.images, "--output", output]
        assert main([str(a) for a in (*paths, *arguments)]) == 0
        return json.loads(output.read_bytes())

    return run


def test_official_layout_of_one_item(raw_folder, raw_item, convert):
    folder = raw_folder("train")
    item = raw_item(TROUSERS)
    folder.add(31, item)
    coco = convert(folder)
    assert set(coco) == {"info", "licenses", "images", "annotations", "categories"}
    assert coco["images"] == [
        {
            "coco_url": "",
            "date_captured": "",
            "file_name": "000031.jpg",
            "flickr_url": "",
            "id": 31,
            "license": 0,
            "width": 120,
            "height": 160,
        }
    ]
    (annotation,) = coco["annotations"]
    keypoints = annotation.pop("keypoints")
    assert annotation == {
        "area": 13000,
        "bbox": [10, 20, 100, 130],
        "category_id": 8,
        "id": 1,
        "pair_id": 7,
        "image_id": 31,
        "iscrowd": 0,
        "style": 1,
        "num_keypoints": 10,
        "segmentation": [[10, 20.5, 110, 20, 110, 150, 10, 20.5]],
        "source": "shop",
        "scale": 2,
        "occlusion": 1,
        "zoom_in": 3,
        "viewpoint": 2,
    }
    # The challenge page: trousers are the 169th to 182nd landmarks.
    assert len(keypoints) == 882
    assert keypoints[168 * 3 : 182 * 3] == item["landmarks"]
    assert not any(keypoints[: 168 * 3]) and not any(keypoints[182 * 3 :])


def test_categories_carry_official_names_and_all_slots(raw_folder, raw_item, convert):
    folder = raw_folder("train")
    folder.add(1, raw_item())
    categories = convert(folder)["categories"]
    assert [c["id"] for c in categories] == list(range(1, 14))
    assert categories[0]["name"] == "short_sleeved_shirt"
    for category in categories:
        assert category["supercategory"] == "clothes"
        assert category["keypoints"] == [str(i) for i in range(1, 295)]
        assert category["skeleton"] == []


@pytest.mark.parametrize("category_id", range(1, 14))
def test_landmarks_of_each_category_stand_in_its_slots(category_id, raw_folder, raw_item, convert):
    folder = raw_folder("train")
    item = raw_item(category_id)
    folder.add(1, item)
    (annotation,) = convert(folder)["annotations"]
    slots = DEEPFASHION2.slots(category_id - 1)
    first, end = 3 * slots.start, 3 * slots.stop
    assert annotation["keypoints"][first:end] == item["landmarks"]
    assert not any(annotation["keypoints"][:first] + annotation["keypoints"][end:])


def test_ids_follow_image_id_then_item_number(raw_folder, raw_item, convert):
    folder = raw_folder("train")
    folder.add(10, raw_item(), raw_item(TROUSERS))
    content = {f"item{n}": raw_item(style=n) for n in (10, 2, 1)}
    # Keys in any order, as in the real train/000001.json.
    folder.add_text(9, json.dumps({**content, "source": "user", "pair_id": 3}))
    annotations = convert(folder)["annotations"]
    assert [a["id"] for a in annotations] == [1, 2, 3, 4, 5]
    assert [a["image_id"] for a in annotations] == [9, 9, 9, 10, 10]
    assert [a["style"] for a in annotations][:3] == [1, 2, 10]
    assert [a["source"] for a in annotations] == ["user"] * 3 + ["shop"] * 2


def test_visible_protocol_unlabels_occluded_landmarks(raw_folder, raw_item, convert):
    folder = raw_folder("validation")
    landmarks = raw_item(9)["landmarks"]
    landmarks[:9] = [5, 6, 2, 7, 8, 1, 0, 9, 2]
    landmarks[9:] = [0] * 15
    folder.add(1, raw_item(9, landmarks=landmarks))
    (every,) = convert(folder)["annotations"]
    (visible,) = convert(folder, "--visibility", "visible")["annotations"]
    first = 3 * 182
    assert every["num_keypoints"] == 3
    assert visible["num_keypoints"] == 2
    assert visible["keypoints"][first : first + 9] == [5, 6, 2, 0, 0, 0, 0, 9, 2]
    assert visible["area"] == every["area"]


def test_integers_are_written_as_integers(raw_folder, raw_item, convert, tmp_path):
    folder = raw_folder("train")
    landmarks = [float(v) for v in raw_item(9)["landmarks"]]
    landmarks[0] = 1.25
    polygon = [10.0, 20.5, 30.05, 40.0, 1e-7, 6.0]
    folder.add(
        1, raw_item(9, landmarks=landmarks, segmentation=[polygon], bounding_box=[1.0, 2, 9, 5.0])
    )
    (annotation,) = convert(folder)["annotations"]
    text = (tmp_path / "out.json").read_text()
    assert ".0," not in text and ".0]" not in text
    assert annotation["segmentation"] == [polygon]
    assert annotation["bbox"] == [1, 2, 8, 3]
    assert annotation["keypoints"][3 * 182 : 3 * 190] == landmarks


def test_unusual_but_normal_items_are_kept_as_they_are(raw_folder, raw_item, convert):
    folder = raw_folder("train")
    unlabelled = raw_item(9, landmarks=[0] * 24)
    at_border = raw_item(9, landmarks=[0, 160, 2, 120, 0, 1] + [0] * 18)
    odd_polygons = raw_item(9, segmentation=[[1, 2, 3, 4], [1, 2, 3, 4, 5, 6, 7], []])
    folder.add(1, unlabelled, at_border, odd_polygons)
    first, second, third = convert(folder)["annotations"]
    assert first["num_keypoints"] == 0
    assert second["keypoints"][3 * 182 : 3 * 182 + 6] == [0, 160, 2, 120, 0, 1]
    assert third["segmentation"] == odd_polygons["segmentation"]


def test_box_that_leaves_the_image_is_clipped_and_reported(raw_folder, raw_item, convert, tmp_path):
    folder = raw_folder("train")
    folder.add(1, raw_item(bounding_box=[-5, 20, 130, 150]))
    (annotation,) = convert(folder, "--report", str(tmp_path / "report.json"))["annotations"]
    assert annotation["bbox"] == [0, 20, 120, 130]
    assert annotation["area"] == 15600
    (repair,) = json.loads((tmp_path / "report.json").read_text())["out"]["repairs"]
    assert repair["reason"] == "box_clipped" and repair["item"] == "item1"
    assert "got [-5, 20, 130, 150]" in repair["message"]


def test_image_without_items_is_kept(raw_folder, convert):
    folder = raw_folder("train")
    folder.add(4)
    coco = convert(folder)
    assert [image["id"] for image in coco["images"]] == [4]
    assert coco["annotations"] == []


SOURCE = '100% "new", 1.0, [2.0]'


def test_any_text_in_source_survives(raw_folder, raw_item, convert):
    folder = raw_folder("train")
    text = json.dumps({"source": SOURCE, "pair_id": 1, "item1": raw_item()})
    folder.add_text(1, text)
    assert convert(folder)["annotations"][0]["source"] == SOURCE


def test_limit_takes_the_first_images(raw_folder, raw_item, convert):
    folder = raw_folder("train")
    for image_id in (3, 1, 2):
        folder.add(image_id, raw_item())
    assert [i["id"] for i in convert(folder, "--limit", "2")["images"]] == [1, 2]


def test_without_annos_images_are_listed(raw_folder, raw_item, tmp_path):
    folder = raw_folder("test")
    folder.add(2, raw_item(), size=(50, 40))
    output = tmp_path / "test.json"
    assert main(["--images", str(folder.images), "--output", str(output)]) == 0
    coco = json.loads(output.read_bytes())
    assert [(i["id"], i["width"], i["height"]) for i in coco["images"]] == [(2, 50, 40)]
    assert coco["annotations"] == []
    assert len(coco["categories"]) == 13


def test_root_converts_every_split_that_is_there(raw_folder, raw_item, tmp_path):
    for name in ("train", "validation", "test"):
        raw_folder(name).add(1, raw_item())
    for path in (tmp_path / "test" / "annos").iterdir():
        path.unlink()
    (tmp_path / "test" / "annos").rmdir()
    assert main(["--root", str(tmp_path)]) == 0
    written = {p.name: json.loads(p.read_bytes()) for p in (tmp_path / "annotations").iterdir()}
    assert sorted(written) == [
        "test.json",
        "train.json",
        "validation.json",
        "validation_visible.json",
    ]
    labelled = {n: [a["num_keypoints"] for a in c["annotations"]] for n, c in written.items()}
    assert labelled == {
        "train.json": [17],
        "validation.json": [17],
        "validation_visible.json": [9],
        "test.json": [],
    }


OPENED = """
import sys
from converters.deepfashion2_to_coco import main
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
main(["--root", sys.argv[1], "--jobs", "1"])
raw = [path for path in opened if path.endswith((".jpg", ".json")) and "annotations" not in path]
print(len(raw), len(set(raw)))
"""


def test_both_files_of_the_validation_split_come_from_one_pass(raw_folder, raw_item, tmp_path):
    """Each raw file is opened once, and the files equal those of two conversions of their own."""
    folder = raw_folder("validation")
    for image_id in range(1, 14):
        folder.add(image_id, raw_item(image_id), raw_item(9))
    done = run_python("-c", OPENED, tmp_path)
    assert done.stdout.splitlines()[-1] == "26 26", done.stderr
    for visibility, name in (("all", "validation"), ("visible", "validation_visible")):
        alone = tmp_path / f"{visibility}.json"
        arguments = ["--annos", folder.annos, "--images", folder.images, "--output", alone]
        assert main([*map(str, arguments), "--visibility", visibility]) == 0
        assert (tmp_path / "annotations" / f"{name}.json").read_bytes() == alone.read_bytes()


def test_own_landmarks_with_names_and_skeletons_for_other_tools(raw_folder, raw_item, convert):
    folder = raw_folder("train")
    folder.add(31, raw_item(TROUSERS))
    everything, own = convert(folder), convert(folder, "--own-landmarks")
    (annotation,), (slotted,) = own["annotations"], everything["annotations"]
    slots = DEEPFASHION2.slots(TROUSERS - 1)
    assert annotation.pop("keypoints") == slotted.pop("keypoints")[3 * slots.start : 3 * slots.stop]
    assert annotation == slotted
    assert own["images"] == everything["images"]
    for record, category in zip(own["categories"], DEEPFASHION2.categories, strict=True):
        assert (record["id"], record["name"]) == (category.id, category.official_name)
        assert record["keypoints"] == list(category.landmark_names)
        assert record["skeleton"] == [list(edge) for edge in category.skeleton]
        assert all(
            1 <= number <= category.num_landmarks for e in record["skeleton"] for number in e
        )


def test_a_file_of_own_landmarks_loads_as_the_one_of_all_slots(tiny_datasets, tmp_path):
    data = tiny_datasets / "deepfashion2_synthetic"
    split = data / "validation"
    paths = ["--annos", split / "annos", "--images", split / "image"]
    output = tmp_path / "own.json"
    assert main([str(a) for a in (*paths, "--own-landmarks", "--output", output)]) == 0
    own = read_ground_truth(output)
    slotted = read_ground_truth(data / "annotations" / "validation.json")
    assert not own.remarks
    assert own.num_items == slotted.num_items > 3
    for a, b in zip(own.classes, slotted.classes, strict=True):
        np.testing.assert_array_equal(a.landmarks_xy, b.landmarks_xy)
        np.testing.assert_array_equal(a.visibility, b.visibility)
