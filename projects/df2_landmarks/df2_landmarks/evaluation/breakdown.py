"""The score by category and by the data set's attributes, as in Table 5 of the DeepFashion2 paper.

The rule: a subset is scored on the images that show an item of it. Other items on these images are
ignored: a detection that matches such an item is neither a true nor a false positive. A detection
without a match is a false positive in every subset its image belongs to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.evaluation.average_precision import accumulate
from df2_landmarks.evaluation.comparison import Interval, ap_intervals, subset_interval
from df2_landmarks.evaluation.matching import match
from df2_landmarks.evaluation.pairs import Pairs
from df2_landmarks.evaluation.score import Score
from df2_landmarks.formats import ATTRIBUTES, GroundTruth

CATEGORY = "category"
AXES = (CATEGORY, *ATTRIBUTES)

VALUES: dict[str, tuple[str, ...]] = {
    "scale": ("small", "moderate", "large"),
    "occlusion": ("slight", "medium", "heavy"),
    "zoom_in": ("no", "medium", "large"),
    "viewpoint": ("no wear", "frontal", "side or back"),
    "source": ("user", "shop"),
}
"""Names of the attribute values 1, 2, 3 (README of the data set)."""


@dataclass(frozen=True)
class Subset:
    """The score of a subset.

    Attributes:
        items: number of items that count.
        images: number of images that count.
        summary: the ten numbers as fractions, None where undefined.
        interval: of the AP; None where it was not asked for, or without an item.
    """

    items: int
    images: int
    summary: dict[str, float | None]
    interval: Interval | None = None


Breakdown = Mapping[str, Mapping[str, Subset]]
"""Axis -> value -> score of the subset."""


def break_down(
    ground_truth: GroundTruth, score: Score, axes: Sequence[str], *, resamples: int = 0
) -> Breakdown:
    """Score the subsets along each axis.

    Args:
        ground_truth: the ground truth of the score.
        score: the overall score.
        axes: "category" or attributes; items without a known value are in no subset.
        resamples: bootstrap draws of the intervals; 0: no intervals.

    Raises:
        ValueError: an axis does not exist.
    """
    return {axis: _subsets(ground_truth, score, axis, resamples) for axis in axes}


def _subsets(
    ground_truth: GroundTruth, score: Score, axis: str, resamples: int
) -> dict[str, Subset]:
    if axis not in AXES:
        raise ValueError(f"must be one of {', '.join(AXES)}, but got {axis!r}")
    pairs, num_images = score.pairs, len(ground_truth.image_ids)
    if axis == CATEGORY:
        subsets = {}
        intervals: Sequence[Interval | None] = [None] * ground_truth.taxonomy.num_categories
        if resamples:
            found = ap_intervals(score, num_images=num_images, resamples=resamples)
            intervals = found.per_category
        for c, category in enumerate(ground_truth.taxonomy.categories):
            items = pairs.class_rows(c)[1]
            num_items = int(np.count_nonzero(~pairs.item_ignored[items]))
            summary = score.curves.summary(c)
            subset = Subset(num_items, num_images, summary, intervals[c])
            subsets[category.official_name] = subset
        return subsets
    column = ATTRIBUTES.index(axis)
    values = np.concatenate([truth.attributes[:, column] for truth in ground_truth.classes])
    return {
        name: _subset(num_images, pairs, values == value, resamples)
        for value, name in enumerate(VALUES[axis], start=1)
    }


def _subset(num_images: int, pairs: Pairs, inside: NDArray[np.bool_], resamples: int) -> Subset:
    counted = inside & ~pairs.item_ignored
    images = np.zeros(num_images, dtype=bool)
    images[pairs.item_images[counted]] = True
    matching = match(pairs, ~inside)
    curves = accumulate(pairs, matching, images)
    interval = None
    if resamples:
        interval = subset_interval(pairs, matching, curves, images, resamples=resamples)
    return Subset(int(counted.sum()), int(images.sum()), curves.summary(), interval)
