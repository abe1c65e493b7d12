"""Every form in which garments leave has exactly the landmarks of their category."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from df2_landmarks.common import UserError
from df2_landmarks.formats import Landmarks, Mask, detected_garments
from df2_landmarks.formats.garment import Garment
from df2_landmarks.predict import Garments
from df2_landmarks.taxonomy import DEEPFASHION2

WIDTH, HEIGHT = 60, 50
PADDING = -777.0


def garments_of(*class_indices, with_masks=True, occluded=()):
    """One garment of each class; whatever is padding is a number that must never come out."""
    count = len(class_indices)
    landmarks = np.full((count, DEEPFASHION2.max_landmarks, 3), PADDING)
    visible = np.full((count, DEEPFASHION2.max_landmarks), PADDING)
    for row, class_index in enumerate(class_indices):
        own = slice(0, DEEPFASHION2.counts[class_index])
        landmarks[row, own, 0] = np.arange(DEEPFASHION2.counts[class_index]) + 0.5
        landmarks[row, own, 1] = row + 0.5
        landmarks[row, own, 2] = 0.75
        visible[row, own] = 0.9
        visible[row, list(occluded)] = 0.1
    mask = Mask.from_array(np.tri(HEIGHT, WIDTH, dtype=bool))
    found = detected_garments(
        taxonomy=DEEPFASHION2,
        classes=np.array(class_indices, dtype=np.int64),
        scores=np.linspace(0.9, 0.5, count),
        boxes_xyxy=np.tile([1.0, 2, 31, 42], (count, 1)),
        landmarks=landmarks,
        visible=visible,
        masks=[mask] * count if with_masks else None,
    )
    return Garments(tuple(found), WIDTH, HEIGHT, 0.9)


@pytest.mark.parametrize("class_index", range(len(DEEPFASHION2.categories)))
def test_exactly_the_landmarks_of_the_category_leave(class_index):
    category = DEEPFASHION2.categories[class_index]
    count = category.num_landmarks
    garments = garments_of(class_index)

    (record,) = garments.to_dict()["garments"]
    assert list(record["landmarks"]) == list(category.landmark_names)

    (annotation,) = garments.to_coco()
    assert annotation["num_keypoints"] == count
    points = np.reshape(annotation["keypoints"], (-1, 3))
    np.testing.assert_array_equal(points[:, 0], np.arange(count))  # half a pixel less
    np.testing.assert_array_equal(points[:, 2], 2)

    supervision = pytest.importorskip("supervision")
    detections, points = garments.to_supervision()
    assert isinstance(detections, supervision.Detections)
    assert isinstance(points, supervision.KeyPoints)
    assert points.xy.shape == (1, count, 2) and points.visible.all()
    for text in (repr(garments.to_dict()), repr(annotation), repr(detections), repr(points)):
        assert str(PADDING) not in text and "-777" not in text


def test_a_shorter_garment_beside_a_longer_one_is_padded_visibly():
    """Only for supervision, whose arrays are rectangular."""
    pytest.importorskip("supervision")
    longest = int(np.argmax(DEEPFASHION2.counts))
    skirt = 8
    detections, points = garments_of(skirt, longest).to_supervision()
    assert points.xy.shape == (2, DEEPFASHION2.max_landmarks, 2)
    assert points.visible.sum(axis=1).tolist() == [
        DEEPFASHION2.counts[skirt],
        DEEPFASHION2.max_landmarks,
    ]
    padding = ~points.visible
    assert (points.xy[padding] == 0).all() and (points.keypoint_confidence[padding] == 0).all()
    names = [DEEPFASHION2.categories[skirt].name, DEEPFASHION2.categories[longest].name]
    assert detections.data["class_name"].tolist() == names
    assert points.data["class_name"].tolist() == names
    assert detections.class_id.tolist() == points.class_id.tolist() == [skirt, longest]
    assert detections.mask.shape == (2, HEIGHT, WIDTH)
    np.testing.assert_allclose(detections.confidence, [0.9, 0.5])


def test_supervision_gets_no_masks_where_there_are_none():
    supervision = pytest.importorskip("supervision")
    detections, _ = garments_of(0, with_masks=False).to_supervision()
    assert detections.mask is None
    detections, points = Garments((), WIDTH, HEIGHT, 0.0).to_supervision()
    assert len(detections) == len(points) == 0
    assert len(supervision.Detections.merge([detections, detections])) == 0


def test_supervision_draws_them():
    supervision = pytest.importorskip("supervision")
    detections, points = garments_of(0, 8).to_supervision()
    canvas = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    drawn = supervision.BoxAnnotator().annotate(canvas.copy(), detections)
    drawn = supervision.VertexAnnotator(radius=1).annotate(drawn, points)
    assert (drawn != canvas).any()


def test_without_supervision_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(UserError, match="pip install supervision"):
        garments_of(0).to_supervision()


def test_occluded_landmarks_are_marked():
    (annotation,) = garments_of(8, occluded=[2]).to_coco()
    assert annotation["keypoints"][2::3] == [2, 2, 1, 2, 2, 2, 2, 2]


def test_landmarks_that_are_not_labelled_do_not_leave():
    """Their coordinates mean nothing."""
    skirt = DEEPFASHION2.categories[8]
    visibility = np.array([0, 1, 2, 2, 2, 2, 2, 2])
    landmarks = Landmarks(skirt.landmark_names, np.full((8, 2), 7.5), visibility)
    garment = Garment(skirt, np.array([1.0, 2, 31, 42]), landmarks)
    garments = Garments((garment,), WIDTH, HEIGHT, 0.0)
    (record,) = garments.to_dict()["garments"]
    assert list(record["landmarks"]) == list(skirt.landmark_names[1:])
    (annotation,) = garments.to_coco()
    assert annotation["keypoints"][:6] == [0, 0, 0, 7, 7, 1]
    assert annotation["num_keypoints"] == 7 and "score" not in annotation


def test_coco_annotations_are_numbered_and_read_by_pycocotools(tmp_path):
    from pycocotools.coco import COCO

    garments = garments_of(0, 8)
    annotations = garments.to_coco(7, first_id=5)
    assert [(a["id"], a["image_id"], a["category_id"]) for a in annotations] == [
        (5, 7, 1),
        (6, 7, 9),
    ]
    assert annotations[0]["bbox"] == [1, 2, 30, 40]
    assert annotations[0]["area"] == np.tri(HEIGHT, WIDTH).sum()
    images = [{"id": 7, "width": WIDTH, "height": HEIGHT}]
    categories = [{"id": c.id, "name": c.name} for c in DEEPFASHION2.categories]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "coco.json").write_text(json.dumps(content))
    coco = COCO(str(tmp_path / "coco.json"))
    mask = coco.annToMask(coco.loadAnns([6])[0])
    np.testing.assert_array_equal(mask, np.tri(HEIGHT, WIDTH))


def test_plain_data_is_json():
    garments = garments_of(0, 8)
    record = garments.to_dict()
    assert json.loads(json.dumps(record)) == record
    assert (record["width"], record["height"]) == (WIDTH, HEIGHT)
    assert "mask" in record["garments"][0]
    assert "mask" not in garments.to_dict(with_masks=False)["garments"][0]


def test_they_are_a_list():
    garments = garments_of(0, 8, 3)
    assert len(garments) == 3 and garments[-1].category == DEEPFASHION2.categories[3].name
    assert [g.category_id for g in garments] == [1, 9, 4]
    assert [g.category_id for g in garments[1:]] == [9, 4]
    assert "skirt" in repr(garments)
    assert not Garments((), 1, 1, 0.0)


def test_drawing_needs_their_picture():
    garments = garments_of(0)
    rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    drawn = garments.draw(rgb, channels="RGB")
    assert drawn.shape == rgb.shape and drawn.any() and not rgb.any()
    assert drawn.flags["C_CONTIGUOUS"], "OpenCV and torch take it as it is"
    np.testing.assert_array_equal(garments.draw(rgb, channels="BGR"), drawn[:, :, ::-1])
    with pytest.raises(UserError, match=r"of a picture of 60 x 50, but this one has 50 x 60"):
        garments.draw(rgb.transpose(1, 0, 2), channels="RGB")
