"""The error type of each detection, and the items that are missed.

N = detections and G = items, flat over all categories as in ``pairs``. All at OKS .5, all sizes.

A detection that the official matching pairs with an item is *correct*. Otherwise its error type is
the first of these that applies:

* *poor landmarks*: it lies on an item of its category (OKS >= .1 or box IoU >= .5) that no other
  detection is assigned to. Detections choose by score, each the most similar such item.
* *duplicate*: it lies on an item of its category that another detection is assigned to.
* *wrong category*: it lies on an item of another category (box IoU >= .5).
* *background*: none of these.

An item that counts is *missed* if no correct detection, none with poor landmarks and none of a
wrong category is assigned to it. The types follow TIDE (Bolya et al., 2020, arXiv 2008.08115) with
OKS instead of IoU where the categories agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.evaluation.matching import UNMATCHED
from df2_landmarks.evaluation.mean_shape import boxes_or_extents
from df2_landmarks.evaluation.pairs import Pairs, class_cells, pair_indices
from df2_landmarks.evaluation.score import Score
from df2_landmarks.formats import GroundTruth, rank_in_group

LOW_OKS = 0.1
BOX_IOU = 0.5

CORRECT, POOR, WRONG_CATEGORY, DUPLICATE, BACKGROUND, IGNORED = range(6)
ERROR_TYPES = ("poor landmarks", "wrong category", "duplicate", "background")
DETECTION_TYPES = ("correct", *ERROR_TYPES, "ignored")
MISSED = "missed item"


@dataclass(frozen=True, eq=False)
class ClassifiedDetections:
    """The error types of detections, and the missed items.

    Attributes:
        error_type: (N,) index into ``DETECTION_TYPES``.
        item: (N,) the item that a detection lies on, UNMATCHED for background.
        missed: (G,) items that count and that no detection is assigned to.
        boxes_xywh: (N, 4) predicted boxes, or extents of the landmarks where there are none.
    """

    error_type: NDArray[np.int8]
    item: NDArray[np.int64]
    missed: NDArray[np.bool_]
    boxes_xywh: NDArray[np.float64]

    @property
    def has_landmarks(self) -> NDArray[np.bool_]:
        """(N,) detections whose landmarks are those of their item: correct, or poor landmarks."""
        return self.error_type <= POOR

    def counts(self) -> dict[str, int]:
        """Return the number of detections of each type, and of missed items."""
        counts = np.bincount(self.error_type, minlength=len(DETECTION_TYPES)).tolist()
        return {**dict(zip(DETECTION_TYPES, counts, strict=True)), MISSED: int(self.missed.sum())}


def classify_detections(ground_truth: GroundTruth, score: Score) -> ClassifiedDetections:
    """Find the error type of every detection, and the missed items."""
    pairs = score.pairs
    boxes = np.concatenate([boxes_or_extents(part) for part in pairs.ranked])
    item_boxes = np.concatenate([truth.boxes_xywh for truth in ground_truth.classes])
    item = score.matching.item[0, 0].astype(np.int64)
    error_type = np.full(len(item), BACKGROUND, dtype=np.int8)
    error_type[item != UNMATCHED] = CORRECT
    error_type[score.matching.ignored[0, 0]] = IGNORED
    counted = ~score.matching.item_ignored[0]
    taken = ~counted
    taken[item[error_type == CORRECT]] = True

    # Poor landmarks and duplicates: the detections left choose by score, then by OKS.
    detections, items = pair_indices(pairs.cells)
    lies_on = (pairs.oks >= LOW_OKS) | (box_iou(boxes[detections], item_boxes[items]) >= BOX_IOU)
    lies_on &= (error_type[detections] == BACKGROUND) & counted[items]
    detections, items, oks = detections[lies_on], items[lies_on], pairs.oks[lies_on]
    order = np.lexsort((items, -oks, detections, -pairs.scores[detections]))
    for d, g in zip(detections[order].tolist(), items[order].tolist(), strict=True):
        if error_type[d] != POOR and not taken[g]:
            error_type[d], item[d] = POOR, g
            taken[g] = True
        elif error_type[d] == BACKGROUND and item[d] == UNMATCHED:
            item[d] = g  # its most similar item, in case all its items are taken
    error_type[(error_type == BACKGROUND) & (item != UNMATCHED)] = DUPLICATE

    # Wrong category: of the detections left, those on an item of another category.
    detections, items = image_pairs(pairs)
    others = class_of(pairs.class_starts, detections) != class_of(pairs.item_starts, items)
    others &= (error_type[detections] == BACKGROUND) & counted[items]
    detections, items = detections[others], items[others]
    iou = box_iou(boxes[detections], item_boxes[items])
    order = np.lexsort((items, -iou, detections))
    order = order[(iou[order] >= BOX_IOU) & (rank_in_group(detections[order]) == 0)]
    error_type[detections[order]] = WRONG_CATEGORY
    item[detections[order]] = items[order]
    taken[items[order]] = True
    return ClassifiedDetections(error_type, item, ~taken, boxes)


def image_pairs(pairs: Pairs) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the (P,) detection and (P,) item of all pairs in an image, of any categories."""
    by_image = np.argsort(pairs.images, kind="stable")
    items_by_image = np.argsort(pairs.item_images, kind="stable")
    cells = class_cells(pairs.item_images[items_by_image], pairs.images[by_image])
    detections, items = pair_indices(cells)
    return by_image[detections], items_by_image[items]


def class_of(starts: NDArray[np.int64], index: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the class of each flat index, given where each class starts."""
    return np.searchsorted(starts, index, side="right") - 1


def box_iou(a_xywh: NDArray[np.float64], b_xywh: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (P,) IoU of (P, 4) boxes with (P, 4) boxes; 0 for boxes without area.

    Example:
        >>> box_iou(np.array([[0.0, 0, 10, 10]]), np.array([[5.0, 0, 10, 10]])).round(3)
        array([0.333])
    """
    low = np.maximum(a_xywh[:, :2], b_xywh[:, :2])
    high = np.minimum(a_xywh[:, :2] + a_xywh[:, 2:], b_xywh[:, :2] + b_xywh[:, 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=1)
    union = np.prod(a_xywh[:, 2:], axis=1) + np.prod(b_xywh[:, 2:], axis=1) - common
    return common / np.where(union > 0, union, np.inf)
