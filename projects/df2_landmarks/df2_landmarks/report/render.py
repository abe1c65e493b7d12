"""The page of a report: a template, a style sheet and a small script in one file."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from df2_landmarks.common import UserError, atomic_write
from df2_landmarks.formats import Detections, GroundTruth, code_version
from df2_landmarks.report.content import Inputs, content_of

CHARTS = ("precision_recall", "outlines", "ladder")


def write_report(
    path: str | Path,
    inputs: Inputs,
    ground_truth: GroundTruth,
    detections: Detections,
    other: Detections | None = None,
) -> None:
    """Write a report as one HTML file, which loads nothing; the same bytes for the same input.

    Args:
        path: the file to write.
        inputs: the files that it is about.
        ground_truth: read from them.
        detections: read from them.
        other: results to compare with.

    Raises:
        UserError: Jinja2 is not installed, a file cannot be read, or the report not be written.
    """
    try:
        from jinja2 import Environment, StrictUndefined
        from markupsafe import Markup
    except ImportError:
        raise UserError(
            "the report needs Jinja2: pip install 'df2_landmarks[report]'", exit_code=2
        ) from None
    content = content_of(inputs, ground_truth, detections, other)
    content["ladder"] = Markup(content["ladder"])
    content["precision_recall"] = [Markup(chart) for chart in content["precision_recall"]]
    content["outlines"] = [[Markup(chart) for chart in row] for row in content["outlines"]]
    content["calibration"]["charts"] = [Markup(c) for c in content["calibration"]["charts"]]
    run = content["run"]
    run.curves[:] = [Markup(chart) for chart in run.curves]
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.from_string(_part("page.html")).render(
        **content,
        style=Markup(_part("page.css")),
        script=Markup(_part("page.js")),
        version=code_version(),
    )
    with atomic_write(path) as file:
        file.write(page.encode("utf-8", "replace"))


def _part(name: str) -> str:
    return resources.files("df2_landmarks.report").joinpath(name).read_text(encoding="utf-8")
