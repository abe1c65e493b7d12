"""The score by the data set's own attributes, as in Table 5 of the DeepFashion2 paper.

The rule: a subset is scored on the images that show an item of it. Other items on these images are
ignored: a detection that matches one is neither right nor wrong, and so they are no false
positives. A detection that matches nothing is false in every subset its image belongs to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.evaluation.average_precision import Curves
from df2_landmarks.evaluation.pairs import Pairs
from df2_landmarks.evaluation.score import Score, score_subset
from df2_landmarks.formats import ATTRIBUTES, GroundTruth
from df2_landmarks.taxonomy import LAYOUT

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

RULE = (
    "Each subset is scored on the images that show an item of it; other items there are ignored "
    "(no false positives)."
)


@dataclass(frozen=True)
class Subset:
    """Score of a subset.

    Attributes:
        items: items that count.
        images: images that were looked at.
        summary: the ten numbers as fractions, None where undefined.
    """

    items: int
    images: int
    summary: dict[str, float | None]


def breakdown(ground_truth: GroundTruth, score: Score, axis: str) -> dict[str, Subset]:
    """Scores of the subsets along one axis, by name of the value.

    Args:
        ground_truth: what was scored.
        score: the overall score.
        axis: "category" or an attribute; items without a known value are in no subset.

    Raises:
        ValueError: there is no such axis.
    """
    if axis not in AXES:
        raise ValueError(f"must be one of {', '.join(AXES)}, but got {axis!r}")
    pairs = score.pairs
    if axis == CATEGORY:
        names = [category.official_name for category in LAYOUT.categories]
        counts = np.diff(pairs.item_starts)
        ignored = np.add.reduceat(np.append(pairs.item_ignored, 0), pairs.item_starts[:-1])
        ignored[counts == 0] = 0
        return {
            name: Subset(
                items=int(counts[c] - ignored[c]),
                images=len(ground_truth.image_ids),
                summary=score.curves.summary(c),
            )
            for c, name in enumerate(names)
        }
    column = ATTRIBUTES.index(axis)
    values = np.concatenate([truth.attributes[:, column] for truth in ground_truth.classes])
    return {
        name: _subset(len(ground_truth.image_ids), pairs, values == value)
        for value, name in enumerate(VALUES[axis], start=1)
    }


def _subset(num_images: int, pairs: Pairs, inside: NDArray[np.bool_]) -> Subset:
    counted = inside & ~pairs.item_ignored
    images = np.zeros(num_images, dtype=bool)
    images[pairs.item_images[counted]] = True
    curves: Curves = score_subset(pairs, ~inside, images)
    return Subset(int(counted.sum()), int(images.sum()), curves.summary())
