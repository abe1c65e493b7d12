"""Pictures show what they are given, and where it is."""

import numpy as np
import pytest
import torch
from detectron2.structures import Boxes, Instances

from df2_landmarks.formats import (
    Garment,
    Landmarks,
    Mask,
    garments_of_instances,
    garments_of_record,
)
from df2_landmarks.taxonomy import CATEGORIES
from df2_landmarks.visualization import contact_sheet, draw_garments

SKIRT = CATEGORIES[8]


def skirt(visibility, **changes):
    xy = np.array([[60, 40], [100, 45], [140, 40], [50, 90], [40, 150], [100, 155], [160, 150]])
    landmarks_xy = np.vstack([xy, [150, 90]]) + 0.5
    return Garment(
        definition=SKIRT,
        box_xyxy=np.array([35.0, 35, 165, 160]),
        landmarks=Landmarks(SKIRT.landmark_names, landmarks_xy, np.asarray(visibility)),
        **changes,
    )


def blank():
    return np.full((200, 200, 3), 128, np.uint8)


def test_visible_landmarks_are_dots_and_occluded_ones_rings():
    image = draw_garments(blank(), [skirt([2, 1, 0, 2, 2, 2, 2, 2])])
    color = SKIRT.rgb[::-1]
    assert tuple(image[40, 60]) == color
    assert tuple(image[45, 100]) == (255, 255, 255)
    assert tuple(image[40, 140]) == (128, 128, 128)


def test_the_image_is_not_changed():
    image = blank()
    draw_garments(image, [skirt([2] * 8)])
    assert (image == 128).all()


def test_the_mask_is_tinted_inside_its_outline():
    square = np.array([[70.0, 60], [120, 60], [120, 130], [70, 130]])
    image = draw_garments(blank(), [skirt([0] * 8, mask=Mask.from_polygons([square], 200, 200))])
    assert tuple(image[100, 100]) != (128, 128, 128)
    assert tuple(image[100, 130]) == (128, 128, 128)


def test_detections_above_the_score_are_drawn_from_instances():
    instances = Instances((200, 200))
    instances.pred_boxes = Boxes(torch.tensor([[10.0, 10, 90, 90], [20, 20, 80, 80]]))
    instances.scores = torch.tensor([0.9, 0.2])
    instances.pred_classes = torch.tensor([8, 3])
    instances.pred_keypoints = torch.full((2, 39, 3), 50.0)
    instances.pred_masks = torch.zeros(2, 200, 200, dtype=torch.bool)
    instances.pred_masks[0, 20:40, 30:60] = True
    (garment,) = garments_of_instances(instances, min_score=0.5)
    assert garment.category == "skirt"
    assert garment.landmarks.xy.shape == (8, 2)
    assert garment.score == pytest.approx(0.9)
    assert garment.mask.polygons[0].min(axis=0).tolist() == [30.5, 20.5]


def test_ground_truth_is_drawn_from_annotations():
    keypoints = np.array([[10.5, 20.5, 2]] + [[0, 0, 0]] * 7, np.float32).ravel()
    annotation = {"bbox": [1, 2, 30, 40], "category_id": 8, "keypoints": keypoints}
    (garment,) = garments_of_record({"height": 60, "width": 60, "annotations": [annotation]})
    assert garment.box_xyxy.tolist() == [1, 2, 31, 42]
    assert garment.landmarks.visibility.tolist() == [2, 0, 0, 0, 0, 0, 0, 0]
    assert garment.score is None


def test_contact_sheet_places_pairs_in_a_grid():
    red, blue = np.zeros((50, 100, 3), np.uint8), np.zeros((100, 50, 3), np.uint8)
    red[:], blue[:] = (0, 0, 255), (255, 0, 0)
    sheet = contact_sheet([(red, blue)] * 4, num_columns=3, tile_px=100)
    assert sheet.shape == (22 + 200, 600, 3)
    assert sheet[72, 50].tolist() == [0, 0, 255]
    assert sheet[72, 150].tolist() == [255, 0, 0]
    assert sheet[172, 250].tolist() == [255, 255, 255]  # no fifth pair
    with pytest.raises(ValueError, match="at least one pair"):
        contact_sheet([])
