"""Object keypoint similarity (OKS) on the landmarks of one category, equal to pycocotools' bits.

P = pairs of a detection and an item, K = landmarks of the category, S = 294 slots.
Source: ``COCOeval.computeOks`` of pycocotools; the order of operations is kept.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SPACING = np.spacing(1)
_MIN_AREA = 1e-3  # keeps the errors of an item without area finite


def landmark_oks(
    detected_xy: NDArray[np.float64],
    true_xy: NDArray[np.float64],
    labelled: NDArray[np.bool_],
    areas: NDArray[np.float64],
    sigmas: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the OKS of each pair: the mean similarity of its labelled landmarks.

    Args:
        detected_xy: (P, K, 2) pixel indices.
        true_xy: (P, K, 2) pixel indices.
        labelled: (P, K), at least one in each row.
        areas: (P,) of the items, in square pixels.
        sigmas: (K,).

    Returns:
        (P,) in 0..1.

    Example:
        One landmark, 5 px from its true position; the area is 100 px² and sigma 0.5:

        >>> oks = landmark_oks(
        ...     detected_xy=np.array([[[3.0, 4.0]]]),
        ...     true_xy=np.array([[[0.0, 0.0]]]),
        ...     labelled=np.array([[True]]),
        ...     areas=np.array([100.0]),
        ...     sigmas=np.array([0.5]),
        ... )
        >>> oks.round(4)  # exp(-25 / (2 * 100 * (2 * 0.5) ** 2))
        array([0.8825])
    """
    difference = detected_xy - true_xy
    squared = difference[:, :, 0] ** 2 + difference[:, :, 1] ** 2
    exponents = squared / (sigmas * 2) ** 2 / (areas + _SPACING)[:, None] / 2
    result = np.zeros(len(areas))
    counts = labelled.sum(axis=1)
    # Rows with the same number of labelled landmarks are summed over a dense array, as one call of
    # np.sum per pair would do it: padding with zeros would round differently.
    for count in np.unique(counts):
        rows = counts == count
        dense = exponents[rows][labelled[rows]].reshape(-1, count)
        result[rows] = np.sum(np.exp(-dense), axis=1) / count
    return result


def box_oks(
    slots_xy: NDArray[np.float64],
    boxes_xywh: NDArray[np.float64],
    areas: NDArray[np.float64],
    slot_sigmas: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the OKS with items without labels: how far the slots are outside the box.

    The box reaches as far again on each side: it is three times as wide and as high.

    Args:
        slots_xy: (P, S, 2) all slots of the detections, those of other categories too.
        boxes_xywh: (P, 4) of the items.
        areas: (P,) of the items.
        slot_sigmas: (S,).

    Returns:
        (P,) in 0..1.
    """
    low = boxes_xywh[:, None, :2] - boxes_xywh[:, None, 2:]
    high = boxes_xywh[:, None, :2] + boxes_xywh[:, None, 2:] * 2
    outside = np.maximum(0, low - slots_xy) + np.maximum(0, slots_xy - high)
    squared = outside[:, :, 0] ** 2 + outside[:, :, 1] ** 2
    exponents = squared / (slot_sigmas * 2) ** 2 / (areas + _SPACING)[:, None] / 2
    return np.sum(np.exp(-exponents), axis=1) / len(slot_sigmas)


def sigma_px(areas: NDArray[np.float64], sigmas: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (P, K) the distance in pixels that is one sigma: ``2 * sigma * sqrt(area)``.

    A landmark at the distance ``e`` of these has the similarity ``exp(-e**2 / 2)``.

    Args:
        areas: (P,) of the items, in square pixels.
        sigmas: (K,).

    Example:
        >>> sigma_px(np.array([100.0]), np.array([0.5, 0.05])).tolist()
        [[10.0, 1.0]]
    """
    return np.sqrt(np.maximum(areas, _MIN_AREA))[:, None] * 2 * sigmas
