"""The official landmark score, exactly and fast, and its explanation. Arrays in, numbers and tables
out: no files, no torch.

* ``oks``, ``pairs``, ``matching``, ``average_precision``, ``score``: the score, step by step.
* ``breakdown``, ``comparison``, ``mean_shape``: subsets, two results side by side, the baseline.
* ``published``, ``report_json``, ``tables``, ``score_text``, ``comparison_tables``: what is shown.
* ``diagnosis``: a room of its own, imported when it is asked for.
"""

from df2_landmarks.evaluation.breakdown import AXES
from df2_landmarks.evaluation.comparison import compare_scores
from df2_landmarks.evaluation.comparison_tables import comparison_text
from df2_landmarks.evaluation.mean_shape import mean_shapes, place_mean_shapes
from df2_landmarks.evaluation.report_json import break_down, score_as_dict
from df2_landmarks.evaluation.score import Score, score
from df2_landmarks.evaluation.score_text import score_text
from df2_landmarks.evaluation.tables import (
    TITLES,
    category_table,
    counts_line,
    number,
    overall_table,
    table,
)

__all__ = [
    "AXES",
    "TITLES",
    "Score",
    "break_down",
    "category_table",
    "compare_scores",
    "comparison_text",
    "counts_line",
    "mean_shapes",
    "number",
    "overall_table",
    "place_mean_shapes",
    "score",
    "score_as_dict",
    "score_text",
    "table",
]
