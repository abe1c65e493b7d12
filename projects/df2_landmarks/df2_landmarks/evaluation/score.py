"""The official landmark score of detections, for a protocol, a subset, or both protocols."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.evaluation.average_precision import Curves, accumulate
from df2_landmarks.evaluation.matching import AREA_RANGES, Matching, match
from df2_landmarks.evaluation.pairs import Pairs, pair_up
from df2_landmarks.formats import Detections, GroundTruth


@dataclass(frozen=True, eq=False)
class Score:
    """The score under one protocol, with what it was made of."""

    protocol: str
    pairs: Pairs
    matching: Matching
    curves: Curves

    @property
    def num_ignored(self) -> int:
        """Items that count neither as found nor as missed: crowds, and nothing labelled."""
        return int(self.pairs.item_ignored.sum())


def score(
    ground_truth: GroundTruth,
    detections: Detections,
    protocol: str,
    *,
    areas: Mapping[str, tuple[float, float]] = AREA_RANGES,
) -> Score:
    """Scores detections.

    Args:
        ground_truth: the items of a split.
        detections: what was found in it.
        protocol: "visible" or "visible_and_occluded".
        areas: size ranges; with ALL_SIZES the curves have AP, but no whole summary.
    """
    pairs = pair_up(ground_truth, detections, protocol)
    matching = match(pairs, areas=areas)
    return Score(protocol, pairs, matching, accumulate(pairs, matching))


def score_subset(
    pairs: Pairs, outside: NDArray[np.bool_], images: NDArray[np.bool_] | None = None
) -> Curves:
    """Scores a subset of the items of an evaluation.

    Args:
        pairs: similarities of all items.
        outside: (G,) items to ignore.
        images: (I,) images to look at, all by default.
    """
    return accumulate(pairs, match(pairs, outside), images)
