"""Charts as inline SVG: lines, bars, garments with coloured landmarks. No library, no script.

Colours come from the style sheet (``var(--...)``), so that a chart follows light and dark. Each
chart has a title and a description for screen readers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 320, 200
LEFT, RIGHT, TOP, BOTTOM = 40, 10, 10, 30

SIGMA_STEPS = (0.5, 1.0, 2.0, 4.0)
"""Errors in units of ``2 * sigma * sqrt(area)`` at which the colour of a landmark changes."""


@dataclass(frozen=True)
class Line:
    """A line of a chart: a name, (n,) x and (n,) y; y may be NaN."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


def line_chart(
    title: str,
    lines: Sequence[Line],
    *,
    x_label: str,
    y_label: str,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    diagonal: bool = False,
) -> str:
    """Return a chart of lines with two axes and a legend.

    Args:
        title: what it shows.
        lines: at most six can be told apart.
        x_label: of the horizontal axis.
        y_label: of the vertical axis.
        x_range: least and largest value; by default those of the lines.
        y_range: likewise.
        diagonal: also draw y = x.
    """
    x_low, x_high = x_range or _range([value for line in lines for value in line.x])
    y_low, y_high = y_range or _range([value for line in lines for value in line.y])

    def place(x: float, y: float) -> str:
        across = (x - x_low) / (x_high - x_low)
        up = (y - y_low) / (y_high - y_low)
        return (
            f"{LEFT + across * (WIDTH - LEFT - RIGHT):.1f},"
            f"{HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM):.1f}"
        )

    parts = [_axes(x_low, x_high, y_low, y_high, x_label, y_label)]
    if diagonal:
        ends = f"{place(x_low, y_low)} {place(x_high, y_high)}"
        parts.append(f'<polyline class="diagonal" points="{ends}"/>')
    for number, line in enumerate(lines):
        for run in _runs(line):
            points = " ".join(place(x, y) for x, y in run)
            if len(run) == 1:
                x, y = points.split(",")
                parts.append(f'<circle class="fill{number % 6}" cx="{x}" cy="{y}" r="3"/>')
            else:
                parts.append(f'<polyline class="line{number % 6}" points="{points}"/>')
    legend = "".join(
        f'<span><svg width="24" height="10" aria-hidden="true"><line class="line{n % 6}" x1="0" '
        f'x2="24" y1="5" y2="5"/></svg>{escape(line.name)}</span>'
        for n, line in enumerate(lines)
    )
    legend = f'<div class="legend">{legend}</div>' if len(lines) > 1 else ""
    drawing = _svg(title, WIDTH, HEIGHT, "".join(parts))
    return (
        f'<figure class="chart"><figcaption>{escape(title)}</figcaption>{drawing}{legend}</figure>'
    )


def bars(title: str, rows: Sequence[tuple[str, float | None, str]], *, most: float = 1.0) -> str:
    """Return horizontal bars.

    Args:
        title: what they show.
        rows: name, value (None: no bar), text behind the bar.
        most: value of the longest possible bar.
    """
    height = 24 * len(rows)
    parts = []
    for number, (name, value, text) in enumerate(rows):
        y = 24 * number
        length = 0.0 if value is None else max(0.0, min(1.0, value / most)) * 260
        parts.append(
            f'<text x="196" y="{y + 16}" text-anchor="end">{escape(name)}</text>'
            f'<rect class="fill0" x="204" y="{y + 4}" width="{length:.1f}" height="16"/>'
            f'<text x="{210 + length:.1f}" y="{y + 16}">{escape(text)}</text>'
        )
    drawing = _svg(title, 560, height, "".join(parts))
    return f'<figure class="bars"><figcaption>{escape(title)}</figcaption>{drawing}</figure>'


def garment(
    title: str,
    shape: NDArray[np.float64],
    aspect: float,
    paths: Sequence[Sequence[int]],
    landmarks: Sequence[tuple[str, float | None]],
) -> str:
    """Return a garment as its outline, each landmark coloured by its error.

    Args:
        title: what it is.
        shape: (K, 2) mean positions in a unit box.
        aspect: height of the box over its width.
        paths: drawing paths, landmark numbers from 1.
        landmarks: of each landmark what is said about it, and its error in units of
            ``2 * sigma * sqrt(area)``, None where it was not measured.
    """
    width, margin = 190.0, 14
    height = min(330.0, width * aspect)
    xy = np.asarray(shape) * [width, height] + margin
    parts = []
    for path in paths:
        points = " ".join(f"{xy[n - 1, 0]:.1f},{xy[n - 1, 1]:.1f}" for n in path)
        parts.append(f'<polyline class="outline" points="{points}"/>')
    for (x, y), (text, error) in zip(xy.tolist(), landmarks, strict=True):
        kind = "none" if error is None else str(sigma_step(error))
        parts.append(
            f'<g tabindex="0" class="spot" role="img" aria-label="{escape(text)}">'
            f"<title>{escape(text)}</title>"
            f'<circle class="sigma-{kind}" cx="{x:.1f}" cy="{y:.1f}" r="5"/></g>'
        )
    drawing = _svg(title, width + 2 * margin, height + 2 * margin, "".join(parts))
    return f'<figure class="garment"><figcaption>{escape(title)}</figcaption>{drawing}</figure>'


def sigma_step(error: float) -> int:
    """Return the number of the colour of an error, 0 (small) to 4."""
    return int(np.searchsorted(SIGMA_STEPS, error, side="right"))


def _svg(title: str, width: float, height: float, content: str) -> str:
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{content}</svg>"
    )


def _axes(
    x_low: float, x_high: float, y_low: float, y_high: float, x_label: str, y_label: str
) -> str:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = [f'<path class="axis" d="M{LEFT} {TOP}V{bottom}H{right}"/>']
    for step in range(5):
        x = LEFT + step / 4 * (right - LEFT)
        y = bottom - step / 4 * (bottom - TOP)
        x_text = _short(x_low + step / 4 * (x_high - x_low))
        y_text = _short(y_low + step / 4 * (y_high - y_low))
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{right}"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{bottom + 12}" text-anchor="middle">')
        parts.append(f"{x_text}</text>")
        parts.append(f'<text class="tick" x="{LEFT - 4}" y="{y + 3:.1f}" text-anchor="end">')
        parts.append(f"{y_text}</text>")
    middle = (LEFT + right) / 2
    parts.append(
        f'<text class="tick" x="{middle:.0f}" y="{HEIGHT - 4}" text-anchor="middle">'
        f"{escape(x_label)}</text>"
        f'<text class="tick" x="10" y="{(TOP + bottom) / 2:.0f}" text-anchor="middle" '
        f'transform="rotate(-90 10 {(TOP + bottom) / 2:.0f})">{escape(y_label)}</text>'
    )
    return "".join(parts)


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _range(values: Sequence[float]) -> tuple[float, float]:
    finite = [value for value in values if np.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    return (low, high) if high > low else (low, low + 1)


def _runs(line: Line) -> list[list[tuple[float, float]]]:
    """Return the stretches of a line without gaps."""
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in zip(line.x, line.y, strict=True):
        if np.isfinite(y):
            runs[-1].append((x, y))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]
