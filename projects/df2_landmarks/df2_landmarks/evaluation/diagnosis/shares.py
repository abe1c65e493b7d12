"""The shares of the error types: the part of a diagnosis that needs no scoring again."""

from __future__ import annotations

import numpy as np

from df2_landmarks.evaluation.diagnosis.detection_errors import (
    DETECTION_TYPES,
    IGNORED,
    classify_detections,
)
from df2_landmarks.evaluation.diagnosis.landmark_errors import (
    LANDMARK_TYPES,
    UNLABELLED,
    classify_landmarks,
)
from df2_landmarks.evaluation.score import Score
from df2_landmarks.formats import GroundTruth


def error_shares(ground_truth: GroundTruth, score: Score) -> dict[str, float | None]:
    """Return the share of each error type, as fractions, None where there is nothing to count.

    Returns:
        ``detection-<type>``: of all detections that are not ignored; they sum to 1.
        ``items-missed``: of all items that count.
        ``landmark-<type>``: of the labelled landmarks on correct and poor detections; they sum
        to 1.

    Example:
        >>> from df2_landmarks.evaluation import score as score_detections
        >>> from df2_landmarks.formats import read_ground_truth, read_results
        >>> ground_truth = read_ground_truth("validation.json")
        >>> detections = read_results("landmark_results.json", ground_truth)
        >>> score = score_detections(ground_truth, detections, "visible_and_occluded")
        >>> shares = error_shares(ground_truth, score)
        >>> shares["items-missed"], shares["detection-wrong-category"]
        (0.0, 0.0)
    """
    detections = classify_detections(ground_truth, score)
    landmarks = classify_landmarks(ground_truth, score, detections)
    counts = np.bincount(detections.error_type, minlength=len(DETECTION_TYPES))[:IGNORED]
    types = np.concatenate([part.error_type.ravel() for part in landmarks])
    landmark_counts = np.bincount(types[types != UNLABELLED], minlength=len(LANDMARK_TYPES))
    num_items = int((~score.matching.item_ignored[0]).sum())
    return {
        **_shares("detection", DETECTION_TYPES[:IGNORED], counts.tolist()),
        "items-missed": int(detections.missed.sum()) / num_items if num_items else None,
        **_shares("landmark", LANDMARK_TYPES, landmark_counts.tolist()),
    }


def _shares(what: str, types: tuple[str, ...], counts: list[int]) -> dict[str, float | None]:
    total = sum(counts)
    names = [f"{what}-{name.replace(' ', '-')}" for name in types]
    return {n: count / total if total else None for n, count in zip(names, counts, strict=True)}
