"""Results with one kind of mistake mended, to see how much AP that kind costs.

Everything here takes the ranked detections of a score and returns new ones; areas of detections
stay as they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.evaluation.diagnosis.association import (
    POOR,
    WRONG_CATEGORY,
    Association,
    class_of,
)
from df2_landmarks.evaluation.diagnosis.landmark_errors import ClassLandmarks
from df2_landmarks.evaluation.mean_shape import stretch
from df2_landmarks.evaluation.pairs import pair_indices
from df2_landmarks.evaluation.score import Score
from df2_landmarks.formats import (
    ClassDetections,
    Detections,
    GroundTruth,
    concatenate_class,
    empty_class,
    rank_in_group,
    to_continuous,
    to_pixel_indices,
)
from df2_landmarks.taxonomy import LAYOUT

Shapes = Sequence[NDArray[np.float64]]


def without(score: Score, removed: NDArray[np.bool_]) -> Detections:
    """The detections but the (N,) removed ones."""
    starts = score.pairs.class_starts
    return Detections(
        "mended",
        score.pairs.image_ids,
        tuple(
            found.take(~removed[starts[c] : starts[c + 1]])
            for c, found in enumerate(score.pairs.ranked)
        ),
    )


def with_true_landmarks(
    ground_truth: GroundTruth,
    score: Score,
    landmarks: Sequence[ClassLandmarks],
    mend: Sequence[NDArray[np.bool_]],
) -> Detections:
    """Detections with some landmarks at their true places.

    Args:
        ground_truth: the true places.
        score: whose detections.
        landmarks: per class, the n detections that are about an item.
        mend: per class (n, K), which landmarks; unlabelled ones have no true place and stay.
    """
    classes = []
    for c, (found, some) in enumerate(zip(score.pairs.ranked, landmarks, strict=True)):
        truth = ground_truth.classes[c]
        chosen = mend[c] & truth.labelled(score.protocol)[some.item]
        xy = found.landmarks_xy.copy()
        xy[some.detection] = np.where(
            chosen[:, :, None], truth.landmarks_xy[some.item], xy[some.detection]
        )
        classes.append(replace(found, landmarks_xy=xy))
    return Detections("mended", score.pairs.image_ids, tuple(classes))


def with_true_category(
    ground_truth: GroundTruth, score: Score, association: Association, shapes: Shapes
) -> Detections:
    """Detections of a wrong category moved to the right one.

    The best-scored one on each item moves, unless the item is found already; the others go. The
    landmarks that both categories have by name come along. The others take the mean shape in the
    predicted box: what the right head would have said is not known.
    """
    pairs = score.pairs
    wrong = np.flatnonzero(association.kind == WRONG_CATEGORY)
    wrong = wrong[np.lexsort((wrong, -pairs.scores[wrong], association.item[wrong]))]
    wrong = wrong[rank_in_group(association.item[wrong]) == 0]
    about = (association.kind != WRONG_CATEGORY) & (association.item >= 0)
    wrong = wrong[~np.isin(association.item[wrong], association.item[about])]
    kept = without(score, association.kind == WRONG_CATEGORY)
    own_class = class_of(pairs.class_starts, wrong)
    true_class = class_of(pairs.item_starts, association.item[wrong])
    classes = []
    for c, found in enumerate(kept.classes):
        parts = [found]
        for source in np.unique(own_class[true_class == c]):
            rows = wrong[(true_class == c) & (own_class == source)]
            moved = pairs.ranked[source].take(rows - pairs.class_starts[source])
            boxes = association.boxes_xywh[rows]
            parts.append(_in_category(moved, int(source), c, boxes, shapes[c]))
        classes.append(concatenate_class(c, parts))
    return Detections("mended", score.pairs.image_ids, tuple(classes))


def _in_category(
    found: ClassDetections,
    source: int,
    target: int,
    boxes_xywh: NDArray[np.float64],
    shape: NDArray[np.float64],
) -> ClassDetections:
    xy = stretch(shape, boxes_xywh)
    source_names = LAYOUT.categories[source].landmark_names
    for k, name in enumerate(LAYOUT.categories[target].landmark_names):
        if name in source_names:
            xy[:, k] = found.landmarks_xy[:, source_names.index(name)]
    return replace(
        empty_class(target),
        record=found.record,
        image_index=found.image_index,
        scores=found.scores,
        landmarks_xy=xy,
        areas=found.areas,
        boxes_xywh=boxes_xywh,
        full_row=np.full(len(found), -1),
    )


def with_true_boxes(
    score: Score, association: Association, landmarks: Sequence[ClassLandmarks]
) -> Detections:
    """Detections that are about an item, moved and stretched from the predicted box to the true
    one, landmarks and all."""
    pairs = score.pairs
    classes = []
    for c, (found, some) in enumerate(zip(pairs.ranked, landmarks, strict=True)):
        old = association.boxes_xywh[pairs.class_starts[c] + some.detection][:, None]
        new = association.item_boxes_xywh[pairs.item_starts[c] + some.item][:, None]
        xy = found.landmarks_xy.copy()
        offset_xy = to_continuous(xy[some.detection]) - old[..., :2]
        unit = offset_xy / np.maximum(old[..., 2:], 1e-6)
        xy[some.detection] = to_pixel_indices(new[..., :2] + unit * new[..., 2:])
        classes.append(replace(found, landmarks_xy=xy))
    return Detections("true boxes", pairs.image_ids, tuple(classes))


def with_ideal_scores(score: Score, association: Association) -> Detections:
    """Detections scored by their OKS with the item they are about, 0 without one: no detection
    that is wrong stands before one that is right."""
    pairs = score.pairs
    best = np.zeros(len(pairs.scores))
    detection, met = pair_indices(pairs.cells)
    own = association.item[detection] == met
    own &= association.kind[detection] <= POOR
    np.maximum.at(best, detection[own], pairs.oks[own])
    starts = pairs.class_starts
    return Detections(
        "ideal scores",
        pairs.image_ids,
        tuple(
            replace(found, scores=best[starts[c] : starts[c + 1]])
            for c, found in enumerate(pairs.ranked)
        ),
    )
