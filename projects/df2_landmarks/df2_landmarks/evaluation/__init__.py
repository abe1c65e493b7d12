"""The official landmark score, exactly and fast, and its explanation: numpy only, no files.

* ``oks``, ``pairs``, ``matching``, ``average_precision``, ``score``: the score, step by step.
* ``breakdown``: the score of subsets; ``comparison``: two results with a confidence interval.
* ``visibility``: average precision of predicting whether a landmark is visible.
* ``mean_shape``: the baseline; ``published``: scores of others on the real validation set.
* ``provenance``: version of the scorer and hash of the ground truth.
* ``thresholds``: precision and recall over score thresholds.
* ``tables``: scores and comparisons as text, for papers, and as plain data.
* ``diagnosis``: a room of its own, why a score is what it is; imported where it is needed.
"""

from df2_landmarks.evaluation.average_precision import RECALL_STEPS
from df2_landmarks.evaluation.breakdown import AXES, VALUES, Breakdown, break_down
from df2_landmarks.evaluation.comparison import (
    Comparison,
    Interval,
    Intervals,
    ap_intervals,
    compare_scores,
)
from df2_landmarks.evaluation.mean_shape import mean_shapes, place_mean_shapes
from df2_landmarks.evaluation.oks import sigma_px
from df2_landmarks.evaluation.provenance import provenance, provenance_line
from df2_landmarks.evaluation.published import is_real_validation_set
from df2_landmarks.evaluation.score import Score, score
from df2_landmarks.evaluation.tables import (
    FORMATS,
    TITLES,
    PaperTable,
    category_table,
    comparison_text,
    counts_line,
    formatted,
    gain,
    interval_ends,
    intervals_text,
    number,
    overall_table,
    paper_tables,
    results_table,
    score_as_dict,
    score_text,
    table,
    taxonomy_notes,
)
from df2_landmarks.evaluation.thresholds import (
    best_points,
    best_points_as_dict,
    best_points_text,
    operating_points,
    thresholds_as_dict,
    thresholds_text,
)
from df2_landmarks.evaluation.visibility import (
    VisibilityScore,
    score_visibility,
    visibility_text,
)

__all__ = [
    "AXES",
    "FORMATS",
    "RECALL_STEPS",
    "TITLES",
    "VALUES",
    "Breakdown",
    "Comparison",
    "Interval",
    "Intervals",
    "PaperTable",
    "Score",
    "VisibilityScore",
    "ap_intervals",
    "best_points",
    "best_points_as_dict",
    "best_points_text",
    "break_down",
    "category_table",
    "compare_scores",
    "comparison_text",
    "counts_line",
    "formatted",
    "gain",
    "interval_ends",
    "intervals_text",
    "is_real_validation_set",
    "mean_shapes",
    "number",
    "operating_points",
    "overall_table",
    "paper_tables",
    "place_mean_shapes",
    "provenance",
    "provenance_line",
    "results_table",
    "score",
    "score_as_dict",
    "score_text",
    "score_visibility",
    "sigma_px",
    "table",
    "taxonomy_notes",
    "thresholds_as_dict",
    "thresholds_text",
    "visibility_text",
]
