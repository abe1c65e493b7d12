"""Scores and comparisons as text tables and as plain data for JSON. AP as fractions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from df2_landmarks.evaluation.average_precision import by_category
from df2_landmarks.evaluation.breakdown import CATEGORY, Breakdown, Subset
from df2_landmarks.evaluation.comparison import (
    CONFIDENCE,
    Comparison,
    Difference,
    Interval,
    Intervals,
)
from df2_landmarks.evaluation.provenance import provenance, provenance_line
from df2_landmarks.evaluation.published import BASELINE, PAPER, is_real_validation_set, paper_ap
from df2_landmarks.evaluation.score import Score
from df2_landmarks.formats import (
    VISIBLE,
    VISIBLE_AND_OCCLUDED,
    ClassDetections,
    ClassTruth,
    Detections,
    GroundTruth,
)
from df2_landmarks.taxonomy import DEEPFASHION2

TITLES = {VISIBLE: "visible", VISIBLE_AND_OCCLUDED: "visible and occluded"}
Row = Sequence[str]


def number(value: float | None) -> str:
    """Format a fraction with three decimals, "n/a" where undefined."""
    return "n/a" if value is None else f"{value:.3f}"


def gain(value: float | None, base: float | None) -> str:
    """Format ``value - base`` with its sign, "n/a" where undefined."""
    return "n/a" if value is None or base is None else f"{value - base:+.3f}"


def table(header: Row, rows: Sequence[Row], left: Collection[int] = (0,)) -> str:
    """Format rows with aligned columns.

    Args:
        header: titles of the columns.
        rows: cells.
        left: indices of the columns aligned to the left; the others are aligned to the right.

    Example:
        >>> print(table(["category", "AP"], [["skirt", "0.750"], ["trousers", "n/a"]]))
        category     AP
        --------  -----
        skirt     0.750
        trousers    n/a
    """
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    rules = ["-" * width for width in widths]

    def line(row: Row) -> str:
        cells = [f"{cell:{'<' if i in left else '>'}{widths[i]}}" for i, cell in enumerate(row)]
        return "  ".join(cells).rstrip()

    return "\n".join(line(row) for row in (header, rules, *rows))


def score_text(
    ground_truth: GroundTruth,
    detections: Detections,
    scores: Sequence[Score],
    breakdowns: Sequence[Breakdown],
) -> str:
    """Format a score: counts, the ten numbers beside the challenge's baseline, categories, subsets.

    Args:
        ground_truth: the items of the split.
        detections: the predictions that were scored.
        scores: one per protocol.
        breakdowns: one per protocol, with the same axes.
    """
    is_real = is_real_validation_set(ground_truth)
    is_deepfashion2 = ground_truth.taxonomy == DEEPFASHION2
    counts = counts_line(ground_truth, scores, len(detections))
    overall: dict[str, Mapping[str, float | None]] = {}
    for score in scores:
        title = TITLES[score.protocol]
        overall[title] = score.curves.summary()
        if not is_deepfashion2:
            continue
        other = "" if is_real else " (on another data set)"
        baseline = BASELINE[score.protocol]
        overall[f"  challenge baseline, {title}{other}"] = {
            name: baseline.get(name) for name in overall[title]
        }
    parts = [
        "\n".join([counts, provenance_line(ground_truth), *_notes(ground_truth, detections)]),
        overall_table(overall),
        category_table(ground_truth, scores),
    ]
    axes = list(breakdowns[0])
    for axis in axes:
        per_protocol = {
            score.protocol: breakdown[axis]
            for score, breakdown in zip(scores, breakdowns, strict=True)
        }
        parts.append(breakdown_table(axis, per_protocol, is_deepfashion2=is_deepfashion2))
    if set(axes) - {CATEGORY}:
        parts.append(
            "Each subset is scored on the images that show an item of it; the other items on these "
            "images are ignored."
        )
    if set(axes) & PAPER.keys() and is_deepfashion2 and not is_real:
        parts.append(
            "The paper's AP was measured on the real validation set, which this ground truth is "
            "not: do not compare."
        )
    return "\n\n".join(parts)


def counts_line(ground_truth: GroundTruth, scores: Sequence[Score], num_detections: int) -> str:
    """Format how many images, items and detections were scored, and how many items do not count."""
    ignored = ", ".join(f"{score.num_ignored} ({TITLES[score.protocol]})" for score in scores)
    return (
        f"{len(ground_truth.image_ids)} images, {ground_truth.num_items} items, "
        f"{num_detections} detections; ignored items (crowd or no labelled landmark): {ignored}"
    )


def taxonomy_notes(ground_truth: GroundTruth) -> list[str]:
    """Return what was assumed about the categories or is odd in them: a line each."""
    taxonomy = ground_truth.taxonomy
    return [f"Taxonomy {taxonomy.name}: {note}" for note in taxonomy.notes]


def _notes(ground_truth: GroundTruth, detections: Detections) -> list[str]:
    notes = taxonomy_notes(ground_truth)
    num_detected, num_annotated = _num_images(detections.classes), _num_images(ground_truth.classes)
    if 0 < 2 * num_detected < num_annotated:
        notes.append(
            f"The results have detections on {num_detected} images, the ground truth has items on "
            f"{num_annotated}: do they belong to the same split?"
        )
    if not ground_truth.has_occluded:
        notes.append(
            "No landmark of this ground truth is marked as occluded (v = 1): both protocols score "
            "the same landmarks."
        )
    absent = [
        category.official_name
        for category, truth in zip(
            ground_truth.taxonomy.categories, ground_truth.classes, strict=True
        )
        if not len(truth)
    ]
    if absent:
        notes.append(f"Categories without ground truth (n/a): {', '.join(absent)}")
    return notes


def _num_images(classes: Sequence[ClassDetections] | Sequence[ClassTruth]) -> int:
    return len(np.unique(np.concatenate([arrays.image_index for arrays in classes])))


def overall_table(scores: Mapping[str, Mapping[str, float | None]]) -> str:
    """Format the ten numbers of several scores, a row each."""
    names = list(next(iter(scores.values())))
    rows = [[title, *(number(values[name]) for name in names)] for title, values in scores.items()]
    return table(["landmarks", *names], rows)


def category_table(ground_truth: GroundTruth, scores: Sequence[Score]) -> str:
    """Format the number of items and the AP of each category, a column for each score."""
    columns = [score.curves.per_category() for score in scores]
    rows = [
        [category.official_name, str(len(truth)), *map(number, aps)]
        for category, truth, *aps in zip(
            ground_truth.taxonomy.categories, ground_truth.classes, *columns, strict=True
        )
    ]
    return table(["category", "items", *(f"AP {TITLES[score.protocol]}" for score in scores)], rows)


def breakdown_table(
    axis: str,
    per_protocol: Mapping[str, Mapping[str, Subset]],
    *,
    is_deepfashion2: bool = True,
) -> str:
    """Format AP, AP50 and AP75 of each subset under each protocol, beside the paper's AP.

    The number of items is that of the first protocol. Intervals are shown where they are there.
    """
    has_paper = axis in PAPER and is_deepfashion2
    first = next(iter(per_protocol.values()))
    header = [axis, "scored items"]
    rows = [[value, str(subset.items)] for value, subset in first.items()]
    for protocol, subsets in per_protocol.items():
        has_intervals = any(subset.interval is not None for subset in subsets.values())
        header += [f"AP {TITLES[protocol]}", *(["95 %"] if has_intervals else []), "AP50", "AP75"]
        header += ["paper's AP"] if has_paper else []
        for row, (value, subset) in zip(rows, subsets.items(), strict=True):
            ap, *others = (number(subset.summary[name]) for name in ("AP", "AP50", "AP75"))
            row += [ap, *([interval_ends(subset.interval)] if has_intervals else []), *others]
            row += [number(paper_ap(axis, value, protocol))] if has_paper else []
    return table(header, rows)


def interval_ends(interval: Interval | None) -> str:
    """Format the ends of an interval; "" where there is none."""
    return "" if interval is None else f"{interval.low:.3f} to {interval.high:.3f}"


def intervals_text(score: Score, intervals: Intervals) -> str:
    """Format AP with its interval, AP50 and AP75, overall and per category with ground truth."""
    categories = score.pairs.taxonomy.categories
    summaries = [score.curves.summary(), *(score.curves.summary(c) for c in range(len(categories)))]
    rows = [
        [
            name,
            *map(number, (interval.ap, interval.low, interval.high)),
            *(number(summary[key]) for key in ("AP50", "AP75")),
        ]
        for name, interval, summary in zip(
            ["all", *(category.official_name for category in categories)],
            (intervals.overall, *intervals.per_category),
            summaries,
            strict=True,
        )
        if interval is not None
    ]
    return (
        f"AP, {TITLES[score.protocol]}, with its {CONFIDENCE:.0%} interval from low to high "
        f"({intervals.resamples} bootstrap draws of images)\n\n"
        + table(["category", "AP", "low", "high", "AP50", "AP75"], rows)
    )


def comparison_text(comparison: Comparison, first: str, second: str) -> str:
    """Format the differences between two results, overall and per category with ground truth.

    Args:
        comparison: the differences.
        first: name of the first result.
        second: name of the second result.
    """
    names = ["all", *(category.official_name for category in comparison.taxonomy.categories)]
    differences = (comparison.overall, *comparison.per_category)
    rows = [
        [name, *_difference_cells(difference)]
        for name, difference in zip(names, differences, strict=True)
        if difference is not None
    ]
    return (
        f"A = {first}\nB = {second}\nDifference in AP, {TITLES[comparison.protocol]}, with its "
        f"{CONFIDENCE:.0%} interval from low to high ({comparison.resamples} paired bootstrap "
        "draws of images); * = the interval does not contain 0\n\n"
        + table(["category", "AP A", "AP B", "A - B", "low", "high", ""], rows)
    )


def _difference_cells(difference: Difference) -> list[str]:
    signed = (difference.difference, difference.low, difference.high)
    return [
        *map(number, (difference.first, difference.second)),
        *(f"{value:+.3f}" for value in signed),
        "*" if difference.is_clear else "",
    ]


def score_as_dict(ground_truth: GroundTruth, score: Score, breakdown: Breakdown) -> dict[str, Any]:
    """Return the ten numbers, AP per category, counts, provenance and breakdown as plain data.

    APs are fractions, None where undefined.
    """
    return {
        **score.curves.summary(),
        **provenance(ground_truth),
        "taxonomy": ground_truth.taxonomy.name,
        "taxonomy_notes": list(ground_truth.taxonomy.notes),
        "per_category": by_category(ground_truth.taxonomy, score.curves.per_category()),
        "images": len(ground_truth.image_ids),
        "items": ground_truth.num_items,
        "ignored_items": score.num_ignored,
        "by": {
            axis: {
                value: {
                    **subset.summary,
                    **({} if subset.interval is None else {"interval": subset.interval.as_dict()}),
                    "items": subset.items,
                    "images": subset.images,
                }
                for value, subset in subsets.items()
            }
            for axis, subsets in breakdown.items()
        },
    }
