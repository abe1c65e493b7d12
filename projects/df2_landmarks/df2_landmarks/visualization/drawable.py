"""Garments of files as garments that can be drawn, whatever their coordinates are.

K = landmarks of a category. What comes in is as in files: pixel indices.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.formats import ClassDetections, Garment, Landmarks, to_continuous
from df2_landmarks.taxonomy import Category

FAR_PX = 100_000
"""What lies farther outside is drawn there: drawing needs numbers of 32 bits."""


def drawable_garment(
    category: Category,
    box_xywh: NDArray[np.float64],
    landmarks_xy: NDArray[np.float64],
    visibility: NDArray,
) -> Garment:
    """Return an annotated garment.

    Args:
        category: of the garment.
        box_xywh: (4,).
        landmarks_xy: (K, 2).
        visibility: (K,) 0, 1 or 2.
    """
    x, y, w, h = box_xywh
    box_xyxy = np.clip(np.array([x, y, x + w, y + h]), -FAR_PX, FAR_PX)
    xy = np.clip(to_continuous(landmarks_xy), -FAR_PX, FAR_PX)
    return Garment(category, box_xyxy, Landmarks(category.landmark_names, xy, visibility))


def drawable_detection(part: ClassDetections, row: int, category: Category) -> Garment:
    """Return a detection of a category; its box is the extent of its landmarks if it has none."""
    xy = np.clip(to_continuous(part.landmarks_xy[row]), -FAR_PX, FAR_PX)
    x, y, w, h = part.boxes_xywh[row]
    box_xyxy = np.array([x, y, x + w, y + h])
    if np.isnan(box_xyxy).any():
        box_xyxy = np.concatenate([xy.min(axis=0), xy.max(axis=0)])
    return Garment(
        category,
        np.clip(box_xyxy, -FAR_PX, FAR_PX),
        Landmarks(category.landmark_names, xy, np.full(len(xy), 2)),
        score=float(part.scores[row]),
    )
