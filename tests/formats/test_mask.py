"""A mask is the same pixels whatever it was made of."""

import numpy as np
import pytest
import torch
from detectron2.layers import paste_masks_in_image
from pycocotools import mask as coco_mask

from df2_landmarks.formats import Mask


def test_overlapping_polygons_are_united():
    whole = np.array([[10, 10], [90, 10], [90, 60], [10, 60]])
    part = np.array([[30, 20], [60, 20], [60, 50], [30, 50]])
    mask = Mask.from_polygons([whole, part], 80, 100)
    expected = coco_mask.decode(
        coco_mask.merge(
            coco_mask.frPyObjects([whole.ravel().tolist(), part.ravel().tolist()], 80, 100)
        )
    )
    np.testing.assert_array_equal(mask.array, expected.astype(bool))
    assert mask.area == 80 * 50


def test_a_line_is_no_mask():
    assert Mask.from_polygons([np.array([[1, 1], [5, 5]])], 8, 8).area == 0


@pytest.mark.parametrize(
    "box",
    [
        (10.3, 5.2, 60.7, 70.1),
        (-20, -10, 50, 60),
        (80, 70, 130, 120),
        (0, 0, 100, 90),
        (5, 5, 6, 6),
    ],
)
def test_probabilities_are_pasted_as_detectron2_pastes_them(box):
    generator = torch.Generator().manual_seed(0)
    probabilities = torch.rand(28, 28, generator=generator)
    expected = paste_masks_in_image(probabilities[None], torch.tensor([box]), (90, 100))[0]
    got = Mask.from_probabilities(probabilities.numpy(), np.array(box), 90, 100)
    # A probability within rounding of the threshold may fall on either side.
    assert (got.array != expected.numpy()).mean() < 1e-3
    assert got.array.shape == (90, 100)


def test_run_lengths_there_and_back():
    array = np.zeros((7, 9), dtype=bool)
    array[2:5, 3:8] = True
    rle = Mask.from_array(array).rle
    assert rle["size"] == [7, 9]
    np.testing.assert_array_equal(Mask.from_rle(rle).array, array)


def test_polygons_of_a_mask_lie_on_its_border():
    array = np.zeros((7, 9), dtype=bool)
    array[2:5, 3:8] = True
    (polygon,) = Mask.from_array(array).polygons
    assert polygon.min(axis=0).tolist() == [3.5, 2.5]
    assert polygon.max(axis=0).tolist() == [7.5, 4.5]
