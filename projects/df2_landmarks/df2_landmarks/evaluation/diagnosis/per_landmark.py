"""AP of a category if one of its landmarks were always right, for each of the 294 landmarks.

P = pairs of a detection and an item of one class, K = landmarks of the class. Only one term of the
OKS of a pair changes, and only one category has to be matched again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.evaluation.average_precision import accumulate
from df2_landmarks.evaluation.diagnosis.landmark_errors import ClassLandmarks, landmark_scale
from df2_landmarks.evaluation.matching import ALL_SIZES, match
from df2_landmarks.evaluation.pairs import Cells, Pairs, pair_indices
from df2_landmarks.evaluation.score import Score
from df2_landmarks.formats import GroundTruth
from df2_landmarks.taxonomy import LAYOUT


def per_landmark_ap(
    ground_truth: GroundTruth, base: Score, landmarks: Sequence[ClassLandmarks]
) -> list[NDArray[np.float64]]:
    """Per class (K,): AP with this landmark at its true place in every detection that is about an
    item; NaN without ground truth."""
    return [
        _class_aps(ground_truth, base, c, some)
        if (~base.matching.item_ignored[0, base.pairs.item_starts[c] :][: len(truth)]).any()
        else np.full(LAYOUT.counts[c], np.nan)
        for c, (truth, some) in enumerate(zip(ground_truth.classes, landmarks, strict=True))
    ]


def _class_aps(
    ground_truth: GroundTruth, base: Score, c: int, some: ClassLandmarks
) -> NDArray[np.float64]:
    truth = ground_truth.classes[c]
    pairs = only_class(base.pairs, c)
    detection, item = pair_indices(pairs.cells)
    labelled = truth.labelled(base.protocol)
    about = np.full(len(base.pairs.ranked[c]), -1)
    about[some.detection] = some.item
    own = about[detection]  # (P,) the item that the detection is about
    count = np.maximum(labelled[item].sum(axis=1), 1)
    scale = landmark_scale(truth.areas[item], LAYOUT.sigmas(c))
    aps = np.full(LAYOUT.counts[c], np.nan)
    for k in range(LAYOUT.counts[c]):
        changes = (own >= 0) & labelled[own, k] & labelled[item, k]
        now_xy = base.pairs.ranked[c].landmarks_xy[detection, k]
        there = truth.landmarks_xy[item, k]
        gain = _ks(truth.landmarks_xy[own, k], there, scale[:, k]) - _ks(now_xy, there, scale[:, k])
        mended = replace(pairs, oks=pairs.oks + np.where(changes, gain / count, 0))
        ap = accumulate(mended, match(mended, areas=ALL_SIZES)).per_category()[c]
        aps[k] = np.nan if ap is None else ap
    return aps


def only_class(pairs: Pairs, c: int) -> Pairs:
    """The pairs of one class, with its own flat indices."""
    found = slice(pairs.class_starts[c], pairs.class_starts[c + 1])
    items = slice(pairs.item_starts[c], pairs.item_starts[c + 1])
    cells = pairs.cells
    some = (cells.first_detection >= found.start) & (cells.first_detection < found.stop)
    num_pairs = (cells.num_detections * cells.num_items)[some]
    first = int(cells.first_pair[some][0]) if some.any() else 0
    after = np.arange(LAYOUT.num_categories + 1) > c
    return Pairs(
        image_ids=pairs.image_ids,
        ranked=pairs.ranked,
        class_starts=np.where(after, found.stop - found.start, 0),
        item_starts=np.where(after, items.stop - items.start, 0),
        cells=Cells(
            cells.first_detection[some] - found.start,
            cells.num_detections[some],
            cells.first_item[some] - items.start,
            cells.num_items[some],
            cells.first_pair[some] - first,
        ),
        oks=pairs.oks[first : first + int(num_pairs.sum())],
        item_ignored=pairs.item_ignored[items],
        item_crowd=pairs.item_crowd[items],
        item_areas=pairs.item_areas[items],
        item_images=pairs.item_images[items],
        scores=pairs.scores[found],
        areas=pairs.areas[found],
        images=pairs.images[found],
    )


def _ks(
    a_xy: NDArray[np.float64], b_xy: NDArray[np.float64], scale: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.exp(-(((a_xy - b_xy) ** 2).sum(axis=1) / scale**2) / 2)
