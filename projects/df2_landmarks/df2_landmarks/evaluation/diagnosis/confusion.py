"""Which category is predicted for which: garments and detections by the overlap of their boxes.

Detections choose in the order of their scores: each takes the garment of any category in its image
with the largest box IoU, of at least .5, that no other detection has taken. Items that the score
ignores (crowds, nothing labelled) and the detections on them do not count. Where the results have
no boxes, the extents of the landmarks are used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.evaluation.diagnosis.detection_errors import (
    BOX_IOU,
    box_iou,
    class_of,
    image_pairs,
)
from df2_landmarks.evaluation.matching import UNMATCHED
from df2_landmarks.evaluation.mean_shape import boxes_or_extents
from df2_landmarks.evaluation.score import Score
from df2_landmarks.evaluation.tables import table
from df2_landmarks.formats import MIN_SCORE, GroundTruth
from df2_landmarks.taxonomy import Taxonomy

NOTHING, NOT_FOUND = "no garment", "missed"
NUM_LARGEST = 10


@dataclass(frozen=True, eq=False)
class Confusion:
    """Counts of garments by true and predicted category.

    Attributes:
        taxonomy: the categories.
        min_score: of the detections that count.
        counts: (C + 1, C + 1) true category x predicted category; the last row are detections on no
            garment, the last column are garments without a detection.
        same_landmarks: (C,) of the garments on the diagonal those that the score matches at OKS .5.
    """

    taxonomy: Taxonomy
    min_score: float
    counts: NDArray[np.int64]
    same_landmarks: NDArray[np.int64]

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON: true category -> predicted category -> count."""
        names = [category.official_name for category in self.taxonomy.categories]
        counts = {
            row: {
                name: count for name, count in zip([*names, NOT_FOUND], line, strict=True) if count
            }
            for row, line in zip([*names, NOTHING], self.counts.tolist(), strict=True)
        }
        matched = dict(zip(names, self.same_landmarks.tolist(), strict=True))
        return {"min_score": self.min_score, "by_box": counts, "right_by_oks": matched}

    def text(self) -> str:
        """Return the matrix and the largest confusions as text."""
        categories = self.taxonomy.categories
        header = [str(category.id) for category in categories]
        names = [f"{category.id} {category.official_name}" for category in categories]
        rows = [
            [name, *(str(count) if count else "." for count in line)]
            for name, line in zip([*names, NOTHING], self.counts.tolist(), strict=True)
        ]
        for row, matched in zip(rows, [*map(str, self.same_landmarks.tolist()), ""], strict=True):
            row.append(matched)
        off = self.counts[:-1, :-1].copy()
        np.fill_diagonal(off, 0)
        order = np.argsort(-off, axis=None, kind="stable")[:NUM_LARGEST]
        largest = [
            [categories[a].official_name, categories[b].official_name, str(off[a, b])]
            for a, b in (divmod(int(place), len(categories)) for place in order)
            if off[a, b]
        ]
        parts = [
            "Which for which: garments (rows) by predicted category (columns), box IoU >= "
            f"{BOX_IOU}, score >= {self.min_score:g}; right by OKS: of the diagonal, OKS >= .5",
            table(["garment", *header, NOT_FOUND, "right by OKS"], rows),
        ]
        if largest:
            parts.append(table(["garment", "predicted", "count"], largest, left=(0, 1)))
        return "\n\n".join(parts)


def confusion(
    ground_truth: GroundTruth, score: Score, *, min_score: float = MIN_SCORE
) -> Confusion:
    """Count which category is predicted for which.

    Args:
        ground_truth: the items.
        score: of the detections.
        min_score: of the detections that count.

    Example:
        >>> from df2_landmarks.evaluation import score
        >>> from df2_landmarks.formats import read_ground_truth, read_results
        >>> ground_truth = read_ground_truth("validation.json")
        >>> detections = read_results("landmark_results.json", ground_truth)
        >>> result = score(ground_truth, detections, "visible_and_occluded")
        >>> int(confusion(ground_truth, result).counts[:-1, -1].sum())  # missed
        0
    """
    pairs, num_classes = score.pairs, ground_truth.taxonomy.num_categories
    boxes = np.concatenate([boxes_or_extents(part) for part in pairs.ranked])
    item_boxes = np.concatenate([truth.boxes_xywh for truth in ground_truth.classes])
    counted = ~score.matching.item_ignored[0]
    detections, items = image_pairs(pairs)
    iou = box_iou(boxes[detections], item_boxes[items])
    near = (iou >= BOX_IOU) & (pairs.scores[detections] >= min_score)
    detections, items, iou = detections[near], items[near], iou[near]
    order = np.lexsort((items, -iou, detections, -pairs.scores[detections]))
    item_of = np.full(len(boxes), UNMATCHED)
    taken = np.zeros(len(item_boxes), dtype=bool)
    for d, g in zip(detections[order].tolist(), items[order].tolist(), strict=True):
        if item_of[d] == UNMATCHED and not taken[g]:
            item_of[d] = g
            taken[g] = True
    is_on_item = item_of != UNMATCHED
    is_on_counted = is_on_item & counted[item_of]
    is_extra = (pairs.scores >= min_score) & ~is_on_item & ~score.matching.ignored[0, 0]
    counts = np.zeros((num_classes + 1, num_classes + 1), dtype=np.int64)
    predicted = class_of(pairs.class_starts, np.arange(len(boxes)))
    true = class_of(pairs.item_starts, np.arange(len(item_boxes)))
    np.add.at(counts, (true[item_of[is_on_counted]], predicted[is_on_counted]), 1)
    np.add.at(counts, (num_classes, predicted[is_extra]), 1)
    np.add.at(counts, (true[counted & ~taken], num_classes), 1)
    is_same = is_on_counted & (score.matching.item[0, 0] == item_of)
    same = np.bincount(predicted[is_same], minlength=num_classes)
    return Confusion(ground_truth.taxonomy, min_score, counts, same)
