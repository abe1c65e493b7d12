"""A diagnosis as text."""

from __future__ import annotations

from collections.abc import Mapping

from df2_landmarks.evaluation.diagnosis.diagnose import MISSED, Diagnosis
from df2_landmarks.evaluation.diagnosis.landmark_errors import LANDMARK_KINDS
from df2_landmarks.evaluation.diagnosis.landmark_statistics import PCK_FRACTION, LandmarkRow
from df2_landmarks.evaluation.diagnosis.rescoring import Mended
from df2_landmarks.evaluation.tables import TITLES, number, table
from df2_landmarks.taxonomy import LAYOUT

NUM_WORST = 15


def diagnosis_text(found: Diagnosis) -> str:
    """All tables of a diagnosis."""
    counts = ", ".join(f"{count} {name}" for name, count in found.counts.items() if name != MISSED)
    worst = sorted(found.rows, key=lambda row: -(row.ap_gain or 0))[:NUM_WORST]
    parts = [
        f"Diagnosis, {TITLES[found.protocol]}: {counts}; {found.counts[MISSED]} missed garments."
        + ("" if found.has_boxes else " No predicted boxes: extents of the landmarks stand in."),
        "What limits AP: each oracle alone, the last line all together\n\n"
        + _mended_table("AP with", found.ladder, found.base),
        "AP if one kind of garment mistake were mended\n\n"
        + _mended_table("mended", found.garments, found.base),
        "AP if one kind of landmark mistake were mended\n\n"
        + _mended_table("mended", found.landmarks, found.base),
        "AP gained per category\n\n" + _per_category_table(found),
        f"Landmark errors on garments that were found (sigmas: over 2 sigma sqrt(area); PCK: "
        f"within {PCK_FRACTION:.0%} of the longer box side)\n\n" + _error_table(found.errors),
        f"The {NUM_WORST} landmarks that cost most\n\n" + _worst_table(worst),
    ]
    return "\n\n".join(parts)


def _mended_table(title: str, group: Mapping[str, Mended], base: Mended) -> str:
    rows = [
        [name, "" if one.count is None else str(one.count), number(one.ap), gain(one.ap, base.ap)]
        for name, one in group.items()
    ]
    return table([title, "count", "AP", "gain"], rows)


def _per_category_table(found: Diagnosis) -> str:
    kinds = {**found.garments, **found.landmarks}
    rows = []
    for c, category in enumerate(LAYOUT.categories):
        base = found.base.per_category[c]
        gains = [gain(one.per_category[c], base) for one in kinds.values()]
        rows.append([category.official_name, number(base), *gains])
    return table(["category", "AP", *kinds], rows)


def _error_table(errors: Mapping[str, LandmarkRow]) -> str:
    header = ["landmarks", "count", *LANDMARK_KINDS, "mean px", "median px", "sigmas", "PCK"]
    return table(header, [[name, *_error_cells(row)] for name, row in errors.items()])


def _worst_table(rows: list[LandmarkRow]) -> str:
    header = ["landmark", "AP gain", "count", *LANDMARK_KINDS, "mean px", "median px", "sigmas"]
    return table(
        [*header, "PCK"],
        [
            [f"{row.category} {row.landmark}", gain(row.ap_gain, 0), *_error_cells(row)]
            for row in rows
        ],
    )


def _error_cells(row: LandmarkRow) -> list[str]:
    shares = [number(row.shares[kind]) for kind in LANDMARK_KINDS]
    pixels = ["n/a" if v is None else f"{v:.1f}" for v in (row.mean_px, row.median_px)]
    return [str(row.count), *shares, *pixels, number(row.mean_sigmas), number(row.pck)]


def gain(value: float | None, base: float | None) -> str:
    """Signed difference, "n/a" where undefined."""
    return "n/a" if value is None or base is None else f"{value - base:+.3f}"
