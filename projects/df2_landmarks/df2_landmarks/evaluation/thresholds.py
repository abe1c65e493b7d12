"""Precision and recall over score thresholds: which threshold to use in a product."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from df2_landmarks.evaluation.average_precision import by_category
from df2_landmarks.evaluation.matching import THRESHOLDS, UNMATCHED
from df2_landmarks.evaluation.score import Score
from df2_landmarks.evaluation.tables import number, table

SCORE_THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 19))
OKS = 0.5
"""From this similarity on a detection counts as right, as for AP50."""


@dataclass(frozen=True)
class OperatingPoint:
    """What a score threshold gives, all categories together.

    Attributes:
        threshold: least score.
        precision: share of the detections above it that are right; None if there are none.
        recall: share of the garments that are found; None if there are none.
        f1: harmonic mean of the two.
    """

    threshold: float
    precision: float | None
    recall: float | None
    f1: float | None


def operating_points(
    result: Score,
    thresholds: Sequence[float] = SCORE_THRESHOLDS,
    *,
    class_index: int | None = None,
) -> list[OperatingPoint]:
    """Return precision and recall at score thresholds.

    A detection is right if it is matched to a garment of its category with an OKS of at least
    `OKS`. Detections and garments that the score ignores do not count.

    Args:
        result: of `score`.
        thresholds: least scores.
        class_index: 0-based class; all by default.
    """
    detections, items = slice(None), slice(None)
    if class_index is not None:
        detections, items = result.pairs.class_rows(class_index)
    row = int(np.flatnonzero(THRESHOLDS == OKS)[0])
    counted = ~result.matching.ignored[0, row, detections]
    right = counted & (result.matching.item[0, row, detections] != UNMATCHED)
    num_items = int((~result.matching.item_ignored[0, items]).sum())
    points = []
    for threshold in thresholds:
        above = result.pairs.scores[detections] >= threshold
        num_right, num_above = int((right & above).sum()), int((counted & above).sum())
        points.append(
            OperatingPoint(
                threshold,
                precision=num_right / num_above if num_above else None,
                recall=num_right / num_items if num_items else None,
                f1=2 * num_right / (num_above + num_items) if num_above + num_items else None,
            )
        )
    return points


def best_points(result: Score) -> list[OperatingPoint | None]:
    """Return, per category, the operating point of the best F1; None without ground truth.

    Of equal ones it is that of the lowest threshold.
    """
    best: list[OperatingPoint | None] = []
    for class_index in range(result.pairs.taxonomy.num_categories):
        points = operating_points(result, class_index=class_index)
        known = [point for point in points if point.recall is not None]
        best.append(max(known, key=lambda point: point.f1 or 0, default=None))
    return best


def best_points_as_dict(result: Score) -> dict[str, dict[str, Any] | None]:
    """Return `best_points` by official category name, as plain data for JSON."""
    points = [None if point is None else asdict(point) for point in best_points(result)]
    return by_category(result.pairs.taxonomy, points)


def best_points_text(result: Score) -> str:
    """Format the best operating point of each category as a table."""
    rows = [
        [category.official_name, f"{point.threshold:.2f}"]
        + [number(value) for value in (point.precision, point.recall, point.f1)]
        for category, point in zip(
            result.pairs.taxonomy.categories, best_points(result), strict=True
        )
        if point is not None
    ]
    return table(["best F1 of", "score from", "precision", "recall", "F1"], rows)


def thresholds_text(points: Sequence[OperatingPoint]) -> str:
    """Format operating points as a table, the best F1 marked."""
    best = max((point.f1 or 0 for point in points), default=0)
    rows = [
        [
            f"{point.threshold:.2f}",
            *(number(value) for value in (point.precision, point.recall, point.f1)),
            "best F1" if best and point.f1 == best else "",
        ]
        for point in points
    ]
    return table(["score from", "precision", "recall", "F1", ""], rows, left=(4,))


def thresholds_as_dict(points: Sequence[OperatingPoint]) -> list[dict[str, Any]]:
    """Return operating points as plain data for JSON."""
    return [asdict(point) for point in points]
