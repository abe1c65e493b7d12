"""A comparison of two results as text."""

from __future__ import annotations

from df2_landmarks.evaluation.comparison import CONFIDENCE, Comparison, Difference
from df2_landmarks.evaluation.tables import TITLES, number, table
from df2_landmarks.taxonomy import LAYOUT


def comparison_text(comparison: Comparison, first: str, second: str) -> str:
    """A table of the differences, overall and per category."""
    header = ["category", "AP A", "AP B", "A - B", "low", "high", ""]
    rows = [_row("all", comparison.overall)]
    for category, one in zip(LAYOUT.categories, comparison.per_category, strict=True):
        rows.append(_row(category.official_name, one))
    return (
        f"A = {first}\nB = {second}\nDifference in AP, {TITLES[comparison.protocol]}, with its "
        f"{CONFIDENCE:.0%} interval ({comparison.resamples} paired bootstrap draws of images); "
        f"* = the interval does not contain 0\n\n{table(header, rows)}"
    )


def _row(name: str, one: Difference | None) -> list[str]:
    if one is None:
        return [name, *["n/a"] * 5, ""]
    signed = [f"{value:+.3f}" for value in (one.difference, one.low, one.high)]
    return [name, number(one.first), number(one.second), *signed, "*" if one.is_clear else ""]
