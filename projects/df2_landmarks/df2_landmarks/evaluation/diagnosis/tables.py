"""A diagnosis as text."""

from __future__ import annotations

from collections.abc import Mapping

from df2_landmarks.evaluation.diagnosis.corrections import CorrectedAP
from df2_landmarks.evaluation.diagnosis.detection_errors import DETECTION_TYPES, MISSED
from df2_landmarks.evaluation.diagnosis.diagnose import TRUE_BOX, Diagnosis
from df2_landmarks.evaluation.diagnosis.landmark_errors import (
    LANDMARK_TYPES,
    PCK_FRACTION,
    LandmarkErrors,
)
from df2_landmarks.evaluation.tables import TITLES, gain, number, table

NUM_WORST = 15
NO_TRUE_BOXES = (
    f'\n\nFor a row "{TRUE_BOX}", run `train_net.py --eval-only --ground-truth-boxes`\n'
    "and give --true-box-results OUTPUT_DIR/ground_truth_boxes/landmark_results.json"
)
NO_BOXES = "The results have no predicted boxes: the extents of the landmarks are used instead."
_ERROR_COLUMNS = ("count", *LANDMARK_TYPES, "mean px", "median px", "sigmas", "PCK")


def diagnosis_text(diagnosis: Diagnosis) -> str:
    """Format all tables of a diagnosis; categories without ground truth are left out."""
    counts = ", ".join(f"{diagnosis.counts[name]} {name}" for name in DETECTION_TYPES)
    parts = [
        f"Diagnosis, {TITLES[diagnosis.protocol]} landmarks\n"
        f"Detections: {counts}. Missed items: {diagnosis.counts[MISSED]}."
        + ("" if diagnosis.has_boxes else f"\n{NO_BOXES}"),
        "What limits AP: each correction alone, and all of them\n\n"
        + _ladder_table(diagnosis)
        + ("" if TRUE_BOX in diagnosis.ladder else NO_TRUE_BOXES),
        "AP if all detection errors of one type were corrected\n\n"
        + _correction_table(diagnosis.detection_errors, diagnosis.base),
        "AP if all landmark errors of one type were corrected (similarity: the landmark's term in "
        "the OKS)\n\n" + _correction_table(diagnosis.landmark_errors, diagnosis.base),
        f"AP gained per category by each of these corrections\n\n{_category_table(diagnosis)}",
        "Landmark errors of the detections that are correct or have poor landmarks: share of each "
        "type,\ndistance to the true position in pixels and in units of 2 sigma sqrt(area), and "
        f"PCK (share within\n{PCK_FRACTION:.0%} of the longer side of the box)\n\n"
        + _group_table(diagnosis),
        f"The {NUM_WORST} landmarks that cost most: AP that the category would gain if this "
        f"landmark were always correct\n\n{_worst_table(diagnosis)}",
    ]
    return "\n\n".join(parts)


def _ladder_table(diagnosis: Diagnosis) -> str:
    rows = [
        [name, number(step.ap), gain(step.ap, diagnosis.base.ap), step.meaning]
        for name, step in diagnosis.ladder.items()
    ]
    return table(["AP with", "AP", "gain", "meaning"], rows, left=(0, 3))


def _correction_table(corrections: Mapping[str, CorrectedAP], base: CorrectedAP) -> str:
    rows = [
        [name, str(step.count), number(step.ap), gain(step.ap, base.ap), step.meaning]
        for name, step in corrections.items()
    ]
    return table(["error type", "count", "AP", "gain", "meaning"], rows, left=(0, 4))


def _category_table(diagnosis: Diagnosis) -> str:
    corrections = {**diagnosis.detection_errors, **diagnosis.landmark_errors}
    rows = [
        [
            category.official_name,
            number(base),
            *(gain(step.per_category[c], base) for step in corrections.values()),
        ]
        for c, category in enumerate(diagnosis.taxonomy.categories)
        if (base := diagnosis.base.per_category[c]) is not None
    ]
    return table(["category", "AP", *corrections], rows)


def _group_table(diagnosis: Diagnosis) -> str:
    rows = [
        [name, *_error_cells(errors)]
        for name, errors in diagnosis.groups.items()
        if errors.count or not errors.category
    ]
    return table(["landmarks", *_ERROR_COLUMNS], rows)


def _worst_table(diagnosis: Diagnosis) -> str:
    worst = sorted(diagnosis.per_landmark, key=lambda errors: -(errors.ap_gain or 0))[:NUM_WORST]
    rows = [
        [f"{errors.category} {errors.landmark}", gain(errors.ap_gain, 0), *_error_cells(errors)]
        for errors in worst
    ]
    return table(["landmark", "AP gain", *_ERROR_COLUMNS], rows)


def _error_cells(errors: LandmarkErrors) -> list[str]:
    shares = [number(errors.shares[name]) for name in LANDMARK_TYPES]
    pixels = ["n/a" if v is None else f"{v:.1f}" for v in (errors.mean_px, errors.median_px)]
    return [str(errors.count), *shares, *pixels, number(errors.mean_sigmas), number(errors.pck)]
