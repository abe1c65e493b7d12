"""Annotations computed from what was drawn. The rules stand in ``docs/how-to/drawn-data.md``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from df2_landmarks.synthetic.paint import Layer
from df2_landmarks.synthetic.scene import PlacedItem, Scene

Mask = NDArray[np.uint8]

MIN_SHARE = 0.002
"""A garment that covers less than this share of the picture is not annotated."""
MIN_LANDMARKS = 2
SCALES = (0.10, 0.40)
OCCLUSIONS = (0.20, 0.50)
ZOOMS = (0.0, 0.30)
POLYGON_TOLERANCE_PX, MIN_POLYGON_AREA_PX = 0.8, 9.0


def annotate(
    scene: Scene,
    layers: Sequence[Layer],
    items: Sequence[PlacedItem],
    label_map: Mask,
    rng: np.random.Generator,
    box_slack: float,
) -> dict[str, Any]:
    """Return the annotation of a picture in the data set's raw form.

    It has no ``item1`` when no garment is visible enough.

    Args:
        scene, layers, items: what is in the picture, see `compose`.
        label_map: (H, W) 1 + index of the layer that is visible, 0 for the background.
        rng: for the gaps between garments and boxes.
        box_slack: largest such gap, as a share of the side of the box.
    """
    owners = np.array([layer.owner for layer in layers])
    depths = np.array([layer.depth for layer in layers])
    records = []
    for index, item in enumerate(items):
        slack = rng.uniform(0.0, box_slack, 4)
        mask = owned_mask(label_map, owners, index)
        landmarks, num_outside = _landmarks(item, depths, label_map)
        if _is_annotated(mask, landmarks):
            box = _box(mask, landmarks, slack)
            records.append(_record(item, mask, landmarks, box, num_outside))
    numbered = {f"item{number}": record for number, record in enumerate(records, start=1)}
    return {"source": scene.source, "pair_id": scene.pair_id, **numbered}


def owned_mask(label_map: Mask, owners: NDArray[np.int64], owner: int) -> Mask:
    """Return (H, W) 0/1: where the layers of an owner are visible.

    Args:
        label_map: (H, W) 1 + index of the layer that is visible, 0 for the background.
        owners: (L,) owner of each layer.
        owner: which of them.
    """
    table = np.zeros(256, np.uint8)
    table[1 : len(owners) + 1] = owners == owner
    mask: Mask = cv2.LUT(label_map, table)
    return mask


def near_px(picture_size: tuple[int, int]) -> int:
    """Return how far, in x and y, a landmark may lie from its visible panel to be visible."""
    return 1 if min(picture_size) <= 450 else 2


def _polygons(mask: Mask) -> list[list[int]]:
    """Return the outer outlines of the parts of a mask, the largest first: flat x, y."""
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


def _landmarks(
    item: PlacedItem, depths: NDArray[np.float64], label_map: Mask
) -> tuple[NDArray[np.int64], int]:
    """Return the landmarks of an item as they are annotated.

    Args:
        depths: (L,) of the layers.
        label_map: (H, W) 1 + index of the layer that is visible.

    Returns:
        (K, 3) of x, y, v with (0, 0) where v = 0, and the number of landmarks outside the picture.
    """
    xy = np.floor(item.landmarks_px + 0.5).astype(np.int64)
    visibility = _visibility(xy, label_map, item.layers_of_row, depths)
    num_outside = int((visibility == 0).sum())
    visibility[item.hidden | (item.hidden_unless_seen & (visibility == 1))] = 0
    xy[visibility == 0] = 0
    return np.column_stack([xy, visibility]), num_outside


def _visibility(
    xy: NDArray[np.int64],
    label_map: Mask,
    layers_of_row: Sequence[Sequence[int]],
    depths: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Return (K,): 2 visible, 1 covered, 0 outside the picture.

    Covered: no panel of the landmark is visible close by, and the layer that is visible at its
    place lies in front of them.
    """
    height, width = label_map.shape
    inside = (xy >= 0).all(1) & (xy[:, 0] < width) & (xy[:, 1] < height)
    radius = near_px((height, width))
    step = np.arange(-radius, radius + 1)
    columns = (xy[:, 0, None, None] + step[None, None, :]).clip(0, width - 1)
    rows = (xy[:, 1, None, None] + step[None, :, None]).clip(0, height - 1)
    is_own_layer = np.zeros((len(xy), 256), bool)
    rearmost = np.full(len(xy), np.inf)
    for row, layers in enumerate(layers_of_row):
        is_own_layer[row, [layer + 1 for layer in layers]] = True
        rearmost[row] = min((depths[layer] for layer in layers), default=np.inf)
    near = label_map[rows, columns].reshape(len(xy), -1).astype(np.int64)
    is_near = np.take_along_axis(is_own_layer, near, axis=1).any(1)
    depth_at = np.concatenate([[-np.inf], depths])[near[:, near.shape[1] // 2]]
    return np.where(inside, 1 + (is_near | (depth_at < rearmost)), 0)


def _is_annotated(mask: Mask, landmarks: NDArray[np.int64]) -> bool:
    """Return whether enough of a garment is visible; ``landmarks`` (K, 3)."""
    enough = np.count_nonzero(mask) >= MIN_SHARE * mask.size
    return bool(enough and np.count_nonzero(landmarks[:, 2]) >= MIN_LANDMARKS)


def _box(mask: Mask, landmarks: NDArray[np.int64], slack: NDArray[np.float64]) -> list[int]:
    """Return x1, y1, x2, y2 around the mask and the labelled landmarks, loosened and clipped.

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
    high = np.minimum(np.ceil(high + slack[2:] * size), mask.shape[::-1])
    return [int(v) for v in (*low, *high)]


def _level(share: float, limits: tuple[float, float]) -> int:
    """Return 1, 2 or 3: at most the first limit, at most the second, above."""
    return int(1 + (share > limits[0]) + (share > limits[1]))


def _record(
    item: PlacedItem, mask: Mask, landmarks: NDArray[np.int64], box: list[int], num_outside: int
) -> dict[str, Any]:
    """Return one ``item`` of a raw annotation file."""
    x1, y1, x2, y2 = box
    category = item.garment.pattern.category
    return {
        "segmentation": _polygons(mask),
        "scale": _level((x2 - x1) * (y2 - y1) / mask.size, SCALES),
        "occlusion": _level(np.count_nonzero(landmarks[:, 2] == 1) / len(landmarks), OCCLUSIONS),
        "zoom_in": _level(num_outside / len(landmarks), ZOOMS),
        "viewpoint": item.viewpoint,
        "landmarks": [int(v) for v in landmarks.ravel()],
        "style": item.garment.style,
        "bounding_box": box,
        "category_id": category.id,
        "category_name": category.name,
    }
