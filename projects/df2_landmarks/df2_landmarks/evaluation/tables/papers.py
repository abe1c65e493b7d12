"""Tables for papers: the numbers of one or several results as text, Markdown, LaTeX or CSV."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from df2_landmarks.evaluation.breakdown import Breakdown
from df2_landmarks.evaluation.comparison import Comparison, Intervals
from df2_landmarks.evaluation.provenance import provenance
from df2_landmarks.evaluation.published import PAPER, paper_ap
from df2_landmarks.evaluation.score import Score
from df2_landmarks.evaluation.tables.scores import TITLES, interval_ends, number, table
from df2_landmarks.formats import GroundTruth
from df2_landmarks.taxonomy import DEEPFASHION2

FORMATS = ("text", "markdown", "latex", "csv")
NUMBERS = ("AP", "AP50", "AP75")
_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


@dataclass(frozen=True)
class PaperTable:
    """A table.

    Attributes:
        caption: what it shows.
        header: titles of the columns.
        rows: cells.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def results_table(
    results: Mapping[str, Sequence[Score]], comparisons: Mapping[str, Comparison]
) -> PaperTable:
    """Return one row for each result: AP, AP50 and AP75 under each protocol.

    Args:
        results: name -> scores of a result, under the same protocols in the same order.
        comparisons: name -> differences of the first result to that one under the first protocol.
    """
    protocols = [score.protocol for score in next(iter(results.values()))]
    header = ["results", *(f"{name} {TITLES[p]}" for p in protocols for name in NUMBERS)]
    rows = []
    for name, scores in results.items():
        row = [name]
        for score in scores:
            summary = score.curves.summary()
            row += [number(summary[key]) for key in NUMBERS]
        rows.append(row)
    if comparisons:
        header += ["first minus this", "low", "high"]
        for row in rows:
            compared = comparisons.get(row[0])
            difference = None if compared is None else compared.overall
            row += (
                [""] * 3
                if difference is None
                else [f"{v:+.3f}" for v in (difference.difference, difference.low, difference.high)]
            )
    return PaperTable("Landmark AP", header, rows)


def paper_tables(
    ground_truth: GroundTruth,
    scores: Sequence[Score],
    breakdowns: Sequence[Breakdown],
    intervals: Sequence[Intervals | None],
) -> list[PaperTable]:
    """Return the tables of a result: each category, each subset, and what it was scored with.

    Args:
        ground_truth: the items.
        scores: one for each protocol.
        breakdowns: of each score.
        intervals: of each score, None where they were not asked for.
    """
    header, columns = ["category", "items"], []
    for score, interval in zip(scores, intervals, strict=True):
        title = TITLES[score.protocol]
        header += [f"{name} {title}" for name in NUMBERS]
        columns.append((score, interval))
        header += [f"95 % {title}"] if interval is not None else []
    rows = []
    for c, category in enumerate(ground_truth.taxonomy.categories):
        row = [category.official_name, str(len(ground_truth.classes[c]))]
        for score, interval in columns:
            summary = score.curves.summary(c)
            row += [number(summary[name]) for name in NUMBERS]
            row += [interval_ends(interval.per_category[c])] if interval is not None else []
        rows.append(row)
    tables = [PaperTable("Landmark AP of each category", header, rows)]
    with_paper = ground_truth.taxonomy == DEEPFASHION2
    for axis in breakdowns[0]:
        has_paper = with_paper and axis in PAPER
        header = [axis, "items"]
        rows = [[value, str(subset.items)] for value, subset in breakdowns[0][axis].items()]
        for score, breakdown in zip(scores, breakdowns, strict=True):
            subsets, title = breakdown[axis], TITLES[score.protocol]
            has_intervals = any(subset.interval is not None for subset in subsets.values())
            header += [f"{name} {title}" for name in NUMBERS]
            header += [f"95 % {title}"] if has_intervals else []
            header += ["paper's AP"] if has_paper else []
            for row in rows:
                subset = subsets[row[0]]
                row += [number(subset.summary[name]) for name in NUMBERS]
                row += [interval_ends(subset.interval)] if has_intervals else []
                row += [number(paper_ap(axis, row[0], score.protocol))] if has_paper else []
        tables.append(PaperTable(f"Landmark AP by {axis}", header, rows))
    known = provenance(ground_truth)
    tables.append(PaperTable("Scorer and ground truth", [*known], [[*known.values()]]))
    return tables


def formatted(tables: Sequence[PaperTable], form: str) -> str:
    """Return tables in one of `FORMATS`, an empty line between them.

    LaTeX needs the package booktabs.

    Example:
        >>> print(formatted([PaperTable("AP", ["category", "AP"], [["skirt", ".75"]])], "markdown"))
        AP
        <BLANKLINE>
        | category | AP |
        |---|---:|
        | skirt | .75 |
    """
    return "\n\n".join(_FORMS[form](one) for one in tables)


def _text(one: PaperTable) -> str:
    return f"{one.caption}\n\n{table(one.header, one.rows)}"


def _markdown(one: PaperTable) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    rule = "|---" + "|---:" * (len(one.header) - 1) + "|"
    rows = [line(one.header), rule, *map(line, one.rows)]
    return f"{one.caption}\n\n" + "\n".join(rows)


def _latex(one: PaperTable) -> str:
    def line(cells: Sequence[str]) -> str:
        return " & ".join(map(_escaped, cells)) + r" \\"

    names, protocols = zip(*map(_without_protocol, one.header), strict=True)
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{_escaped(one.caption)}}}",
            r"\small\setlength{\tabcolsep}{3pt}",
            rf"\begin{{tabular}}{{l{'r' * (len(one.header) - 1)}}}",
            r"\toprule",
            *_latex_protocols(protocols),
            line(names),
            r"\midrule",
            *map(line, one.rows),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )


def _without_protocol(title: str) -> tuple[str, str]:
    """Split "AP50 visible" into the name of the number and that of the protocol, "" if none."""
    for protocol in TITLES.values():
        if title.endswith(f" {protocol}"):
            return title.removesuffix(f" {protocol}"), protocol
    return title, ""


def _latex_protocols(protocols: Sequence[str]) -> list[str]:
    """Return a line with each protocol above its columns, and the rules below it."""
    cells, rules, column = [], "", 1
    for protocol, columns in itertools.groupby(protocols):
        width = len(list(columns))
        if protocol:
            cells.append(rf"\multicolumn{{{width}}}{{c}}{{{protocol}}}")
            rules += rf"\cmidrule(lr){{{column}-{column + width - 1}}}"
        else:
            cells += [""] * width
        column += width
    return [" & ".join(cells) + r" \\", rules] if rules else []


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def _csv(one: PaperTable) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([one.header, *one.rows])
    return stream.getvalue().rstrip("\n")


_FORMS = {"text": _text, "markdown": _markdown, "latex": _latex, "csv": _csv}
