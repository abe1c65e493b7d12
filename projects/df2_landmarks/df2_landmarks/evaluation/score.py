"""The official landmark score of detections under a protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from df2_landmarks.evaluation.average_precision import Curves, accumulate
from df2_landmarks.evaluation.matching import AREA_RANGES, Matching, match
from df2_landmarks.evaluation.pairs import Pairs, pair_up
from df2_landmarks.formats import Detections, GroundTruth


@dataclass(frozen=True, eq=False)
class Score:
    """A score under one protocol, with the pairs and the matching it was computed from."""

    protocol: str
    pairs: Pairs
    matching: Matching
    curves: Curves

    @property
    def num_ignored(self) -> int:
        """Items that do not count: crowds, and items without a labelled landmark."""
        return int(self.pairs.item_ignored.sum())


def score(
    ground_truth: GroundTruth,
    detections: Detections,
    protocol: str,
    *,
    areas: Mapping[str, tuple[float, float]] = AREA_RANGES,
) -> Score:
    """Score detections as the DeepFashion2 challenge does; equal to pycocotools to the bit.

    Args:
        ground_truth: the items of a split.
        detections: the predictions on its images.
        protocol: "visible" or "visible_and_occluded".
        areas: size ranges; with ALL_SIZES the curves have the AP, but not the whole summary.

    Example:
        >>> from df2_landmarks.formats import read_ground_truth, read_results
        >>> ground_truth = read_ground_truth("validation.json")
        >>> detections = read_results("landmark_results.json", ground_truth)
        >>> result = score(ground_truth, detections, "visible_and_occluded")
        >>> round(result.curves.summary()["AP50"], 3)
        1.0
    """
    pairs = pair_up(ground_truth, detections, protocol)
    matching = match(pairs, areas=areas)
    return Score(protocol, pairs, matching, accumulate(pairs, matching))
