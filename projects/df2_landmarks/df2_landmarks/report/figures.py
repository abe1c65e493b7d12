"""Figures as files, by matplotlib, which is imported when it is needed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from df2_landmarks.common import UserError, atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NO_DATE: dict[str, dict[str, str | None]] = {
    ".svg": {"Date": None},
    ".png": {},
    ".pdf": {"CreationDate": None},
}
"""End of the file's name -> metadata that keeps the time out: equal curves are equal bytes."""

COLOURS = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7")
"""Colours that colour-blind people can tell apart (Okabe and Ito, 2008), without the yellow."""
LINE_STYLES = ("-", "--", ":", "-.")
"""The next one after each round of the colours."""
FIGURE_SUFFIXES = tuple(NO_DATE)


def write_figure(path: Path, draw: Callable[[], Figure]) -> None:
    """Draw a figure and write it; the same figure gives the same bytes.

    Args:
        path: one of `FIGURE_SUFFIXES`.
        draw: makes the figure.

    Raises:
        UserError: matplotlib is not installed, or the file cannot be written.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise UserError(
            "the picture needs matplotlib: `pip install matplotlib`", exit_code=2
        ) from error
    suffix = path.suffix.lower()
    with matplotlib.rc_context(), atomic_write(path) as file:
        matplotlib.rcdefaults()  # the user's own settings would change the bytes
        matplotlib.rcParams["svg.hashsalt"] = "df2"
        draw().savefig(file, format=suffix[1:], dpi=100, metadata=NO_DATE[suffix])


def literal(text: str) -> str:
    """Return a text that matplotlib shows as it is, and not as a formula."""
    return text.replace("$", r"\$")
