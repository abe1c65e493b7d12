"""The detections of a score with some of their errors corrected, to see how much AP these cost.

A correction changes the ranked detections of a score; their areas, which decide between medium and
large, stay as predicted. N = detections, flat over all categories, n = those of a class whose
landmarks are those of an item, K = landmarks of a category.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.evaluation.average_precision import Curves, by_category
from df2_landmarks.evaluation.diagnosis.detection_errors import (
    WRONG_CATEGORY,
    class_of,
    classify_detections,
)
from df2_landmarks.evaluation.diagnosis.landmark_errors import classify_landmarks
from df2_landmarks.evaluation.matching import ALL_SIZES, UNMATCHED
from df2_landmarks.evaluation.mean_shape import stretch
from df2_landmarks.evaluation.pairs import pair_indices
from df2_landmarks.evaluation.score import Score, score
from df2_landmarks.formats import (
    ClassDetections,
    Detections,
    GroundTruth,
    concatenate_class,
    empty_class,
    rank_in_group,
)
from df2_landmarks.taxonomy import Taxonomy

Shapes = Sequence[NDArray[np.float64]]


@dataclass(frozen=True)
class CorrectedAP:
    """The AP after a correction.

    Attributes:
        ap: overall, None where undefined.
        per_category: AP of each category.
        meaning: what was corrected, in words.
        count: corrected detections, items or landmarks; None where they are not counted.
    """

    ap: float | None
    per_category: tuple[float | None, ...]
    meaning: str
    count: int | None = None

    @classmethod
    def of(cls, curves: Curves, meaning: str, count: int | None = None) -> CorrectedAP:
        """Return the APs of curves."""
        return cls(curves.ap, tuple(curves.per_category()), meaning, count)

    def as_dict(self, taxonomy: Taxonomy) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "meaning": self.meaning,
            "count": self.count,
            "AP": self.ap,
            "per_category": by_category(taxonomy, self.per_category),
        }


class Corrections:
    """The corrections of the detections of a score.

    Args:
        ground_truth: the items.
        score: the score of the detections.
    """

    def __init__(self, ground_truth: GroundTruth, score: Score) -> None:
        self.ground_truth = ground_truth
        self.score = score
        self.detections = self._detections(score.pairs.ranked)
        self.classified = classify_detections(ground_truth, score)
        self.landmarks = classify_landmarks(ground_truth, score, self.classified)

    def rescore(self, detections: Detections) -> Score:
        """Score changed detections under the same protocol, over all sizes."""
        return score(self.ground_truth, detections, self.score.protocol, areas=ALL_SIZES)

    def after(self, detections: Detections) -> Corrections:
        """Return the corrections of changed detections."""
        return Corrections(self.ground_truth, self.rescore(detections))

    def without(self, removed: NDArray[np.bool_]) -> Detections:
        """Remove detections.

        Args:
            removed: (N,).
        """
        return self._detections(
            detections.take(~removed[self.score.pairs.class_rows(c)[0]])
            for c, detections in enumerate(self.detections.classes)
        )

    def with_true_landmarks(
        self, corrected: Sequence[NDArray[np.bool_]] | None = None
    ) -> Detections:
        """Move landmarks to their true positions; unlabelled landmarks stay as predicted.

        Args:
            corrected: per class, which of the (n, K) landmarks that belong to an item; by default
                all of them.
        """
        classes = []
        for c, (detections, part) in enumerate(
            zip(self.detections.classes, self.landmarks, strict=True)
        ):
            truth = self.ground_truth.classes[c]
            mask = truth.labelled(self.score.protocol)[part.item]
            if corrected is not None:
                mask &= corrected[c]
            xy = detections.landmarks_xy.copy()
            xy[part.detection] = np.where(
                mask[:, :, None], truth.landmarks_xy[part.item], xy[part.detection]
            )
            classes.append(replace(detections, landmarks_xy=xy))
        return self._detections(classes)

    def with_true_category(self, shapes: Shapes) -> Detections:
        """Give the detections of a wrong category the category of their item.

        On each item the detection with the best score is changed, unless another detection of the
        right category lies on the item; the rest is removed. Landmarks that both categories have by
        name are kept. The others are those of the mean shape in the predicted box: what the head of
        the right category would have predicted is not known.

        Args:
            shapes: per class (K, 2) mean shapes in unit boxes.
        """
        pairs, item = self.score.pairs, self.classified.item
        taxonomy = self.ground_truth.taxonomy
        is_wrong = self.classified.error_type == WRONG_CATEGORY
        rows = np.flatnonzero(is_wrong)
        rows = rows[np.lexsort((rows, -pairs.scores[rows], item[rows]))]
        rows = rows[rank_in_group(item[rows]) == 0]
        rows = rows[~np.isin(item[rows], item[~is_wrong & (item != UNMATCHED)])]
        predicted_class = class_of(pairs.class_starts, rows)
        true_class = class_of(pairs.item_starts, item[rows])
        classes = []
        for c, kept in enumerate(self.without(is_wrong).classes):
            parts = [kept]
            for source in np.unique(predicted_class[true_class == c]).tolist():
                moved = rows[(true_class == c) & (predicted_class == source)]
                detections = pairs.ranked[source].take(moved - pairs.class_starts[source])
                boxes = self.classified.boxes_xywh[moved]
                parts.append(_in_category(taxonomy, detections, source, c, boxes, shapes[c]))
            classes.append(concatenate_class(taxonomy, c, parts))
        return self._detections(classes)

    def with_ideal_scores(self) -> Detections:
        """Replace the score of each detection by its OKS with its item, 0 without an item.

        No false positive is then ranked before a true one.
        """
        pairs, classified = self.score.pairs, self.classified
        ideal = np.zeros(len(pairs.scores))
        detections, items = pair_indices(pairs.cells)
        on_item = classified.has_landmarks[detections] & (classified.item[detections] == items)
        ideal[detections[on_item]] = pairs.oks[on_item]
        return self._detections(
            replace(detections, scores=ideal[pairs.class_rows(c)[0]])
            for c, detections in enumerate(self.detections.classes)
        )

    def _detections(self, classes: Iterable[ClassDetections]) -> Detections:
        truth = self.ground_truth
        return Detections("corrected", truth.image_ids, tuple(classes), truth.taxonomy)


def _in_category(
    taxonomy: Taxonomy,
    detections: ClassDetections,
    source: int,
    target: int,
    boxes_xywh: NDArray[np.float64],
    shape: NDArray[np.float64],
) -> ClassDetections:
    """Return detections of class ``source`` as detections of class ``target``."""
    xy = stretch(shape, boxes_xywh)
    source_names = taxonomy.categories[source].landmark_names
    for k, name in enumerate(taxonomy.categories[target].landmark_names):
        if name in source_names:
            xy[:, k] = detections.landmarks_xy[:, source_names.index(name)]
    return replace(
        empty_class(taxonomy, target),
        record=detections.record,
        image_index=detections.image_index,
        scores=detections.scores,
        landmarks_xy=xy,
        areas=detections.areas,
        boxes_xywh=boxes_xywh,
        full_row=np.full(len(detections), -1),
    )
