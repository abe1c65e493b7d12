"""A score as text: what was scored, the ten numbers beside the baseline, categories, breakdown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from df2_landmarks.evaluation.breakdown import CATEGORY, RULE
from df2_landmarks.evaluation.published import BASELINE, PAPER, is_real_validation_set
from df2_landmarks.evaluation.report_json import Breakdown
from df2_landmarks.evaluation.score import Score
from df2_landmarks.evaluation.tables import (
    TITLES,
    breakdown_table,
    category_table,
    counts_line,
    overall_table,
)
from df2_landmarks.formats import ClassDetections, ClassTruth, Detections, GroundTruth
from df2_landmarks.taxonomy import LAYOUT


def score_text(
    ground_truth: GroundTruth,
    detections: Detections,
    scores: Sequence[Score],
    breakdowns: Sequence[Breakdown],
) -> str:
    """All tables of a score.

    Args:
        ground_truth: what was scored against.
        detections: what was scored.
        scores: one per protocol.
        breakdowns: one per protocol, with the same axes.
    """
    axes = list(breakdowns[0])
    counts = counts_line(ground_truth, scores, len(detections))
    parts = [
        "\n".join([counts, *_notes(ground_truth, detections)]),
        overall_table(_overall_rows(ground_truth, scores)),
        category_table(ground_truth, scores),
    ]
    for axis in axes:
        per_protocol = {one.protocol: by[axis] for one, by in zip(scores, breakdowns, strict=True)}
        parts.append(breakdown_table(axis, per_protocol))
    if set(axes) - {CATEGORY}:
        parts.append(RULE)
    if set(axes) & PAPER.keys() and not is_real_validation_set(ground_truth):
        parts.append("The paper's AP is that of the real validation set: another data set!")
    return "\n\n".join(parts)


def _notes(ground_truth: GroundTruth, detections: Detections) -> list[str]:
    notes = []
    found, annotated = _num_images(detections.classes), _num_images(ground_truth.classes)
    if 0 < 2 * found < annotated:
        notes.append(
            f"Detections on {found} images, but items on {annotated}: are these the results of "
            "this split?"
        )
    if not ground_truth.has_occluded:
        notes.append(
            "No landmark of this ground truth is marked occluded (v = 1): it is the visible "
            "protocol under either name."
        )
    absent = [
        category.official_name
        for category, truth in zip(LAYOUT.categories, ground_truth.classes, strict=True)
        if not len(truth)
    ]
    if absent:
        notes.append(f"Categories without ground truth (n/a): {', '.join(absent)}")
    return notes


def _num_images(classes: Sequence[ClassDetections] | Sequence[ClassTruth]) -> int:
    return len(np.unique(np.concatenate([some.image_index for some in classes])))


def _overall_rows(
    ground_truth: GroundTruth, scores: Sequence[Score]
) -> dict[str, dict[str, float | None]]:
    other = "" if is_real_validation_set(ground_truth) else " (another data set!)"
    rows: dict[str, dict[str, float | None]] = {}
    for one in scores:
        rows[TITLES[one.protocol]] = summary = one.curves.summary()
        baseline: dict[str, float | None] = dict.fromkeys(summary)
        baseline.update(BASELINE[one.protocol])
        rows[f"  challenge baseline, {TITLES[one.protocol]}{other}"] = baseline
    return rows
