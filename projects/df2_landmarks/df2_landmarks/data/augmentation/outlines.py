"""Boxes and polygons of a picture that was turned or cut.

Boxes are x1, y1, x2, y2 and polygons (n, 2), in continuous coordinates.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from detectron2.data import transforms as T
from numpy.typing import NDArray

Array = NDArray[np.float64]


def cuts_or_turns(transforms: T.TransformList) -> bool:
    """Return whether a moved box can be larger than a box around the moved garment."""
    return any(isinstance(t, (T.CropTransform, T.RotationTransform)) for t in transforms.transforms)


def refitted_box(
    box_xyxy: Array,
    polygons: Sequence[Array],
    transforms: T.TransformList,
    image_size: tuple[int, int],
) -> Array:
    """Return the box of a garment in a transformed picture, as tight as it was before.

    Detectron2 draws a box around the four moved corners of the box, which becomes larger when it is
    turned, and stays as large when the garment in it is cut. Here the box follows the polygons, at
    the distance that it had from them: boxes of DeepFashion2 are not tight.

    Args:
        box_xyxy: (4,) in the original picture.
        polygons: of the garment, in the original picture.
        transforms: what was done to the picture.
        image_size: (height, width) of the transformed picture.

    Returns:
        (4,), which may reach out of the picture; zeros for a garment that left it. The moved box of
        Detectron2 for a garment without polygons.
    """
    moved = transforms.apply_box(box_xyxy[None])[0]
    if not polygons:
        return moved
    inside = [clipped(transforms.apply_coords(p.copy()), image_size) for p in polygons]
    inside = [polygon for polygon in inside if len(polygon)]
    if not inside:
        return np.zeros(4)
    distance = moved - transforms.apply_box(extent(polygons)[None])[0]
    return extent(inside) + distance


def extent(polygons: Sequence[Array]) -> Array:
    """Return the (4,) box around polygons."""
    points = np.concatenate(polygons)
    return np.concatenate((points.min(axis=0), points.max(axis=0)))


def clipped(polygon: Array, image_size: tuple[int, int]) -> Array:
    """Return the part of a polygon inside a picture, by Sutherland and Hodgman.

    (0, 2) if there is none; a polygon that only touches the border from outside has none.

    Example:
        >>> clipped(np.array([[-1.0, 1.0], [3.0, 1.0], [3.0, 2.0], [-1.0, 2.0]]), (5, 5)).tolist()
        [[0.0, 1.0], [3.0, 1.0], [3.0, 2.0], [0.0, 2.0]]
    """
    height, width = image_size
    for axis, border, side in ((0, 0, 1), (1, 0, 1), (0, width, -1), (1, height, -1)):
        inward = (polygon[:, axis] - border) * side
        if (inward >= 0).all():
            continue
        following, inward_following = np.roll(polygon, -1, axis=0), np.roll(inward, -1)
        crosses = (inward >= 0) != (inward_following >= 0)
        share = inward / np.where(crosses, inward - inward_following, 1)
        cuts = polygon + share[:, None] * (following - polygon)
        cuts[:, axis] = border
        # Each point inside, and behind it the point where its edge crosses the border.
        points = np.stack((polygon, cuts), axis=1).reshape(-1, 2)
        polygon = points[np.stack((inward >= 0, crosses), axis=1).reshape(-1)]
        if not len(polygon) or not np.ptp(polygon, axis=0).all():
            return polygon[:0]
    return polygon
