"""Scores and comparisons as tables: text for a terminal, other forms for papers, and plain data.

* ``scores``: tables of a score and of the difference between two, as text and as plain data.
* ``papers``: the same numbers as Markdown, LaTeX or CSV, several results side by side.
"""

from df2_landmarks.evaluation.tables.papers import (
    FORMATS,
    PaperTable,
    formatted,
    paper_tables,
    results_table,
)
from df2_landmarks.evaluation.tables.scores import (
    TITLES,
    category_table,
    comparison_text,
    counts_line,
    gain,
    interval_ends,
    intervals_text,
    number,
    overall_table,
    score_as_dict,
    score_text,
    table,
    taxonomy_notes,
)

__all__ = [
    "FORMATS",
    "TITLES",
    "PaperTable",
    "category_table",
    "comparison_text",
    "counts_line",
    "formatted",
    "gain",
    "interval_ends",
    "intervals_text",
    "number",
    "overall_table",
    "paper_tables",
    "results_table",
    "score_as_dict",
    "score_text",
    "table",
    "taxonomy_notes",
]
