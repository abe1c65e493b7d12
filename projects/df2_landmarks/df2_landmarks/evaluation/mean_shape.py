"""The baseline that a network must beat: each category's mean shape, stretched into a box.

K = landmarks of a category. A shape is in unit box coordinates: (0, 0) is the upper left corner of
the box, (1, 1) the lower right one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.formats import (
    ClassDetections,
    ClassTruth,
    Detections,
    GroundTruth,
    to_continuous,
    to_pixel_indices,
    zero_padded_areas,
)

_CENTRE = 0.5


def mean_shapes(ground_truth: GroundTruth) -> tuple[NDArray[np.float64], ...]:
    """Compute the mean position of each landmark in its item's box, best on the training split.

    Returns:
        Per class (K, 2) in unit box coordinates; the centre of the box for a landmark without any
        label.
    """
    return tuple(_mean_shape(truth) for truth in ground_truth.classes)


def place_mean_shapes(detections: Detections, shapes: Sequence[NDArray[np.float64]]) -> Detections:
    """Replace the landmarks of detections by the mean shape in the predicted box.

    Category, score and box stay. For a detection without a box (results of other programs), the
    extent of its landmarks is used.
    """
    classes = []
    for part, shape in zip(detections.classes, shapes, strict=True):
        xy = stretch(shape, boxes_or_extents(part))
        areas = zero_padded_areas(detections.taxonomy, xy)
        classes.append(replace(part, landmarks_xy=xy, areas=areas))
    name = f"mean shapes in the boxes of {detections.name}"
    return Detections(name, detections.image_ids, tuple(classes), detections.taxonomy)


def stretch(shape: NDArray[np.float64], boxes_xywh: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (N, K, 2) pixel indices of a (K, 2) unit shape in (N, 4) boxes.

    Example:
        >>> stretch(np.array([[0.0, 0.0], [0.5, 1.0]]), np.array([[10.0, 20.0, 100.0, 50.0]]))
        array([[[ 9.5, 19.5],
                [59.5, 69.5]]])
    """
    return to_pixel_indices(boxes_xywh[:, None, :2] + shape * boxes_xywh[:, None, 2:])


def boxes_or_extents(detections: ClassDetections) -> NDArray[np.float64]:
    """Return the (N, 4) predicted boxes, the extent of the landmarks where there is no box."""
    if not len(detections):
        return detections.boxes_xywh
    low, high = detections.landmarks_xy.min(axis=1), detections.landmarks_xy.max(axis=1)
    extents = np.hstack([to_continuous(low), high - low])
    return np.where(np.isnan(detections.boxes_xywh), extents, detections.boxes_xywh)


def _mean_shape(truth: ClassTruth) -> NDArray[np.float64]:
    sizes = truth.boxes_xywh[:, None, 2:]
    usable = (truth.visibility > 0) & (sizes > 0).all(axis=2)
    with np.errstate(divide="ignore", invalid="ignore"):
        unit_xy = (to_continuous(truth.landmarks_xy) - truth.boxes_xywh[:, None, :2]) / sizes
    total = np.where(usable[:, :, None], unit_xy, 0).sum(axis=0)
    count = usable.sum(axis=0)[:, None]
    return np.where(count > 0, total / np.maximum(count, 1), _CENTRE)
