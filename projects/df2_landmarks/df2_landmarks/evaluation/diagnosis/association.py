"""What each detection is: a garment found, or which kind of mistake; and what each garment met.

N = detections and G = items, flat over all categories as in ``pairs``. All at OKS .5, all sizes.

A detection that the official matching does not pair with an item is explained by the first of:

* *poor landmarks*: it lies on an item of its own category (OKS >= .1 or box IoU >= .5) that nothing
  else has found. The best score gets the item, the most similar one if there are several.
* *duplicate*: it lies on an item of its own category that something else has found.
* *wrong category*: it lies on an item of another category (box IoU >= .5).
* *background*: none of these.

An item that counts is *missed* if no detection found it, lies on it with poor landmarks, or has
found it under a wrong category. The kinds follow TIDE (Bolya et al., 2020, arXiv 2008.08115) with
OKS in the place of IoU where categories agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.evaluation.matching import UNMATCHED
from df2_landmarks.evaluation.mean_shape import boxes_or_extents
from df2_landmarks.evaluation.pairs import Cells, Pairs, class_cells, pair_indices
from df2_landmarks.evaluation.score import Score
from df2_landmarks.formats import GroundTruth, rank_in_group

LOW_OKS = 0.1
BOX_IOU = 0.5

FOUND, POOR, WRONG_CATEGORY, DUPLICATE, BACKGROUND, IGNORED = range(6)
DETECTION_KINDS = (
    "found",
    "poor landmarks",
    "wrong category",
    "duplicate",
    "background",
    "ignored",
)
NOBODY = -1


@dataclass(frozen=True, eq=False)
class Association:
    """Kinds of detections and items.

    Attributes:
        kind: (N,) index into ``DETECTION_KINDS``.
        item: (N,) the item a detection is about, NOBODY for background.
        missed: (G,) items that count and that no detection is about.
        boxes_xywh: (N, 4) predicted boxes, or extents of the landmarks where there are none.
        item_boxes_xywh: (G, 4).
    """

    kind: NDArray[np.int8]
    item: NDArray[np.int64]
    missed: NDArray[np.bool_]
    boxes_xywh: NDArray[np.float64]
    item_boxes_xywh: NDArray[np.float64]


def associate(ground_truth: GroundTruth, score: Score) -> Association:
    """Explains every detection and every item of a score."""
    pairs = score.pairs
    boxes = np.concatenate([boxes_or_extents(found) for found in pairs.ranked])
    item_boxes = np.concatenate([truth.boxes_xywh for truth in ground_truth.classes])
    item = score.matching.item[0, 0].astype(np.int64)
    ignored = score.matching.ignored[0, 0]
    kind = np.full(len(item), BACKGROUND, dtype=np.int8)
    kind[item != UNMATCHED] = FOUND
    kind[ignored] = IGNORED
    counts = ~score.matching.item_ignored[0]
    taken = ~counts
    taken[item[kind == FOUND]] = True
    _own_category(pairs, kind, item, taken, counts, (boxes, item_boxes))
    _other_category(pairs, kind, item, counts, (boxes, item_boxes))
    taken[item[kind == WRONG_CATEGORY]] = True
    return Association(kind, item, ~taken, boxes, item_boxes)


def _own_category(
    pairs: Pairs,
    kind: NDArray[np.int8],
    item: NDArray[np.int64],
    taken: NDArray[np.bool_],
    counts: NDArray[np.bool_],
    boxes: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> None:
    """Fills in *poor landmarks* and *duplicate*; marks the items that are taken."""
    detection, met = pair_indices(pairs.cells)
    some = (kind[detection] == BACKGROUND) & counts[met]
    detection, met, oks = detection[some], met[some], pairs.oks[some]
    on = (oks >= LOW_OKS) | (box_iou(boxes[0][detection], boxes[1][met]) >= BOX_IOU)
    detection, met, oks = detection[on], met[on], oks[on]
    order = np.lexsort((met, -oks, detection, -pairs.scores[detection]))
    for d, g in zip(detection[order].tolist(), met[order].tolist(), strict=True):
        if kind[d] != POOR and not taken[g]:
            kind[d], item[d] = POOR, g
            taken[g] = True
        elif kind[d] == BACKGROUND and item[d] == NOBODY:
            item[d] = g  # the most similar item, should it turn out to be a duplicate
    kind[(kind == BACKGROUND) & (item != NOBODY)] = DUPLICATE


def _other_category(
    pairs: Pairs,
    kind: NDArray[np.int8],
    item: NDArray[np.int64],
    counts: NDArray[np.bool_],
    boxes: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> None:
    """Fills in *wrong category*."""
    detection, met = image_pairs(pairs)
    some = (kind[detection] == BACKGROUND) & counts[met]
    some &= class_of(pairs.class_starts, detection) != class_of(pairs.item_starts, met)
    detection, met = detection[some], met[some]
    iou = box_iou(boxes[0][detection], boxes[1][met])
    order = np.lexsort((met, -iou, detection))
    order = order[(iou[order] >= BOX_IOU) & (rank_in_group(detection[order]) == 0)]
    kind[detection[order]] = WRONG_CATEGORY
    item[detection[order]] = met[order]


def image_pairs(pairs: Pairs) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(P,) detection and (P,) item of all pairs in one image, whatever their categories."""
    by_image = np.argsort(pairs.images, kind="stable")
    items_by_image = np.argsort(pairs.item_images, kind="stable")
    cells: Cells = class_cells(pairs.item_images[items_by_image], pairs.images[by_image])
    detection, met = pair_indices(cells)
    return by_image[detection], items_by_image[met]


def class_of(starts: NDArray[np.int64], index: NDArray[np.int64]) -> NDArray[np.int64]:
    """Class of each flat index."""
    return np.searchsorted(starts, index, side="right") - 1


def box_iou(a_xywh: NDArray[np.float64], b_xywh: NDArray[np.float64]) -> NDArray[np.float64]:
    """(P,) IoU of (P, 4) boxes with (P, 4) boxes; 0 for boxes without area."""
    low = np.maximum(a_xywh[:, :2], b_xywh[:, :2])
    high = np.minimum(a_xywh[:, :2] + a_xywh[:, 2:], b_xywh[:, :2] + b_xywh[:, 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=1)
    union = np.prod(a_xywh[:, 2:], axis=1) + np.prod(b_xywh[:, 2:], axis=1) - common
    return common / np.where(union > 0, union, np.inf)
