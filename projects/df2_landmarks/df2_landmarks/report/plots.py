"""Precision over recall, and over the score threshold, as figures for papers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from df2_landmarks.common import make_output_folder
from df2_landmarks.evaluation import RECALL_STEPS, Score, operating_points
from df2_landmarks.report.figures import COLOURS, literal, write_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".svg", ".pdf")
OKS_ROWS = {"OKS .50": 0, "OKS .75": 5}
NUM_COLUMNS = 4


def write_plots(folder: Path, result: Score) -> list[Path]:
    """Write ``precision_recall`` and ``thresholds`` as SVG and PDF.

    Args:
        folder: to write into.
        result: a score.

    Raises:
        UserError: matplotlib is not installed, or the folder cannot be written to.
    """
    make_output_folder(folder, "--plots")
    paths = []
    for name, draw in (
        ("precision_recall", draw_precision_recall),
        ("thresholds", draw_thresholds),
    ):
        for suffix in SUFFIXES:
            paths.append(folder / f"{name}{suffix}")
            write_figure(paths[-1], lambda draw=draw: draw(result))  # type: ignore[misc]
    return paths


def draw_precision_recall(result: Score) -> Figure:
    """Draw a panel for each category with ground truth."""
    from matplotlib.figure import Figure

    precision = result.curves.precision[:, :, :, 0]
    shown = [c for c in range(precision.shape[2]) if (precision[:, :, c] >= 0).any()]
    num_rows = -(-max(len(shown), 1) // NUM_COLUMNS)
    figure = Figure(figsize=(NUM_COLUMNS * 2.6, num_rows * 2.2), layout="constrained")
    for place, c in enumerate(shown, 1):
        axes = figure.add_subplot(num_rows, NUM_COLUMNS, place)
        name = result.pairs.taxonomy.categories[c].official_name
        axes.set_title(literal(name), fontsize="medium")
        for number, (label, row) in enumerate(OKS_ROWS.items()):
            style = ("-", "--")[number]
            axes.plot(RECALL_STEPS, precision[row, :, c], style, color=COLOURS[number], label=label)
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
        axes.grid(alpha=0.3)
        if place == 1:
            axes.legend(fontsize="small")
    return figure


def draw_thresholds(result: Score) -> Figure:
    """Draw precision, recall and F1 of all categories over the score threshold, at OKS .50."""
    from matplotlib.figure import Figure

    points = operating_points(result)
    figure = Figure(figsize=(4.2, 3.2), layout="constrained")
    axes = figure.add_subplot()
    for number, name in enumerate(("precision", "recall", "f1")):
        values = [getattr(point, name) for point in points]
        y = [np.nan if value is None else value for value in values]
        x = [point.threshold for point in points]
        style = ("-", "--", ":")[number]
        axes.plot(x, y, style, color=COLOURS[number], label=name.replace("f1", "F1"))
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="score from", ylabel="at OKS .50")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    return figure
