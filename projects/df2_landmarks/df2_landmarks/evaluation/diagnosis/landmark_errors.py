"""The error type of each predicted landmark, and the statistics of landmark errors.

n = detections of a class whose landmarks are those of an item, K = landmarks of the class. The
similarity of a position and a landmark is ``ks = exp(-d**2 / (2 * area * (2 * sigma)**2))``, its
term in the OKS, always with the area of the detection's item and the sigma of the predicted
landmark.

* *good*: ks >= .85 with the true position.
* *jitter*: ks >= .5 with the true position.
* *inversion*: otherwise, ks >= .5 with its mirror partner on the same item.
* *swap*: otherwise, ks >= .5 with the landmark of that name, or its mirror partner, on another item
  of the image, of any category.
* *miss*: none of these.

Source: Ronchi and Perona, Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation
(2017, arXiv 1707.05388); *swap* is extended to several categories by the landmarks' names. A
position that could be both an inversion and a swap is the more similar one, an inversion if equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.evaluation.diagnosis.detection_errors import (
    ClassifiedDetections,
    class_of,
    image_pairs,
)
from df2_landmarks.evaluation.oks import sigma_px
from df2_landmarks.evaluation.score import Score
from df2_landmarks.formats import GroundTruth
from df2_landmarks.taxonomy import Taxonomy

GOOD_KS, JITTER_KS = 0.85, 0.5
GOOD, JITTER, INVERSION, SWAP, MISS = range(5)
LANDMARK_TYPES = ("good", "jitter", "inversion", "swap", "miss")
UNLABELLED = -1
PCK_FRACTION = 0.1
"""A landmark is correct (PCK) within this fraction of the longer side of the item's box."""


@dataclass(frozen=True, eq=False)
class ClassifiedLandmarks:
    """The landmarks of a class that belong to an item.

    Attributes:
        detection: (n,) row among the ranked detections of the class.
        item: (n,) row among the items of the class.
        visibility: (n, K) of the true landmark.
        error_type: (n, K) index into ``LANDMARK_TYPES``, UNLABELLED without a true landmark.
        error_px: (n, K) distance to the true position, NaN where unlabelled.
        error_sigmas: (n, K) the same over ``2 * sigma * sqrt(area)``.
        error_box: (n, K) the same over the longer side of the item's box.
    """

    detection: NDArray[np.int64]
    item: NDArray[np.int64]
    visibility: NDArray[np.int8]
    error_type: NDArray[np.int8]
    error_px: NDArray[np.float64]
    error_sigmas: NDArray[np.float64]
    error_box: NDArray[np.float64]


def classify_landmarks(
    ground_truth: GroundTruth, score: Score, classified: ClassifiedDetections
) -> tuple[ClassifiedLandmarks, ...]:
    """Find the error type of each landmark of the correct and the poor detections, per class."""
    detections, items = image_pairs(score.pairs)
    others = classified.has_landmarks[detections] & (classified.item[detections] != items)
    neighbours = detections[others], items[others]
    return tuple(
        _classify(ground_truth, score, classified, c, neighbours)
        for c in range(ground_truth.taxonomy.num_categories)
    )


def _classify(
    ground_truth: GroundTruth,
    score: Score,
    classified: ClassifiedDetections,
    c: int,
    neighbours: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> ClassifiedLandmarks:
    pairs, truth, taxonomy = score.pairs, ground_truth.classes[c], ground_truth.taxonomy
    detection_rows, item_rows = pairs.class_rows(c)
    detection = np.flatnonzero(classified.has_landmarks[detection_rows])
    item = classified.item[detection_rows][detection] - item_rows.start
    labelled = truth.labelled(score.protocol)[item]
    predicted_xy = pairs.ranked[c].landmarks_xy[detection]
    true_xy = truth.landmarks_xy[item]
    scale = sigma_px(truth.areas[item], taxonomy.sigmas(c))
    error_px = np.where(labelled, _distance(predicted_xy, true_xy), np.nan)
    true_ks = _ks(error_px, scale)
    partner = taxonomy.flip_indices[c, : taxonomy.counts[c]]
    has_partner = labelled[:, partner] & (partner != np.arange(len(partner)))
    partner_px = np.where(has_partner, _distance(predicted_xy, true_xy[:, partner]), np.inf)
    inversion_ks = _ks(partner_px, scale)
    swap_ks = _swap_ks(ground_truth, score, c, detection, scale, neighbours)
    error_type = np.full(labelled.shape, MISS, dtype=np.int8)
    error_type[swap_ks >= JITTER_KS] = SWAP
    error_type[(inversion_ks >= JITTER_KS) & (inversion_ks >= swap_ks)] = INVERSION
    error_type[true_ks >= JITTER_KS] = JITTER
    error_type[true_ks >= GOOD_KS] = GOOD
    error_type[~labelled] = UNLABELLED
    longer_side = truth.boxes_xywh[item, 2:].max(axis=1, initial=0)[:, None]
    return ClassifiedLandmarks(
        detection=detection,
        item=item,
        visibility=truth.visibility[item],
        error_type=error_type,
        error_px=error_px,
        error_sigmas=error_px / scale,
        error_box=error_px / np.maximum(longer_side, 1),
    )


def _swap_ks(
    ground_truth: GroundTruth,
    score: Score,
    c: int,
    detection: NDArray[np.int64],
    scale: NDArray[np.float64],
    neighbours: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> NDArray[np.float64]:
    """Return the (n, K) best similarity to a namesake on another item, 0 without one.

    ``neighbours`` are flat indices of detections and of the other items in their images; ``scale``
    has the pixels of a unit of ``2 * sigma * sqrt(area)``.
    """
    pairs = score.pairs
    predicted_xy = pairs.ranked[c].landmarks_xy[detection]
    in_class = class_of(pairs.class_starts, neighbours[0]) == c
    detections, items = neighbours[0][in_class], neighbours[1][in_class]
    item_classes = class_of(pairs.item_starts, items)
    best = np.zeros(scale.shape)
    for other in np.unique(item_classes).tolist():
        in_other = item_classes == other
        rows = np.searchsorted(detection, detections[in_other] - pairs.class_starts[c])
        truth = ground_truth.classes[other]
        other_items = items[in_other] - pairs.item_starts[other]
        labelled = truth.labelled(score.protocol)[other_items]
        for k, same in same_names(ground_truth.taxonomy, c, other):
            true_xy = truth.landmarks_xy[other_items][:, same]
            distance = _distance(predicted_xy[rows, k][:, None], true_xy)
            nearest = np.where(labelled[:, same], distance, np.inf).min(axis=1)
            np.maximum.at(best[:, k], rows, _ks(nearest, scale[rows, k]))
    return best


@cache
def same_names(taxonomy: Taxonomy, c: int, other: int) -> tuple[tuple[int, list[int]], ...]:
    """Return the landmarks of class ``c`` that have namesakes in class ``other``, with these.

    A namesake has the name of the landmark or of its mirror partner.
    """
    names = taxonomy.categories[c].landmark_names
    other_names = taxonomy.categories[other].landmark_names
    result = []
    for k, name in enumerate(names):
        wanted = {name, names[taxonomy.flip_indices[c, k]]}
        same = [j for j, other_name in enumerate(other_names) if other_name in wanted]
        if same:
            result.append((k, same))
    return tuple(result)


def _distance(a_xy: NDArray[np.float64], b_xy: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.linalg.norm(a_xy - b_xy, axis=-1)


def _ks(distance_px: NDArray[np.float64], scale: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(-((distance_px / scale) ** 2) / 2)


@dataclass(frozen=True)
class LandmarkErrors:
    """Errors of a group of landmarks; None where the group is empty.

    Attributes:
        category: official name, "" for several categories.
        landmark: "number name", "" for several landmarks.
        count: labelled landmarks on correct and on poor detections.
        shares: fraction of each of ``LANDMARK_TYPES``.
        mean_px, median_px: distance to the true position.
        mean_sigmas: mean distance over ``2 * sigma * sqrt(area)``, the unit of the OKS.
        pck: fraction within ``PCK_FRACTION``.
        ap_gain: AP that the category would gain if this landmark were always correct.
    """

    category: str
    landmark: str
    count: int
    shares: dict[str, float | None]
    mean_px: float | None
    median_px: float | None
    mean_sigmas: float | None
    pck: float | None
    ap_gain: float | None = None


def errors_by_group(
    taxonomy: Taxonomy, landmarks: Sequence[ClassifiedLandmarks]
) -> dict[str, LandmarkErrors]:
    """Return the errors of all, the visible and the occluded landmarks, and of each category."""
    seen = [part.visibility for part in landmarks]
    groups = {
        "all": _errors("", "", landmarks, [v > 0 for v in seen]),
        "visible": _errors("", "", landmarks, [v == 2 for v in seen]),
        "occluded": _errors("", "", landmarks, [v == 1 for v in seen]),
    }
    for category, part in zip(taxonomy.categories, landmarks, strict=True):
        name = category.official_name
        groups[name] = _errors(name, "", [part], [part.visibility > 0])
    return groups


def errors_by_landmark(
    taxonomy: Taxonomy,
    landmarks: Sequence[ClassifiedLandmarks],
    ap_gains: Sequence[Sequence[float | None]],
) -> tuple[LandmarkErrors, ...]:
    """Return the errors of each landmark of each category.

    Args:
        taxonomy: the categories.
        landmarks: per class.
        ap_gains: per class (K,), see `LandmarkErrors.ap_gain`.
    """
    rows = []
    for category, part, gains in zip(taxonomy.categories, landmarks, ap_gains, strict=True):
        for k, name in enumerate(category.landmark_names):
            column = np.broadcast_to(np.arange(len(gains)) == k, part.error_type.shape)
            title = f"{k + 1} {name}"
            rows.append(_errors(category.official_name, title, [part], [column], gains[k]))
    return tuple(rows)


def _errors(
    category: str,
    landmark: str,
    parts: Sequence[ClassifiedLandmarks],
    masks: Sequence[NDArray[np.bool_]],
    ap_gain: float | None = None,
) -> LandmarkErrors:
    """Return the errors of the landmarks in the masks, (n, K) each, that are labelled."""

    def values(field: str) -> NDArray:
        return np.concatenate(
            [
                getattr(part, field)[mask & (part.error_type != UNLABELLED)]
                for part, mask in zip(parts, masks, strict=True)
            ]
        )

    error_type, error_px = values("error_type"), values("error_px")
    return LandmarkErrors(
        category=category,
        landmark=landmark,
        count=len(error_type),
        shares={name: _mean(error_type == t) for t, name in enumerate(LANDMARK_TYPES)},
        mean_px=_mean(error_px),
        median_px=float(np.median(error_px)) if len(error_px) else None,
        mean_sigmas=_mean(values("error_sigmas")),
        pck=_mean(values("error_box") <= PCK_FRACTION),
        ap_gain=ap_gain,
    )


def _mean(values: NDArray) -> float | None:
    return float(values.mean()) if len(values) else None
