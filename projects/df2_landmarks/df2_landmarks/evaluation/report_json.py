"""A score as plain data, for files: AP as fractions, null where nothing defines a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from df2_landmarks.evaluation.breakdown import Subset, breakdown
from df2_landmarks.evaluation.score import Score
from df2_landmarks.formats import GroundTruth
from df2_landmarks.taxonomy import LAYOUT

Breakdown = Mapping[str, Mapping[str, Subset]]


def break_down(ground_truth: GroundTruth, score: Score, axes: Sequence[str]) -> Breakdown:
    """Axis -> value -> score of the subset."""
    return {axis: breakdown(ground_truth, score, axis) for axis in axes}


def score_as_dict(ground_truth: GroundTruth, score: Score, by: Breakdown) -> dict[str, Any]:
    """The ten numbers, AP per category, counts, and the breakdown."""
    names = [category.official_name for category in LAYOUT.categories]
    return {
        **score.curves.summary(),
        "per_category": dict(zip(names, score.curves.per_category(), strict=True)),
        "images": len(ground_truth.image_ids),
        "items": ground_truth.num_items,
        "ignored_items": score.num_ignored,
        "by": {
            axis: {
                value: {**subset.summary, "items": subset.items, "images": subset.images}
                for value, subset in subsets.items()
            }
            for axis, subsets in by.items()
        },
    }
