"""Annotations computed from what was drawn. The rules stand in ``docs/synthetic.md``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from df2_landmarks.synthetic.scene.composition import PlacedItem
from df2_landmarks.taxonomy import CATEGORIES

Mask = NDArray[np.uint8]

MIN_SHARE = 0.002
"""A garment of which less than this share of the picture is seen is not annotated."""
MIN_LANDMARKS = 2
SCALES = (0.10, 0.40)
OCCLUSIONS = (0.20, 0.50)
ZOOMS = (0.0, 0.30)
POLYGON_TOLERANCE_PX, MIN_POLYGON_AREA_PX = 0.8, 9.0


def owned_mask(label_map: Mask, owners: NDArray[np.int64], owner: int) -> Mask:
    """(H, W) 0/1: where one sees the layers of an owner.

    Args:
        label_map: (H, W) 1 + index of the layer that one sees.
        owners: (L,) owner of each layer.
    """
    table = np.zeros(256, np.uint8)
    table[1 : len(owners) + 1] = owners == owner
    mask: Mask = cv2.LUT(label_map, table)
    return mask


def polygons(mask: Mask) -> list[list[int]]:
    """Outer outlines of the parts of a mask, the largest first: flat x, y, at least 3 points."""
    x, y, width, height = cv2.boundingRect(mask)
    if width == 0:
        return []
    part = mask[y : y + height, x : x + width]
    outlines, _ = cv2.findContours(part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=(x, y))
    kept = [o for o in outlines if cv2.contourArea(o) >= MIN_POLYGON_AREA_PX]
    kept = kept or [max(outlines, key=cv2.contourArea)]
    kept.sort(key=cv2.contourArea, reverse=True)
    simple = [cv2.approxPolyDP(outline, POLYGON_TOLERANCE_PX, True) for outline in kept]
    return [[int(v) for v in outline.ravel()] for outline in simple if len(outline) >= 3]


def labelled(
    item: PlacedItem, depths: NDArray[np.float64], label_map: Mask
) -> tuple[NDArray[np.int64], int]:
    """Landmarks of an item as they are annotated.

    Args:
        depths: (L,) of the layers.
        label_map: (H, W) 1 + index of the layer that one sees.

    Returns:
        (K, 3) of x, y, v with (0, 0) where v = 0, and the number of landmarks outside the picture.
    """
    xy = np.floor(item.landmarks_px + 0.5).astype(np.int64)
    visibility = _seen(xy, label_map, item.layers_of_row, depths)
    outside = int((visibility == 0).sum())
    visibility[item.hidden | (item.hidden_unless_seen & (visibility == 1))] = 0
    xy[visibility == 0] = 0
    return np.column_stack([xy, visibility]), outside


def near_px(picture_size: tuple[int, int]) -> int:
    """A landmark is seen when its panel is seen within this many pixels of it, in x and y."""
    return 1 if min(picture_size) <= 450 else 2


def _seen(
    xy: NDArray[np.int64],
    label_map: Mask,
    layers_of_row: Sequence[Sequence[int]],
    depths: NDArray[np.float64],
) -> NDArray[np.int64]:
    """(K,): 2 seen, 1 covered, 0 outside the picture.

    Covered: its panels are not seen close by, and what is seen at its place lies in front of them.
    """
    height, width = label_map.shape
    inside = (xy >= 0).all(1) & (xy[:, 0] < width) & (xy[:, 1] < height)
    radius = near_px((height, width))
    step = np.arange(-radius, radius + 1)
    columns = (xy[:, 0, None, None] + step[None, None, :]).clip(0, width - 1)
    rows = (xy[:, 1, None, None] + step[None, :, None]).clip(0, height - 1)
    own = np.zeros((len(xy), 256), bool)
    rearmost = np.full(len(xy), np.inf)
    for row, layers in enumerate(layers_of_row):
        own[row, [layer + 1 for layer in layers]] = True
        rearmost[row] = min((depths[layer] for layer in layers), default=np.inf)
    near = label_map[rows, columns].reshape(len(xy), -1).astype(np.int64)
    seen = np.take_along_axis(own, near, axis=1).any(1)
    depth_there = np.concatenate([[-np.inf], depths])[near[:, near.shape[1] // 2]]
    return np.where(inside, 1 + (seen | (depth_there < rearmost)), 0)


def is_annotated(mask: Mask, landmarks: NDArray[np.int64]) -> bool:
    """Whether enough of a garment is seen; ``landmarks`` (K, 3)."""
    enough = np.count_nonzero(mask) >= MIN_SHARE * mask.size
    return bool(enough and np.count_nonzero(landmarks[:, 2]) >= MIN_LANDMARKS)


def box(
    mask: Mask, landmarks: NDArray[np.int64], slack: NDArray[np.float64]
) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 around the seen mask and the labelled landmarks, loosened and clipped.

    Args:
        mask: (H, W).
        landmarks: (K, 3).
        slack: (4,) gap on each side as a share of the box's width or height.
    """
    x, y, width, height = cv2.boundingRect(mask)
    labelled = landmarks[landmarks[:, 2] > 0, :2]
    low = np.vstack([[[x, y]], labelled]).min(0)
    high = np.vstack([[[x + width, y + height]], labelled + 1]).max(0)
    size = high - low
    low = np.floor(low - slack[:2] * size).clip(0)
    high = np.ceil(high + slack[2:] * size)
    return (
        int(low[0]),
        int(low[1]),
        int(min(high[0], mask.shape[1])),
        int(min(high[1], mask.shape[0])),
    )


def level(share: float, limits: tuple[float, float]) -> int:
    """1, 2 or 3: at most the first limit, at most the second, above."""
    return 1 + (share > limits[0]) + (share > limits[1])


def attributes(
    bounding_box: tuple[int, int, int, int],
    landmarks: NDArray[np.int64],
    picture_size: tuple[int, ...],
    outside: int,
) -> dict[str, int]:
    """``scale``, ``occlusion`` and ``zoom_in``, 1..3 each.

    Args:
        picture_size: (height, width).
        outside: number of landmarks outside the picture.
    """
    x1, y1, x2, y2 = bounding_box
    area = (x2 - x1) * (y2 - y1) / (picture_size[0] * picture_size[1])
    count = len(landmarks)
    covered = int((landmarks[:, 2] == 1).sum())
    return {
        "scale": level(area, SCALES),
        "occlusion": level(covered / count, OCCLUSIONS),
        "zoom_in": level(outside / count, ZOOMS),
    }


def item_record(
    item: PlacedItem,
    mask: Mask,
    landmarks: NDArray[np.int64],
    *,
    outside: int,
    slack: NDArray[np.float64],
) -> dict[str, Any]:
    """One ``item`` of a raw annotation file."""
    category = CATEGORIES[item.garment.class_index]
    bounding_box = box(mask, landmarks, slack)
    return {
        "segmentation": polygons(mask),
        **attributes(bounding_box, landmarks, mask.shape, outside),
        "viewpoint": item.viewpoint,
        "landmarks": [int(v) for v in landmarks.ravel()],
        "style": item.garment.style,
        "bounding_box": list(bounding_box),
        "category_id": category.id,
        "category_name": category.name,
    }
