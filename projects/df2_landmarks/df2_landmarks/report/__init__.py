"""Results for people: a report as one HTML file, pictures, and figures for papers.

* ``content``: what a report says; ``run_files``, ``metrics``: what an output folder says.
* ``charts``, ``pictures``: charts and pictures as inline SVG. ``render``: the page.
* ``worst``: the costliest pictures as PNG. ``figures``, ``plots``: figures as SVG, PDF or PNG.
"""

from df2_landmarks.report.content import Inputs
from df2_landmarks.report.figures import (
    COLOURS,
    FIGURE_SUFFIXES,
    LINE_STYLES,
    literal,
    write_figure,
)
from df2_landmarks.report.metrics import ITERATION, Curves, read_metrics
from df2_landmarks.report.pictures import Picture, picture_of_garments, scored_pictures
from df2_landmarks.report.plots import write_plots
from df2_landmarks.report.render import write_browser, write_report
from df2_landmarks.report.worst import images_beside, write_worst_pictures

__all__ = [
    "COLOURS",
    "FIGURE_SUFFIXES",
    "ITERATION",
    "LINE_STYLES",
    "Curves",
    "Inputs",
    "Picture",
    "images_beside",
    "literal",
    "picture_of_garments",
    "read_metrics",
    "scored_pictures",
    "write_browser",
    "write_figure",
    "write_plots",
    "write_report",
    "write_worst_pictures",
]
