"""The diagnosis of a score: the AP after each correction, beside a baseline and oracles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from df2_landmarks.evaluation.average_precision import Curves, accumulate
from df2_landmarks.evaluation.diagnosis.corrections import CorrectedAP, Corrections, Shapes
from df2_landmarks.evaluation.diagnosis.detection_errors import (
    BACKGROUND,
    BOX_IOU,
    DETECTION_TYPES,
    DUPLICATE,
    MISSED,
    POOR,
    WRONG_CATEGORY,
)
from df2_landmarks.evaluation.diagnosis.landmark_errors import (
    GOOD_KS,
    JITTER_KS,
    LANDMARK_TYPES,
    LandmarkErrors,
    errors_by_group,
    errors_by_landmark,
)
from df2_landmarks.evaluation.matching import ALL_SIZES, match
from df2_landmarks.evaluation.mean_shape import place_mean_shapes
from df2_landmarks.evaluation.score import Score
from df2_landmarks.formats import Detections, GroundTruth
from df2_landmarks.taxonomy import Taxonomy

TRUE_BOX = "true box and category"
DETECTION_CORRECTIONS = {
    "poor landmarks": "on an item without another detection, OKS < 0.5: landmarks get their true "
    "positions",
    "wrong category": f"on an item of another category (box IoU >= {BOX_IOU}): gets its category; "
    "new landmarks from the mean shape",
    "duplicate": "on an item that another detection is assigned to: removed",
    "background": "not on an item: removed",
    MISSED: "an item without a detection: ignored",
}
LANDMARK_CORRECTIONS = {
    "jitter": f"near the true position ({JITTER_KS} <= similarity < {GOOD_KS})",
    "inversion": "at the mirror partner (left and right exchanged)",
    "swap": "at the same landmark of another item, or at its mirror partner",
    "miss": "at none of these",
}
"""Error type -> what it is, and how it is corrected."""


@dataclass(frozen=True)
class Diagnosis:
    """The diagnosis of a score; everything by name, APs as fractions.

    Attributes:
        taxonomy: the categories.
        protocol: protocol of the score.
        has_boxes: False where extents of the landmarks are used instead of predicted boxes.
        base: the AP as predicted.
        counts: number of detections of each type, and of missed items.
        detection_errors: AP with all errors of a type corrected, by detection error type.
        landmark_errors: the same by landmark error type.
        ladder: AP of the baseline, as predicted, and of each oracle.
        groups: landmark errors of all, visible and occluded landmarks, and of each category.
        per_landmark: errors of each landmark, with the AP its category would gain if the landmark
            were always correct.
    """

    taxonomy: Taxonomy
    protocol: str
    has_boxes: bool
    base: CorrectedAP
    counts: dict[str, int]
    detection_errors: dict[str, CorrectedAP]
    landmark_errors: dict[str, CorrectedAP]
    ladder: dict[str, CorrectedAP]
    groups: dict[str, LandmarkErrors]
    per_landmark: tuple[LandmarkErrors, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""

        def aps(corrections: Mapping[str, CorrectedAP]) -> dict[str, Any]:
            return {name: ap.as_dict(self.taxonomy) for name, ap in corrections.items()}

        return {
            "has_boxes": self.has_boxes,
            "detections": self.counts,
            "detection_error_types": aps(self.detection_errors),
            "landmark_error_types": aps(self.landmark_errors),
            "ladder": aps(self.ladder),
            "landmark_errors": {name: asdict(errors) for name, errors in self.groups.items()},
            "per_landmark": [asdict(errors) for errors in self.per_landmark],
        }


def diagnose(
    ground_truth: GroundTruth,
    score: Score,
    shapes: Shapes,
    *,
    true_box_detections: Detections | None = None,
) -> Diagnosis:
    """Explain a score by the errors of its detections and landmarks.

    Args:
        ground_truth: the items of the split.
        score: the score of the detections.
        shapes: per class (K, 2) mean shapes in unit boxes, best those of the training split
            (`mean_shapes`).
        true_box_detections: landmarks that the same network predicted in the boxes and categories
            of the ground truth (``train_net.py --eval-only --ground-truth-boxes``). Without them
            the ladder has no ``TRUE_BOX``.

    Example:
        >>> from df2_landmarks.evaluation import mean_shapes
        >>> from df2_landmarks.evaluation import score as score_detections
        >>> from df2_landmarks.formats import read_ground_truth, read_results
        >>> ground_truth = read_ground_truth("validation.json")
        >>> detections = read_results("landmark_results.json", ground_truth)
        >>> score = score_detections(ground_truth, detections, "visible_and_occluded")
        >>> diagnosis = diagnose(ground_truth, score, mean_shapes(ground_truth))
        >>> diagnosis.counts["duplicate"], diagnosis.counts["missed item"]
        (0, 0)
    """
    corrections = Corrections(ground_truth, score)
    true_category = corrections.after(corrections.with_true_category(shapes))
    taxonomy = ground_truth.taxonomy
    return Diagnosis(
        taxonomy=taxonomy,
        protocol=score.protocol,
        has_boxes=corrections.detections.has_boxes,
        base=CorrectedAP.of(score.curves, "the score above"),
        counts=corrections.classified.counts(),
        detection_errors=_detection_errors(corrections, true_category),
        landmark_errors=_landmark_errors(corrections),
        ladder=_ladder(corrections, true_category, shapes, true_box_detections),
        groups=errors_by_group(taxonomy, corrections.landmarks),
        per_landmark=errors_by_landmark(
            taxonomy, corrections.landmarks, _landmark_gains(corrections)
        ),
    )


def _detection_errors(
    corrections: Corrections, true_category: Corrections
) -> dict[str, CorrectedAP]:
    """Return the AP with each detection error type alone corrected."""
    classified, pairs = corrections.classified, corrections.score.pairs
    is_poor = [
        (classified.error_type[pairs.class_rows(c)[0]][part.detection] == POOR)[:, None]
        for c, part in enumerate(corrections.landmarks)
    ]
    without_duplicates = corrections.without(classified.error_type == DUPLICATE)
    without_background = corrections.without(classified.error_type == BACKGROUND)
    curves = {
        DETECTION_TYPES[POOR]: corrections.rescore(corrections.with_true_landmarks(is_poor)).curves,
        DETECTION_TYPES[WRONG_CATEGORY]: true_category.score.curves,
        DETECTION_TYPES[DUPLICATE]: corrections.rescore(without_duplicates).curves,
        DETECTION_TYPES[BACKGROUND]: corrections.rescore(without_background).curves,
        MISSED: accumulate(pairs, match(pairs, classified.missed, areas=ALL_SIZES)),
    }
    counts = classified.counts()
    return {
        name: CorrectedAP.of(corrected, DETECTION_CORRECTIONS[name], counts[name])
        for name, corrected in curves.items()
    }


def _landmark_errors(corrections: Corrections) -> dict[str, CorrectedAP]:
    """Return the AP with each landmark error type alone corrected."""
    result = {}
    for name, meaning in LANDMARK_CORRECTIONS.items():
        error_type = LANDMARK_TYPES.index(name)
        masks = [part.error_type == error_type for part in corrections.landmarks]
        curves = corrections.rescore(corrections.with_true_landmarks(masks)).curves
        result[name] = CorrectedAP.of(curves, meaning, sum(int(mask.sum()) for mask in masks))
    return result


def _landmark_gains(corrections: Corrections) -> list[list[float | None]]:
    """Return, per class (K,), the AP gained if this landmark alone were always correct.

    Categories are scored apart: the k-th landmarks of all of them are corrected at once.
    """
    base = corrections.score.curves.per_category()
    gains: list[list[float | None]] = [[] for _ in base]
    counts = corrections.ground_truth.taxonomy.counts
    for k in range(max(counts)):
        masks = [np.arange(count) == k for count in counts]
        rescored = corrections.rescore(corrections.with_true_landmarks(masks))
        for c, ap in enumerate(rescored.curves.per_category()):
            before = base[c]
            if k < counts[c]:
                gains[c].append(None if ap is None or before is None else ap - before)
    return gains


def _ladder(
    corrections: Corrections,
    true_category: Corrections,
    shapes: Shapes,
    true_box_detections: Detections | None,
) -> dict[str, CorrectedAP]:
    """Return the AP of the baseline, as predicted, of each oracle alone, and of all together."""
    true_landmarks = true_category.after(true_category.with_true_landmarks())

    def rescored(detections: Detections) -> Curves:
        return corrections.rescore(detections).curves

    steps = {
        "baseline: mean shape": (
            rescored(place_mean_shapes(corrections.detections, shapes)),
            "landmarks are the mean shape of the category, stretched into the predicted box",
        ),
        "as predicted": (corrections.score.curves, "the score above"),
        "true category": (true_category.score.curves, DETECTION_CORRECTIONS["wrong category"]),
        TRUE_BOX: (
            rescored(true_box_detections) if true_box_detections is not None else None,
            "predicted in the annotated boxes and categories, so that every item is detected",
        ),
        "true landmarks": (
            rescored(corrections.with_true_landmarks()),
            "landmarks of a detection on an item get their true positions",
        ),
        "ideal scores": (
            rescored(corrections.with_ideal_scores()),
            "detections are ranked by their OKS with their item, false positives last",
        ),
        "all corrections": (
            rescored(true_landmarks.with_ideal_scores()),
            "true category, true landmarks and ideal scores: only missed items remain",
        ),
    }
    return {
        name: CorrectedAP.of(curves, meaning)
        for name, (curves, meaning) in steps.items()
        if curves is not None
    }
