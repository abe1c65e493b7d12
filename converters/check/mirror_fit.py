"""Measure how well garments fit their own mirror image under a table of flip pairs.

A frontal garment is nearly symmetric, so mirrored and renumbered by the right pairs it lies on
itself. For each garment the mirrored landmarks are moved, turned and scaled onto the original by
least squares; what remains, in units of the square root of the box area, is small where the pairs
are right. Side and back views are left out.

Points are complex numbers x + iy: mirroring is z -> -conj(z), turning and scaling a factor.

Shapes: N garments of one category, K landmarks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from converters.raw import VALUES_PER_LANDMARK, RawItem
from df2_landmarks.taxonomy import DEEPFASHION2

MIN_POINTS = 4  # landmarks that an alignment is made from; it has 4 unknowns
MIN_GARMENTS = 5  # for a verdict
MIN_STANDARD_ERRORS = 3.0  # of the mean difference between two tables, for a verdict
MAX_RATIO = 0.75  # of the better residual to the worse one, for a verdict
SIDE_OR_BACK = 3  # value of ``viewpoint``

Pairs = tuple[tuple[int, int], ...]


class Dispute(NamedTuple):
    """Pairs that published tables disagree on, in landmark numbers."""

    category_id: int
    ours: Pairs
    other: Pairs
    other_source: str


DISPUTES = (
    Dispute(
        category_id=3,
        ours=((2, 6), (4, 26)),
        other=((2, 26), (4, 6)),
        other_source="numbering of the data set's Figure 2",
    ),
)


@dataclass
class MirrorFit:
    """Sums over garments, which can be added up over parts of a data set.

    Attributes:
        residual_sum, count: (C, M) per class and landmark, under the table of the taxonomy.
        disputes: for each dispute: sum under our pairs, sum under the other ones, sum of the
            squared difference, number of garments.
    """

    residual_sum: NDArray[np.float64] = field(
        default_factory=lambda: np.zeros((DEEPFASHION2.num_categories, DEEPFASHION2.max_landmarks))
    )
    count: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(
            (DEEPFASHION2.num_categories, DEEPFASHION2.max_landmarks), dtype=np.int64
        )
    )
    disputes: NDArray[np.float64] = field(default_factory=lambda: np.zeros((len(DISPUTES), 4)))

    def __iadd__(self, other: MirrorFit) -> MirrorFit:
        """Add the sums of another part."""
        self.residual_sum += other.residual_sum
        self.count += other.count
        self.disputes += other.disputes
        return self

    def pairs(self) -> list[dict[str, object]]:
        """Return the mean residual of each flip pair that occurred."""
        rows: list[dict[str, object]] = []
        for class_index, category in enumerate(DEEPFASHION2.categories):
            for a, b in category.flip_pairs:
                index = [a - 1, b - 1]
                count = int(self.count[class_index, index].sum())
                if count:
                    residual = float(self.residual_sum[class_index, index].sum() / count)
                    rows.append(
                        {
                            "category": category.name,
                            "pair": [a, b],
                            "names": [category.landmark_names[i] for i in index],
                            "residual": round(residual, 4),
                            "garments": count // 2,
                        }
                    )
        return rows

    def verdicts(self) -> list[dict[str, object]]:
        """Return for each dispute which of the two tables fits better."""
        return [
            _verdict(dispute, *map(float, sums))
            for dispute, sums in zip(DISPUTES, self.disputes, strict=True)
        ]


def _verdict(
    dispute: Dispute, ours: float, other: float, squares: float, count: float
) -> dict[str, object]:
    """Return mean residuals, and the better table: None if the difference could be chance."""
    better = None
    if count >= MIN_GARMENTS:
        mean = (ours - other) / count
        error = math.sqrt(max(squares / count - mean**2, 0.0) / count)
        clear = min(ours, other) < MAX_RATIO * max(ours, other)
        if clear and abs(mean) > MIN_STANDARD_ERRORS * error:
            better = "this project" if mean < 0 else "other"
    return {
        "category": DEEPFASHION2.categories[dispute.category_id - 1].name,
        "this_project_pairs": dispute.ours,
        "other_pairs": dispute.other,
        "other_source": dispute.other_source,
        "this_project_residual": round(ours / count, 4) if count else None,
        "other_residual": round(other / count, 4) if count else None,
        "garments": int(count),
        "better": better,
    }


def fit_garments(items_of_class: Mapping[int, Sequence[RawItem]]) -> MirrorFit:
    """Fit garments with their mirror images.

    Args:
        items_of_class: class (0..C-1) -> items that ``check_item`` accepts.
    """
    fit = MirrorFit()
    for class_index, items in items_of_class.items():
        items = [item for item in items if item.viewpoint != SIDE_OR_BACK]
        if not items:
            continue
        points, labelled = _points(items)
        pairs = DEEPFASHION2.categories[class_index].flip_pairs
        residual, used = _residuals(points, labelled, _permutation(class_index, pairs))
        num = DEEPFASHION2.counts[class_index]
        fit.residual_sum[class_index, :num] += (residual * used).sum(axis=0)
        fit.count[class_index, :num] += used.sum(axis=0)
        for number, dispute in enumerate(DISPUTES):
            if dispute.category_id == class_index + 1:
                fit.disputes[number] += _dispute_sums(points, labelled, dispute)
    return fit


def _points(items: Sequence[RawItem]) -> tuple[NDArray[np.complex128], NDArray[np.bool_]]:
    """Return (N, K) points in units of the square root of the box area, and which are labelled."""
    values = np.array([item.landmarks for item in items], dtype=np.float64)
    values = values.reshape(len(items), -1, VALUES_PER_LANDMARK)
    boxes = np.array([item.bounding_box for item in items], dtype=np.float64)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    size = np.sqrt(np.maximum(area, 1.0))  # a tiny box must not make the sums overflow
    points = np.empty(values.shape[:2], dtype=np.complex128)
    points.real, points.imag = values[..., 0], values[..., 1]
    points /= size[:, None]
    return points, values[..., 2] > 0


def _permutation(class_index: int, pairs: Pairs) -> NDArray[np.int64]:
    permutation = np.arange(DEEPFASHION2.counts[class_index])
    for a, b in pairs:
        permutation[[a - 1, b - 1]] = b - 1, a - 1
    return permutation


def _residuals(
    points: NDArray[np.complex128],
    labelled: NDArray[np.bool_],
    permutation: NDArray[np.int64],
    align_by: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the distance of each landmark from its mirrored partner.

    Args:
        points: (N, K).
        labelled: (N, K).
        permutation: (K,) partner of each landmark.
        align_by: (K,) landmarks that the alignment is made from; None: all of them.

    Returns:
        (N, K) distances, and (N, K) which of them are valid.
    """
    mirrored = -np.conj(points[:, permutation])
    both = labelled & labelled[:, permutation]
    weight = (both if align_by is None else both & align_by).astype(np.float64)
    total = weight.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        points = points - (weight * points).sum(axis=1, keepdims=True) / total
        mirrored = mirrored - (weight * mirrored).sum(axis=1, keepdims=True) / total
        factor = (weight * points * np.conj(mirrored)).sum(axis=1, keepdims=True) / (
            weight * np.abs(mirrored) ** 2
        ).sum(axis=1, keepdims=True)
        residual = np.abs(points - factor * mirrored)
    used = both & (total >= MIN_POINTS) & np.isfinite(residual)
    return np.where(used, residual, 0.0), used


def _dispute_sums(
    points: NDArray[np.complex128], labelled: NDArray[np.bool_], dispute: Dispute
) -> NDArray[np.float64]:
    """Return a (4,) row of ``MirrorFit.disputes``, with both tables in one alignment.

    The alignment is made from the undisputed landmarks, so that it favours neither.
    """
    class_index = dispute.category_id - 1
    disputed = np.array(dispute.ours).ravel() - 1
    align_by = np.ones(points.shape[1], dtype=bool)
    align_by[disputed] = False
    common = [p for p in DEEPFASHION2.categories[class_index].flip_pairs if p not in dispute.ours]
    means = []
    for pairs in (dispute.ours, dispute.other):
        permutation = _permutation(class_index, (*common, *pairs))
        residual, used = _residuals(points, labelled, permutation, align_by)
        complete = used[:, disputed].all(axis=1)
        means.append(residual[complete][:, disputed].mean(axis=1))
    ours, other = means
    return np.array([ours.sum(), other.sum(), ((ours - other) ** 2).sum(), complete.sum()])
