"""Loading keeps each garment's own landmarks, half a pixel further, and says what is wrong."""

import json

import numpy as np
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

from df2_landmarks.common import UserError
from df2_landmarks.data import FOLDERS, SPLITS, load_landmark_json
from df2_landmarks.formats import read_ground_truth
from df2_landmarks.taxonomy import DEEPFASHION2


def coco(category_id=8, own=((10, 20, 2), (0, 0, 0), (30, 100, 1)), **changes):
    """A COCO JSON of one 80 x 100 image with one garment; its first landmarks are `own`."""
    keypoints = np.zeros((DEEPFASHION2.num_slots, 3), dtype=int)
    start = (
        DEEPFASHION2.offsets[category_id - 1]
        if category_id in range(1, DEEPFASHION2.num_categories + 1)
        else 0
    )
    keypoints[start : start + len(own)] = np.reshape(own, (-1, 3))
    annotation = {
        "id": 1,
        "image_id": 7,
        "category_id": category_id,
        "bbox": [5, 10, 60, 80],
        "area": 4800,
        "iscrowd": 0,
        "segmentation": [[5, 10, 65, 10, 65, 90]],
        "keypoints": keypoints.reshape(-1).tolist(),
        "num_keypoints": 2,
        "style": 0,
        "source": "user",
        **changes,
    }
    image = {"id": 7, "file_name": "000007.jpg", "width": 80, "height": 100}
    return {"images": [image], "annotations": [annotation], "categories": []}


def load(tmp_path, content):
    path = tmp_path / "train.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return load_landmark_json(path, tmp_path / "image")


def test_own_landmarks_only_in_continuous_coordinates(tmp_path):
    (record,) = load(tmp_path, coco())
    (annotation,) = record["annotations"]
    assert record["file_name"] == str(tmp_path / "image" / "000007.jpg")
    assert annotation["category_id"] == 7  # the class, 0-based
    landmarks = annotation["keypoints"].reshape(-1, 3)
    assert landmarks.shape == (14, 3)
    assert landmarks[0].tolist() == [10.5, 20.5, 2]
    assert landmarks[1].tolist() == [0, 0, 0]
    assert (landmarks[3:] == 0).all()


def test_landmark_at_y_equal_to_the_height_stays_in_the_image(tmp_path):
    (record,) = load(tmp_path, coco())
    assert record["annotations"][0]["keypoints"].reshape(-1, 3)[2].tolist() == [30.5, 100, 1]


def test_landmark_at_the_origin_with_a_visibility_is_a_landmark(tmp_path):
    (record,) = load(tmp_path, coco(own=[(0, 0, 1)]))
    assert record["annotations"][0]["keypoints"][:3].tolist() == [0.5, 0.5, 1]


def test_attributes_that_the_file_has_are_carried_along(tmp_path):
    (record,) = load(tmp_path, coco())
    annotation = record["annotations"][0]
    assert (annotation["style"], annotation["source"]) == (0, "user")
    assert "viewpoint" not in annotation


def test_garment_without_labelled_landmarks_is_kept(tmp_path):
    (record,) = load(tmp_path, coco(own=[], num_keypoints=0))
    assert len(record["annotations"]) == 1


def test_image_only_json_loads(tmp_path):
    content = coco()
    del content["annotations"]
    assert load(tmp_path, content)[0]["annotations"] == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"train\.json: expected a key, got the end of the file"),
        ([1], r"train\.json: expected a JSON object, got '\[1\]'"),
        (coco(category_id=14), r"annotations, record 0: category_id: must be 1\.\.13, but got 14"),
        (coco(keypoints=[1, 2, 3]), r"annotations, record 0: keypoints: needs 294 .* got 3"),
        (coco(own=[(1, 2, 3)]), r"annotations, record 0: keypoints: v must be 0, 1 or 2"),
        (coco(image_id=8), "annotation 1 is of image 8, which is not in the list 'images'"),
        (coco(bbox=[1, 2, 3]), r"annotations, record 0: bbox: .*length 4"),
        (coco(segmentation=[[1, "2"]]), r"annotations, record 0: segmentation\[0\]\[1\]: Expected"),
        (coco(segmentation={"size": [1, 1]}), "record 0: segmentation: as a mask in RLE form, cou"),
    ],
)
def test_a_wrong_file_is_refused_with_place_expectation_and_finding(tmp_path, content, message):
    with pytest.raises(UserError, match=message):
        load(tmp_path, content)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"source": "user"', '"source": "\xff"'),  # not UTF-8
        ('"file_name": "0', '"file_name": "\xff'),
        ('"source": "user"', '"source": ' + "[" * 100_000),
        ('"width": 80', f'"width": {2**70}'),
    ],
)
def test_damaged_bytes_are_refused_with_the_name_of_the_file(tmp_path, old, new):
    text = json.dumps(coco())
    assert old in text
    path = tmp_path / "train.json"
    path.write_bytes(text.replace(old, new).encode("latin-1"))
    with pytest.raises(UserError, match=r"train\.json"):
        load_landmark_json(path, tmp_path)


def test_two_images_of_one_id_are_refused(tmp_path):
    """As in two merged files, since all splits number their images from 1."""
    content = coco()
    content["images"] *= 2
    with pytest.raises(UserError, match=r"train\.json: image ids must be unique, but 7 occurs 2"):
        load(tmp_path, content)


@pytest.mark.parametrize("field", ["file_name", "width", "height"])
def test_an_image_without_name_or_size_is_refused(tmp_path, field):
    content = coco()
    del content["images"][0][field]
    with pytest.raises(UserError, match=r"train\.json: 1 of 1 images .* must have file_name, wi"):
        load(tmp_path, content)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"category_id": 0}, "annotations, record 0: category_id: must be 1..13, but got 0"),
        ({"keypoints": [2] * 882}, "record 0: keypoints: a slot of another category has v > 0"),
        ({"image_id": 8}, "annotation 1 is of image 8"),
        ({"id": 0}, "annotation ids must be 1 or more"),
        ({"area": "large"}, "record 0: area: Expected `float`"),
    ],
)
def test_loading_and_scoring_refuse_the_same_files_in_the_same_words(tmp_path, change, message):
    content = coco()
    content["annotations"][0].update(change)
    path = tmp_path / "train.json"
    path.write_text(json.dumps(content))
    messages = []
    for read in (lambda: load_landmark_json(path, tmp_path), lambda: read_ground_truth(path)):
        with pytest.raises(UserError, match=message) as caught:
            read()
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_loaded_landmarks_are_those_of_the_score_half_a_pixel_further(tiny_datasets):
    data = tiny_datasets / "deepfashion2_synthetic"
    path = data / "annotations" / "validation.json"
    loaded = [
        (a["category_id"], a["keypoints"].reshape(-1, 3))
        for record in load_landmark_json(path, data)
        for a in record["annotations"]
    ]
    ground_truth = read_ground_truth(path)
    for class_index, truth in enumerate(ground_truth.classes):
        own_landmarks = [keypoints for c, keypoints in loaded if c == class_index]
        assert len(own_landmarks) == len(truth)
        for row, keypoints in enumerate(own_landmarks):
            labelled = truth.visibility[row] > 0
            assert keypoints[:, 2].tolist() == truth.visibility[row].tolist()
            expected = truth.landmarks_xy[row, labelled] + 0.5
            # The loader moves landmarks beside the image onto its border.
            np.testing.assert_allclose(keypoints[labelled, :2], expected, atol=0.5)
            inside = ((expected > 0) & (expected < 100)).all(axis=1)
            np.testing.assert_array_equal(
                keypoints[labelled][inside, :2], expected[inside].astype(np.float32)
            )


def test_a_missing_file_names_the_remedy(tmp_path):
    with pytest.raises(UserError, match="make convert"):
        load_landmark_json(tmp_path / "none.json", tmp_path)


def test_every_split_is_registered_with_metadata():
    for folder in FOLDERS:
        for split in SPLITS:
            assert f"{folder}_{split}" in DatasetCatalog.list()
    metadata = MetadataCatalog.get("deepfashion2_validation_visible")
    assert metadata.json_file.endswith("deepfashion2/annotations/validation_visible.json")
    assert metadata.image_root.endswith("deepfashion2/validation/image")
    assert metadata.thing_classes == [c.official_name for c in DEEPFASHION2.categories]
    assert metadata.thing_dataset_id_to_contiguous_id[13] == 12


def test_converted_files_load(tiny_datasets):
    data = tiny_datasets / "deepfashion2_synthetic"
    for split, images in SPLITS.items():
        records = load_landmark_json(
            data / "annotations" / f"{split}.json", data / images / "image"
        )
        assert len(records) == {"train": 12, "test": 2}.get(split, 4)
        assert all(
            len(a["keypoints"]) == 3 * DEEPFASHION2.counts[a["category_id"]]
            for r in records
            for a in r["annotations"]
        )
