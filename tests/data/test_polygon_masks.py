"""Masks that are indexed as Detectron2's are."""

import numpy as np
import pytest
import torch
from detectron2.structures import PolygonMasks

from df2_landmarks.data.polygon_masks import CheckedPolygonMasks

POLYGONS = [
    [np.array([0.0, 0, 4, 0, 4, 4])],
    [],
    [np.array([1.0, 1, 5, 1, 5, 5, 1, 5]), np.array([7.0, 7, 9, 7, 9, 9])],
]


@pytest.mark.parametrize(
    "item",
    [
        1,
        -1,
        slice(1, 3),
        slice(0, 0),
        [2, 0, 2],
        [],
        torch.tensor([2, 2, 1]),
        torch.tensor([], dtype=torch.int64),
        torch.tensor([True, False, True]),
        torch.tensor([False, False, False]),
    ],
    ids=repr,
)
def test_indexing_gives_what_detectron2s_gives(item):
    chosen, expected = CheckedPolygonMasks(POLYGONS)[item], PolygonMasks(POLYGONS)[item]
    assert isinstance(chosen, CheckedPolygonMasks)
    assert [[p.tolist() for p in mask] for mask in chosen.polygons] == [
        [p.tolist() for p in mask] for mask in expected.polygons
    ]
    assert chosen.nonempty().tolist() == expected.nonempty().tolist()


def test_an_index_out_of_range_is_refused():
    with pytest.raises(IndexError):
        CheckedPolygonMasks(POLYGONS)[torch.tensor([3])]


def test_what_is_no_polygon_is_refused_when_masks_are_made():
    with pytest.raises(ValueError, match="4 coordinates"):
        CheckedPolygonMasks([[np.array([0.0, 0, 1, 1])]])
