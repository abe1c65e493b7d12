"""What each predicted landmark is: good, jitter, inversion, swap or miss.

n = pairs of a detection and the item it is about, of one class; K = landmarks of the class. The
similarity of a place and a landmark is ``ks = exp(-d**2 / (2 * area * (2 * sigma)**2))``, its term
in the OKS, always with the area of the detection's own item and the sigma of its own landmark.

* *good*: ks >= .85; *jitter*: ks >= .5 to its own true place.
* *inversion*: else, ks >= .5 to its mirror partner on the same garment.
* *swap*: else, ks >= .5 to the landmark of that name, or its mirror partner, on another garment of
  the image, of any category.
* *miss*: none of these.

Source: Ronchi and Perona, Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation
(2017, arXiv 1707.05388); *swap* carries over to several categories by the landmarks' names. Where
an inverted place is also close to another garment, the likelier one counts, the inversion winning
a tie.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.evaluation.diagnosis.association import (
    FOUND,
    POOR,
    Association,
    class_of,
    image_pairs,
)
from df2_landmarks.evaluation.score import Score
from df2_landmarks.formats import GroundTruth
from df2_landmarks.taxonomy import LAYOUT

GOOD_KS, JITTER_KS = 0.85, 0.5
GOOD, JITTER, INVERSION, SWAP, MISS = range(5)
LANDMARK_KINDS = ("good", "jitter", "inversion", "swap", "miss")
UNLABELLED = -1
_MIN_AREA = 1e-3  # an item without area has finite errors all the same


@dataclass(frozen=True, eq=False)
class ClassLandmarks:
    """The landmarks of the detections of one class that are about an item.

    Attributes:
        detection: (n,) row among the ranked detections of the class.
        item: (n,) row among the items of the class.
        kind: (n, K) index into ``LANDMARK_KINDS``, UNLABELLED where the truth has no landmark.
        error_px: (n, K) distance to the true place, NaN where unlabelled.
        error_sigmas: (n, K) the same over ``2 * sigma * sqrt(area)``.
        error_box: (n, K) the same over the longer side of the item's box.
    """

    detection: NDArray[np.int64]
    item: NDArray[np.int64]
    kind: NDArray[np.int8]
    error_px: NDArray[np.float64]
    error_sigmas: NDArray[np.float64]
    error_box: NDArray[np.float64]


def classify_landmarks(
    ground_truth: GroundTruth, score: Score, association: Association
) -> tuple[ClassLandmarks, ...]:
    """Classes the landmarks of every detection that found an item, with good landmarks or poor."""
    swap_ks = _SwapSearch(ground_truth, score, association)
    return tuple(
        _classify(ground_truth, score, association, c, swap_ks)
        for c in range(LAYOUT.num_categories)
    )


def _classify(
    ground_truth: GroundTruth, score: Score, association: Association, c: int, swaps: _SwapSearch
) -> ClassLandmarks:
    pairs = score.pairs
    found = np.arange(pairs.class_starts[c], pairs.class_starts[c + 1])
    found = found[np.isin(association.kind[found], (FOUND, POOR))]
    detection = found - pairs.class_starts[c]
    item = association.item[found] - pairs.item_starts[c]
    truth = ground_truth.classes[c]
    labelled = truth.labelled(score.protocol)[item]
    predicted_xy = pairs.ranked[c].landmarks_xy[detection]
    true_xy = truth.landmarks_xy[item]
    scale = landmark_scale(truth.areas[item], LAYOUT.sigmas(c))
    error_px = np.where(labelled, _distance(predicted_xy, true_xy), np.nan)
    own_ks = np.exp(-((error_px / scale) ** 2) / 2)
    partner = LAYOUT.flip_indices[c, : LAYOUT.counts[c]]
    has_partner = labelled[:, partner] & (partner != np.arange(len(partner)))
    inverted = np.where(has_partner, _distance(predicted_xy, true_xy[:, partner]), np.inf)
    inversion_ks = np.exp(-((inverted / scale) ** 2) / 2)
    swap_ks = swaps.best_ks(c, found, predicted_xy, scale)
    kind = np.full(labelled.shape, MISS, dtype=np.int8)
    kind[swap_ks >= JITTER_KS] = SWAP
    kind[(inversion_ks >= JITTER_KS) & (inversion_ks >= swap_ks)] = INVERSION
    kind[own_ks >= JITTER_KS] = JITTER
    kind[own_ks >= GOOD_KS] = GOOD
    kind[~labelled] = UNLABELLED
    longer_side = truth.boxes_xywh[item, 2:].max(axis=1, initial=0)[:, None]
    return ClassLandmarks(
        detection=detection,
        item=item,
        kind=kind,
        error_px=error_px,
        error_sigmas=error_px / scale,
        error_box=error_px / np.maximum(longer_side, 1),
    )


def landmark_scale(areas: NDArray[np.float64], sigmas: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, K) pixels of one unit of ``2 * sigma * sqrt(area)``."""
    return np.sqrt(np.maximum(areas, _MIN_AREA))[:, None] * 2 * sigmas


class _SwapSearch:
    """Looks for landmarks of the same name, or of the partner's, on the image's other garments."""

    def __init__(self, ground_truth: GroundTruth, score: Score, association: Association) -> None:
        self._truth = ground_truth
        self._protocol = score.protocol
        self._item_starts = score.pairs.item_starts
        detection, other = image_pairs(score.pairs)
        own = association.item[detection]
        about = np.isin(association.kind[detection], (FOUND, POOR)) & (own != other)
        detection, other = detection[about], other[about]
        self._detection, self._other = detection, other
        self._class = class_of(score.pairs.class_starts, detection)
        self._other_class = class_of(self._item_starts, other)

    def best_ks(
        self,
        c: int,
        found: NDArray[np.int64],
        predicted_xy: NDArray[np.float64],
        scale: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """(n, K) best similarity to such a landmark, 0 without one.

        Args:
            c: class of the detections.
            found: (n,) flat indices of the detections, ascending.
            predicted_xy: (n, K, 2).
            scale: (n, K) pixels of one unit.
        """
        best = np.zeros(scale.shape)
        for other_class in range(LAYOUT.num_categories):
            some = (self._class == c) & (self._other_class == other_class)
            if not some.any():
                continue
            rows = np.searchsorted(found, self._detection[some])
            truth = self._truth.classes[other_class]
            items = self._other[some] - self._item_starts[other_class]
            labelled = truth.labelled(self._protocol)[items]
            for own, others in same_names(c, other_class):
                distance = _distance(
                    predicted_xy[rows, own][:, None], truth.landmarks_xy[items][:, others]
                )
                nearest = np.where(labelled[:, others], distance, np.inf).min(axis=1)
                ks = np.exp(-((nearest / scale[rows, own]) ** 2) / 2)
                np.maximum.at(best[:, own], rows, ks)
        return best


@cache
def same_names(c: int, other: int) -> tuple[tuple[int, list[int]], ...]:
    """For each landmark of class ``c``: the landmarks of class ``other`` that have its name or the
    name of its mirror partner. Landmarks without such are left out."""
    names = LAYOUT.categories[c].landmark_names
    other_names = LAYOUT.categories[other].landmark_names
    result = []
    for own, name in enumerate(names):
        wanted = {name, names[LAYOUT.flip_indices[c, own]]}
        others = [k for k, other_name in enumerate(other_names) if other_name in wanted]
        if others:
            result.append((own, others))
    return tuple(result)


def _distance(a_xy: NDArray[np.float64], b_xy: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.linalg.norm(a_xy - b_xy, axis=-1)
