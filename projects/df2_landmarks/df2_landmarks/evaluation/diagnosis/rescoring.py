"""Scoring changed detections against the same ground truth, overall and per category."""

from __future__ import annotations

from dataclasses import dataclass

from df2_landmarks.evaluation.average_precision import Curves
from df2_landmarks.evaluation.matching import ALL_SIZES
from df2_landmarks.evaluation.score import Score, score
from df2_landmarks.formats import Detections, GroundTruth


@dataclass(frozen=True)
class Mended:
    """AP with one thing mended.

    Attributes:
        count: how many detections, items or landmarks that is; None where it is not counted.
        ap: overall, None where undefined.
        per_category: AP of each category.
    """

    count: int | None
    ap: float | None
    per_category: tuple[float | None, ...]


def ap_of(curves: Curves, count: int | None = None) -> Mended:
    """The APs of curves."""
    return Mended(count, curves.ap, tuple(curves.per_category()))


class Rescorer:
    """Scores detections under one protocol."""

    def __init__(self, ground_truth: GroundTruth, protocol: str) -> None:
        self.ground_truth = ground_truth
        self.protocol = protocol

    def score(self, detections: Detections) -> Score:
        """The score over all sizes."""
        return score(self.ground_truth, detections, self.protocol, areas=ALL_SIZES)

    def __call__(self, detections: Detections, count: int | None = None) -> Mended:
        """Its APs."""
        return ap_of(self.score(detections).curves, count)
