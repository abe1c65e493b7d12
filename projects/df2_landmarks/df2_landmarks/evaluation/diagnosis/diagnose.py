"""Why a score is what it is: what each kind of mistake costs, and how far each part limits AP."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from df2_landmarks.evaluation.average_precision import accumulate
from df2_landmarks.evaluation.diagnosis.association import (
    BACKGROUND,
    DETECTION_KINDS,
    DUPLICATE,
    POOR,
    Association,
    associate,
)
from df2_landmarks.evaluation.diagnosis.corrections import (
    Shapes,
    with_true_category,
    with_true_landmarks,
    without,
)
from df2_landmarks.evaluation.diagnosis.ladder import oracle_ladder
from df2_landmarks.evaluation.diagnosis.landmark_errors import (
    GOOD,
    LANDMARK_KINDS,
    ClassLandmarks,
    classify_landmarks,
)
from df2_landmarks.evaluation.diagnosis.landmark_statistics import (
    LandmarkRow,
    landmark_rows,
    summary_rows,
)
from df2_landmarks.evaluation.diagnosis.per_landmark import per_landmark_ap
from df2_landmarks.evaluation.diagnosis.rescoring import Mended, Rescorer, ap_of
from df2_landmarks.evaluation.matching import ALL_SIZES, match
from df2_landmarks.evaluation.score import Score
from df2_landmarks.formats import Detections, GroundTruth
from df2_landmarks.taxonomy import LAYOUT

MISSED = "missed garment"


@dataclass(frozen=True)
class Diagnosis:
    """The diagnosis of one score; everything by name, APs as fractions.

    Attributes:
        protocol: protocol of the score.
        has_boxes: False where extents of the landmarks stood in for predicted boxes.
        base: the score as it is.
        counts: how many detections there are of each kind, and missed garments.
        garments: AP with each kind of garment mistake mended.
        landmarks: AP with each kind of landmark mistake mended.
        ladder: AP from the floor to the ceiling.
        errors: landmark errors of all, visible and occluded landmarks, and of each category.
        rows: one row for each landmark, with the AP its category gains if it were always right.
    """

    protocol: str
    has_boxes: bool
    base: Mended
    counts: dict[str, int]
    garments: dict[str, Mended]
    landmarks: dict[str, Mended]
    ladder: dict[str, Mended]
    errors: dict[str, LandmarkRow]
    rows: tuple[LandmarkRow, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        names = [category.official_name for category in LAYOUT.categories]

        def mended(one: Mended) -> dict[str, Any]:
            per_category = dict(zip(names, one.per_category, strict=True))
            return {"count": one.count, "AP": one.ap, "per_category": per_category}

        groups: Mapping[str, Mapping[str, Mended]] = {
            "garments_mended": self.garments,
            "landmarks_mended": self.landmarks,
            "ladder": self.ladder,
        }
        return {
            "has_boxes": self.has_boxes,
            "detections": self.counts,
            **{key: {n: mended(m) for n, m in group.items()} for key, group in groups.items()},
            "landmark_errors": {name: row.as_dict() for name, row in self.errors.items()},
            "per_landmark": [row.as_dict() for row in self.rows],
        }


def diagnosis(ground_truth: GroundTruth, base: Score, shapes: Shapes) -> Diagnosis:
    """Diagnoses a score.

    Args:
        ground_truth: what was scored against.
        base: the score.
        shapes: per class (K, 2) mean shapes in unit boxes, best those of the training split.
    """
    association = associate(ground_truth, base)
    landmarks = classify_landmarks(ground_truth, base, association)
    ranked = Detections("ranked", base.pairs.image_ids, base.pairs.ranked)
    counts = {
        name: int(np.count_nonzero(association.kind == kind))
        for kind, name in enumerate(DETECTION_KINDS)
    }
    counts[MISSED] = int(association.missed.sum())
    run = Rescorer(ground_truth, base.protocol)
    aps = per_landmark_ap(ground_truth, base, landmarks)
    return Diagnosis(
        protocol=base.protocol,
        has_boxes=ranked.has_boxes,
        base=ap_of(base.curves),
        counts=counts,
        garments=_mended_garments(ground_truth, base, association, landmarks, shapes, counts),
        landmarks=_mended_landmarks(ground_truth, base, landmarks),
        ladder=oracle_ladder(run, base, association, landmarks, shapes),
        errors=summary_rows(ground_truth, landmarks),
        rows=landmark_rows(landmarks, aps, base.curves.per_category()),
    )


def _mended_garments(
    ground_truth: GroundTruth,
    base: Score,
    association: Association,
    landmarks: Sequence[ClassLandmarks],
    shapes: Shapes,
    counts: Mapping[str, int],
) -> dict[str, Mended]:
    """AP with poor landmarks made true, wrong categories corrected, duplicates and background
    removed, missed garments no longer asked for: each alone."""
    run = Rescorer(ground_truth, base.protocol)
    poor = [
        np.repeat(
            (association.kind[base.pairs.class_starts[c] + some.detection] == POOR)[:, None],
            LAYOUT.counts[c],
            axis=1,
        )
        for c, some in enumerate(landmarks)
    ]
    makers: dict[str, Callable[[], Detections]] = {
        "poor landmarks": lambda: with_true_landmarks(ground_truth, base, landmarks, poor),
        "wrong category": lambda: with_true_category(ground_truth, base, association, shapes),
        "duplicate": lambda: without(base, association.kind == DUPLICATE),
        "background": lambda: without(base, association.kind == BACKGROUND),
    }
    result = {name: run(make(), counts[name]) for name, make in makers.items()}
    asked = accumulate(base.pairs, match(base.pairs, association.missed, areas=ALL_SIZES))
    result[MISSED] = ap_of(asked, counts[MISSED])
    return result


def _mended_landmarks(
    ground_truth: GroundTruth, base: Score, landmarks: Sequence[ClassLandmarks]
) -> dict[str, Mended]:
    run = Rescorer(ground_truth, base.protocol)
    result = {}
    for kind, name in enumerate(LANDMARK_KINDS):
        if kind == GOOD:
            continue
        mend = [some.kind == kind for some in landmarks]
        mended = with_true_landmarks(ground_truth, base, landmarks, mend)
        result[name] = run(mended, sum(int(one.sum()) for one in mend))
    return result
