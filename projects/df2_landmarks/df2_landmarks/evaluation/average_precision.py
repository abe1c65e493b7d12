"""Precision and recall of a matching, equal to ``COCOeval.accumulate``, and the ten numbers.

T = 10 thresholds, R = 101 recall steps, C = categories, A = size ranges (3).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.evaluation.matching import AREA_RANGES, THRESHOLDS, UNMATCHED, Matching
from df2_landmarks.evaluation.pairs import Pairs
from df2_landmarks.taxonomy import Taxonomy

RECALL_STEPS = np.linspace(0, 1, 101)
Value = TypeVar("Value")
UNDEFINED = -1.0
"""Value of the arrays where a category has no item that counts, as in pycocotools."""

SUMMARY = {
    "AP": ("precision", None, "all"),
    "AP50": ("precision", 0.5, "all"),
    "AP75": ("precision", 0.75, "all"),
    "APm": ("precision", None, "medium"),
    "APl": ("precision", None, "large"),
    "AR": ("recall", None, "all"),
    "AR50": ("recall", 0.5, "all"),
    "AR75": ("recall", 0.75, "all"),
    "ARm": ("recall", None, "medium"),
    "ARl": ("recall", None, "large"),
}
"""The ten numbers in pycocotools' order: (array, threshold or None for the mean, size range)."""


@dataclass(frozen=True, eq=False)
class Curves:
    """Precision and recall.

    Attributes:
        precision: (T, R, C, A), UNDEFINED where a category has no item that counts.
        recall: (T, C, A), likewise.
        scores: (T, R, C, A) score at which each recall is reached.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    scores: NDArray[np.float64]

    def summary(self, category: int | None = None) -> dict[str, float | None]:
        """Return the ten numbers as fractions, None where undefined.

        Args:
            category: 0-based class; all by default.
        """
        return {name: self._mean(category, *definition) for name, definition in SUMMARY.items()}

    @property
    def ap(self) -> float | None:
        """The overall AP; defined for curves of ALL_SIZES, too."""
        return self._mean(None, *SUMMARY["AP"])

    def per_category(self) -> list[float | None]:
        """Return the AP of each category as a fraction, None without ground truth."""
        return [_defined_mean(self.precision[:, :, c, 0]) for c in range(self.precision.shape[2])]

    def _mean(
        self, category: int | None, array: str, threshold: float | None, area: str
    ) -> float | None:
        values = getattr(self, array)[..., list(AREA_RANGES).index(area)]
        if category is not None:
            values = values[..., category]
        return _defined_mean(values if threshold is None else values[threshold == THRESHOLDS])


def accumulate(pairs: Pairs, matching: Matching, images: NDArray[np.bool_] | None = None) -> Curves:
    """Compute precision and recall of all categories.

    Args:
        pairs: the detections and items that were matched.
        matching: their matching.
        images: (I,) mask of the images that count, all by default.
    """
    shape = (len(THRESHOLDS), len(RECALL_STEPS), pairs.taxonomy.num_categories, len(matching.item))
    precision, scores = np.full(shape, UNDEFINED), np.full(shape, UNDEFINED)
    recall = np.full((shape[0], *shape[2:]), UNDEFINED)
    for c in range(pairs.taxonomy.num_categories):
        items = pairs.class_rows(c)[1]
        order = pairs.by_score(c)
        counted = ~matching.item_ignored[:, items]
        if images is not None:
            order = order[images[pairs.images[order]]]
            counted = counted & images[pairs.item_images[items]]
        for a, num_items in enumerate(counted.sum(axis=1)):
            if num_items:
                precision[:, :, c, a], recall[:, c, a], scores[:, :, c, a] = _curve(
                    matching.item[a][:, order] != UNMATCHED,
                    matching.ignored[a][:, order],
                    pairs.scores[order],
                    int(num_items),
                )
    return Curves(precision, recall, scores)


def by_category(taxonomy: Taxonomy, values: Iterable[Value]) -> dict[str, Value]:
    """Return one value per class by the official names of the categories."""
    names = (category.official_name for category in taxonomy.categories)
    return dict(zip(names, values, strict=True))


def _curve(
    matched: NDArray[np.bool_],
    ignored: NDArray[np.bool_],
    scores: NDArray[np.float64],
    num_items: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return (T, R) precision, (T,) recall and (T, R) scores of n detections in order of score."""
    true = np.cumsum(matched & ~ignored, axis=1).astype(np.float64)
    false = np.cumsum(~matched & ~ignored, axis=1).astype(np.float64)
    recall = true / num_items
    precision = true / (false + true + np.spacing(1))
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    curve = np.zeros((len(matched), len(RECALL_STEPS)))
    score_curve = np.zeros_like(curve)
    for t in range(len(matched)):
        index = np.searchsorted(recall[t], RECALL_STEPS, side="left")
        index = index[index < len(scores)]
        curve[t, : len(index)] = precision[t, index]
        score_curve[t, : len(index)] = scores[index]
    last = recall[:, -1] if len(scores) else np.zeros(len(matched))
    return curve, last, score_curve


def _defined_mean(values: NDArray[np.float64]) -> float | None:
    defined = values[values > UNDEFINED]
    return float(np.mean(defined)) if defined.size else None
