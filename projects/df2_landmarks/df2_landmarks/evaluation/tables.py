"""Text tables of scores, the same in the scorer and in the training log. AP as fractions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from df2_landmarks.evaluation.breakdown import Subset
from df2_landmarks.evaluation.published import PAPER, paper_ap
from df2_landmarks.evaluation.score import Score
from df2_landmarks.formats import VISIBLE, VISIBLE_AND_OCCLUDED, GroundTruth
from df2_landmarks.taxonomy import LAYOUT

TITLES = {VISIBLE: "visible", VISIBLE_AND_OCCLUDED: "visible and occluded"}
Row = Sequence[str]


def number(value: float | None) -> str:
    """A fraction with three decimals, "n/a" where nothing defines it."""
    return "n/a" if value is None else f"{value:.3f}"


def table(header: Row, rows: Sequence[Row]) -> str:
    """Columns aligned: the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]

    def line(row: Row) -> str:
        cells = [f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)]
        cells[0] = f"{row[0]:<{widths[0]}}"
        return "  ".join(cells).rstrip()

    return "\n".join([line(header), line(["-" * w for w in widths]), *(line(row) for row in rows)])


def overall_table(scores: Mapping[str, Mapping[str, float | None]]) -> str:
    """The ten numbers of several scores, a row each."""
    names = list(next(iter(scores.values())))
    rows = [[title, *(number(values[name]) for name in names)] for title, values in scores.items()]
    return table(["landmarks", *names], rows)


def breakdown_table(axis: str, per_protocol: Mapping[str, Mapping[str, Subset]]) -> str:
    """AP, AP50 and AP75 of each subset under each protocol, beside the paper's AP."""
    header = [axis, "items"]
    rows = [[value] for value in next(iter(per_protocol.values()))]
    has_paper = axis in PAPER
    for protocol, subsets in per_protocol.items():
        title = TITLES[protocol]
        header += [f"AP {title}", "AP50", "AP75", *(["paper's AP"] if has_paper else [])]
        for row, (value, subset) in zip(rows, subsets.items(), strict=True):
            row += [str(subset.items)] if len(row) == 1 else []
            row += [number(subset.summary[name]) for name in ("AP", "AP50", "AP75")]
            row += [number(paper_ap(axis, value, protocol))] if has_paper else []
    return table(header, rows)


def category_table(ground_truth: GroundTruth, scores: Sequence[Score]) -> str:
    """AP of each category, a column for each score, with the number of items."""
    columns = [score.curves.per_category() for score in scores]
    rows = [
        [
            category.official_name,
            str(len(ground_truth.classes[c])),
            *(number(column[c]) for column in columns),
        ]
        for c, category in enumerate(LAYOUT.categories)
    ]
    return table(["category", "items", *(f"AP {TITLES[score.protocol]}" for score in scores)], rows)


def counts_line(ground_truth: GroundTruth, scores: Sequence[Score], num_detections: int) -> str:
    """How much was scored, and what did not count."""
    ignored = ", ".join(f"{score.num_ignored} ({TITLES[score.protocol]})" for score in scores)
    return (
        f"{len(ground_truth.image_ids)} images, {ground_truth.num_items} items, "
        f"{num_detections} detections; ignored items (crowd or no labelled landmark): {ignored}"
    )
