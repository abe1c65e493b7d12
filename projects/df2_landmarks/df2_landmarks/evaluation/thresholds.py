"""Precision and recall over score thresholds: which threshold to use in a product."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

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
    result: Score, thresholds: Sequence[float] = SCORE_THRESHOLDS
) -> list[OperatingPoint]:
    """Return precision and recall at score thresholds.

    A detection is right if it is matched to a garment of its category with an OKS of at least
    `OKS`. Detections and garments that the score ignores do not count.

    Args:
        result: of `score`.
        thresholds: least scores.
    """
    row = int(np.flatnonzero(THRESHOLDS == OKS)[0])
    counted = ~result.matching.ignored[0, row]
    right = counted & (result.matching.item[0, row] != UNMATCHED)
    num_items = int((~result.matching.item_ignored[0]).sum())
    points = []
    for threshold in thresholds:
        above = result.pairs.scores >= threshold
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
