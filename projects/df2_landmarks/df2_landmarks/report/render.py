"""The page of a report: a template, a style sheet and a small script in one file."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from df2_landmarks.common import UserError, atomic_write
from df2_landmarks.formats import Detections, GroundTruth, code_version
from df2_landmarks.report.content import (
    PREDICTED_TOGGLE,
    TRUTH_TOGGLE,
    Inputs,
    content_of,
    gallery_of,
)
from df2_landmarks.report.pictures import Picture


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
    check_jinja()
    from markupsafe import Markup

    content = content_of(inputs, ground_truth, detections, other)
    content["ladder"] = Markup(content["ladder"])
    content["precision_recall"] = [Markup(chart) for chart in content["precision_recall"]]
    content["outlines"] = [[Markup(chart) for chart in row] for row in content["outlines"]]
    content["calibration"]["charts"] = [Markup(c) for c in content["calibration"]["charts"]]
    run = content["run"]
    run.curves[:] = [Markup(chart) for chart in run.curves]
    _write(path, {**content, "is_report": True})


def write_browser(
    path: str | Path,
    rows: Sequence[Sequence[tuple[Picture, str]]],
    *,
    title: str,
    counts: str,
    note: str,
    has_predictions: bool,
) -> None:
    """Write the picture section of a report as a page of its own; likewise one HTML file.

    Args:
        path: the file to write.
        rows: pictures beside each other, each with its heading. A row is filtered by the tags of
            its first picture.
        title: of the page.
        counts: a line that says what the page shows.
        note: the text above the pictures.
        has_predictions: the pictures have predictions, which can be hidden.

    Raises:
        UserError: Jinja2 is not installed, or the file cannot be written.
    """
    check_jinja()
    content = {
        "is_report": False,
        "title": title,
        "counts": counts,
        "sections": [],
        "pictures_note": note,
        "toggles": [TRUTH_TOGGLE, *([PREDICTED_TOGGLE] if has_predictions else [])],
        **gallery_of(rows),
    }
    _write(path, content)


def check_jinja() -> None:
    """Check that pages can be written.

    Raises:
        UserError: Jinja2 is not installed.
    """
    if importlib.util.find_spec("jinja2") is None:
        raise UserError("the page needs Jinja2: pip install 'df2_landmarks[report]'", exit_code=2)


def _write(path: str | Path, content: Mapping[str, Any]) -> None:
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

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
