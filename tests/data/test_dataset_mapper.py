"""The mapper moves image, boxes, polygons and landmarks together, and drops no garment."""

import os

import cv2
import numpy as np
import pytest
from detectron2.data import transforms as T
from detectron2.structures import BoxMode
from PIL import Image

from df2_landmarks.common import UserError
from df2_landmarks.data import LandmarkDatasetMapper, load_landmark_json
from df2_landmarks.data.dataset_mapper import (
    MAX_SKIPPED,
    is_mirrored,
    transform_landmarks,
    usable_polygons,
)
from df2_landmarks.taxonomy import DEEPFASHION2
from tests.support import tiny_config

WIDTH, HEIGHT = 120, 160


def garment(class_index, **changes):
    count = DEEPFASHION2.counts[class_index]
    rng = np.random.default_rng(class_index)
    xy = rng.uniform((12, 12), (WIDTH - 12, HEIGHT - 12), (count, 2)).round() + 0.5
    return {
        "bbox": [5, 5, WIDTH - 10, HEIGHT - 10],
        "bbox_mode": BoxMode.XYWH_ABS,
        "category_id": class_index,
        "segmentation": [[5, 5, WIDTH - 5, 5, WIDTH - 5, HEIGHT - 5, 5, HEIGHT - 5]],
        "iscrowd": 0,
        "keypoints": np.column_stack((xy, np.full(count, 2))).astype(np.float32).reshape(-1),
        **changes,
    }


def record(tmp_path, annotations, image=None):
    path = tmp_path / "000001.png"
    cv2.imwrite(str(path), np.zeros((HEIGHT, WIDTH, 3), np.uint8) if image is None else image)
    return {
        "file_name": str(path),
        "image_id": 1,
        "height": HEIGHT,
        "width": WIDTH,
        "annotations": annotations,
    }


def mapper(*augmentations, is_train=True):
    return LandmarkDatasetMapper(
        is_train=is_train, augmentations=augmentations, image_format="BGR", use_masks=True
    )


@pytest.mark.parametrize("class_index", range(DEEPFASHION2.num_categories))
def test_flip_twice_is_identity(class_index):
    landmarks = garment(class_index)["keypoints"]
    flip = T.TransformList([T.HFlipTransform(WIDTH)])
    size = HEIGHT, WIDTH
    once = transform_landmarks(landmarks, DEEPFASHION2.flip_indices[class_index], flip, size)
    twice = transform_landmarks(once, DEEPFASHION2.flip_indices[class_index], flip, size)
    np.testing.assert_allclose(twice.reshape(-1), landmarks, atol=1e-4)
    assert not np.allclose(once, landmarks.reshape(-1, 3))


def test_flip_uses_the_pairs_of_the_category():
    shorts = 6
    landmarks = np.zeros((10, 3), np.float32)
    landmarks[0] = 20, 30, 2  # waist_left
    flipped = transform_landmarks(
        landmarks,
        DEEPFASHION2.flip_indices[shorts],
        T.TransformList([T.HFlipTransform(WIDTH)]),
        (HEIGHT, WIDTH),
    )
    assert flipped[2].tolist() == [100, 30, 2]  # waist_right
    assert (np.delete(flipped, 2, axis=0) == 0).all()


def test_two_flips_in_one_list_are_no_flip():
    assert is_mirrored(T.TransformList([T.HFlipTransform(9), T.NoOpTransform()]))
    assert not is_mirrored(T.TransformList([T.HFlipTransform(9), T.HFlipTransform(9)]))


@pytest.mark.parametrize(
    "augmentations",
    [
        [],
        [T.RandomFlip(prob=1.0)],
        [T.ResizeShortestEdge(240, 400)],
        [T.RandomCrop("absolute", (100, 90)), T.ResizeShortestEdge(150, 400), T.RandomFlip()],
        [T.RandomRotation([20, 20], expand=False)],
    ],
    ids=["none", "flip", "resize", "crop-resize-flip", "rotation"],
)
def test_landmarks_stay_on_what_is_painted_under_them(tmp_path, augmentations):
    """Each landmark gets a blob of its own grey value, found again after the augmentation."""
    trousers = 7
    annotation = garment(trousers)
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    grid = np.stack(np.meshgrid(np.linspace(20, 100, 4), np.linspace(20, 140, 4)), -1)
    xy = grid.reshape(-1, 2)[: DEEPFASHION2.counts[trousers]].round() + 0.5
    annotation["keypoints"] = np.column_stack((xy, np.full(len(xy), 2))).astype(np.float32).ravel()
    values = 100 + 10 * np.arange(len(xy))
    for (x, y), value in zip(xy - 0.5, values.tolist(), strict=True):
        cv2.circle(image, (int(x), int(y)), 4, (value, value, value), -1)

    example = mapper(*augmentations)(record(tmp_path, [annotation], image))
    moved = example["instances"].gt_keypoints.tensor[0, : len(xy)].numpy()
    canvas = example["image"][0].numpy()
    flipped = not np.array_equal(_values(canvas, moved), values * (moved[:, 2] > 0))
    expected = values[DEEPFASHION2.flip_indices[trousers, : len(xy)]] if flipped else values
    inside = moved[:, 2] > 0
    assert inside.sum() >= 4
    np.testing.assert_allclose(_values(canvas, moved)[inside], expected[inside], atol=2)


def _values(canvas, landmarks):
    columns = landmarks[:, 0].astype(int).clip(0, canvas.shape[1] - 1)
    rows = landmarks[:, 1].astype(int).clip(0, canvas.shape[0] - 1)
    return canvas[rows, columns].astype(int) * (landmarks[:, 2] > 0)


def test_landmarks_that_leave_the_image_are_unlabelled():
    crop = T.TransformList([T.CropTransform(0, 0, 50, 60)])
    landmarks = np.array([[10, 10, 2], [50, 60, 1], [51, 10, 2]], np.float32)
    moved = transform_landmarks(landmarks, DEEPFASHION2.flip_indices[6], crop, (60, 50))
    assert moved[:, 2].tolist()[::-1] == [0, 1, 2] or moved[:3, 2].tolist() == [2, 1, 0]
    assert moved[2].tolist() == [0, 0, 0]


def test_padding_has_visibility_zero(tmp_path):
    example = mapper()(record(tmp_path, [garment(6), garment(3)]))
    landmarks = example["instances"].gt_keypoints.tensor
    assert landmarks.shape == (2, 39, 3)
    assert (landmarks[0, 10:] == 0).all()
    assert (landmarks[1, :, 2] == 2).all()


@pytest.mark.parametrize(
    "segmentation", [[], [[1, 2, 3, 4]], [[1, 2, 3, 4, 5]], [[5, 5, 9, 9, 13, 13]]]
)
def test_garment_with_an_unusable_polygon_keeps_its_landmarks(tmp_path, segmentation):
    example = mapper()(record(tmp_path, [garment(0, segmentation=segmentation), garment(1)]))
    instances = example["instances"]
    assert instances.gt_classes.tolist() == [0, 1]
    assert instances.gt_masks.nonempty().tolist() == [False, True]
    assert (instances.gt_keypoints.tensor[0, :25, 2] == 2).all()


def test_garment_without_labelled_landmarks_is_kept(tmp_path):
    unlabelled = garment(4, keypoints=np.zeros(45, np.float32))
    assert len(mapper()(record(tmp_path, [unlabelled]))["instances"]) == 1


def test_garment_outside_the_crop_is_dropped_and_an_empty_image_works(tmp_path):
    outside = garment(4, bbox=[100, 100, 10, 10])
    crop = T.RandomCrop("absolute", (40, 40))
    crop.get_transform = lambda image: T.CropTransform(0, 0, 40, 40)
    instances = mapper(crop)(record(tmp_path, [outside]))["instances"]
    assert len(instances) == 0
    assert instances.gt_keypoints.tensor.shape == (0, 39, 3)


def test_only_the_usable_polygons_of_a_garment_remain():
    polygons = usable_polygons([[0, 0, 9, 0, 9, 9], [1, 1, 2, 2]], T.TransformList([]))
    assert [p.tolist() for p in polygons] == [[0, 0, 9, 0, 9, 9]]


def test_the_dataset_dict_is_not_changed(tmp_path):
    original = record(tmp_path, [garment(0)])
    before = original["annotations"][0]["keypoints"].copy()
    mapper(T.RandomFlip(prob=1.0))(original)
    assert "annotations" in original
    np.testing.assert_array_equal(original["annotations"][0]["keypoints"], before)


def test_testing_needs_no_annotations(tmp_path):
    example = mapper(is_train=False)(record(tmp_path, []))
    assert "instances" not in example
    assert example["image"].shape == (3, HEIGHT, WIDTH)


def test_bad_images_are_named(tmp_path):
    missing = {**record(tmp_path, []), "file_name": str(tmp_path / "000009.jpg")}
    with pytest.raises(UserError, match=r"000009\.jpg: .* missing"):
        mapper()(missing)
    broken = tmp_path / "000002.jpg"
    broken.write_bytes(b"no image")
    with pytest.raises(UserError, match=r"000002\.jpg: not a picture that can be read"):
        mapper()({**record(tmp_path, []), "file_name": str(broken)})
    cv2.imwrite(str(broken), np.zeros((8, 8, 3), np.uint8))
    data = bytearray(broken.read_bytes())
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = b"\xff\xf0\xff\xf0"  # more pixels than Pillow decodes
    broken.write_bytes(data)
    with pytest.raises(UserError, match=r"000002\.jpg: not a readable picture"):
        mapper()({**record(tmp_path, []), "file_name": str(broken)})
    with pytest.raises(UserError, match=r"annotations say .*\(99, 160\), but the image has"):
        mapper()({**record(tmp_path, []), "width": 99})


def test_16_bit_pictures_are_trained_on_as_a_person_sees_them(tmp_path):
    """Detectron2's own reader makes them white."""
    grey = np.linspace(0, 65535, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint16)
    path = tmp_path / "000003.png"
    cv2.imwrite(str(path), grey)
    image = mapper()({**record(tmp_path, []), "file_name": str(path)})["image"].numpy()
    expected = np.round(grey / 257).astype(np.uint8)
    np.testing.assert_allclose(image[0].astype(int), expected, atol=1)


def test_a_program_in_disguise_is_not_run(tmp_path):
    path = tmp_path / "000004.jpg"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n{} loop\n")
    with pytest.raises(UserError, match=r"000004\.jpg: not a picture that can be read"):
        mapper()({**record(tmp_path, []), "file_name": str(path)})


def test_a_bomb_is_not_decoded(tmp_path):
    """A small file of a great many pixels: only its header is read."""
    bomb = tmp_path / "000005.png"
    Image.new("1", (60_000, 2_900)).save(bomb)
    with pytest.raises(UserError, match=r"000005\.png: the annotations say .* has \(60000, 2900\)"):
        mapper()({**record(tmp_path, []), "file_name": str(bomb)})
    told = {"file_name": str(bomb), "width": 60_000, "height": 2_900}
    with pytest.raises(UserError, match=r"more pixels than the limit of 100,000,000"):
        mapper()({**record(tmp_path, []), **told})


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "000006.jpg")
    with pytest.raises(UserError, match=r"000006\.jpg: is no file"):
        mapper()({**record(tmp_path, []), "file_name": str(tmp_path / "000006.jpg")})


def test_bad_images_are_skipped_where_that_is_asked_for_up_to_a_limit(tmp_path, caplog):
    missing = {**record(tmp_path, []), "file_name": str(tmp_path / "none.jpg")}
    skipping = LandmarkDatasetMapper(tiny_config("INPUT.ON_BAD_IMAGE", "skip"), is_train=True)
    for number in range(MAX_SKIPPED):
        assert skipping(missing) is None
        assert skipping.num_skipped == number + 1
    assert "none.jpg" in caplog.text
    with pytest.raises(UserError, match=r"more than 100 bad images .*none\.jpg"):
        skipping(missing)
    evaluating = LandmarkDatasetMapper(tiny_config("INPUT.ON_BAD_IMAGE", "skip"), is_train=False)
    with pytest.raises(UserError, match="missing"):
        evaluating(missing)


def test_raw_landmarks_come_through_conversion_and_loading(tiny_datasets):
    """raw file -> COCO -> loader: the same numbers, half a pixel further."""
    import json

    data = tiny_datasets / "deepfashion2_synthetic"
    records = load_landmark_json(data / "annotations" / "train.json", data / "train" / "image")
    for item in records:
        raw = json.loads((data / "train" / "annos" / f"{item['image_id']:06d}.json").read_text())
        names = sorted((k for k in raw if k.startswith("item")), key=lambda k: int(k[4:]))
        for name, annotation in zip(names, item["annotations"], strict=True):
            expected = np.reshape(raw[name]["landmarks"], (-1, 3)).astype(float)
            expected[:, :2] += 0.5
            expected[expected[:, 2] == 0] = 0
            expected[:, :2] = expected[:, :2].clip(0, (item["width"], item["height"]))
            np.testing.assert_allclose(annotation["keypoints"].reshape(-1, 3), expected)
