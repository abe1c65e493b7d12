"""Draw the curves of trainings: losses, learning rate and scores over the iterations.

    df2 curves output/demo
    df2 curves output/1x output/3x --output curves.pdf

RUN is an output folder of a training, or its metrics.json; a training that is still running can be
drawn too. Every panel has one line per run. Where a training was resumed from an earlier iteration,
what it had written after that iteration is replaced by what it wrote later. AP is a fraction here;
metrics.json has it in percent.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from df2_landmarks.common import UserError, atomic_write, check_output_file, run_command, say

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Curves = dict[str, dict[int, float]]
"""Name of a number in metrics.json -> iteration -> value."""

METRICS = "metrics.json"
ITERATION, TOTAL_LOSS, LEARNING_RATE, SCORE = "iteration", "total_loss", "lr", "/AP"
LOSSES = "loss_"

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

NUM_COLUMNS = 3
PANEL_INCHES = (4.2, 2.6)
LEGEND_LINE_INCHES = 0.25


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line. Returns 0, 1 (wrong data), 2 (wrong usage) or 130 (interrupted)."""
    args = parse_args(argv)
    return run_command(lambda: run(args), "df2 curves")


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="df2 curves", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="output folder")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("curves.svg"),
        metavar="FILE",
        help="picture to write, .svg, .png or .pdf (curves.svg)",
    )
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> None:
    check_output_file("--output", args.output)
    if args.output.suffix.lower() not in NO_DATE:
        raise UserError(
            f"--output {args.output}: must end in {', '.join(NO_DATE)}; change its name"
        )
    runs = {name: read_metrics(path) for name, path in run_names(args.runs).items()}
    write_curves(runs, args.output)
    say(f"Written to {args.output}")


def run_names(paths: Iterable[Path]) -> dict[str, Path]:
    """Return the metrics file of each run by the name of its folder, or its path if ambiguous."""
    files = list(dict.fromkeys(path / METRICS if path.is_dir() else path for path in paths))
    folders = [file.resolve().parent.name for file in files]
    return {
        folder if folders.count(folder) == 1 else str(file.parent): file
        for folder, file in zip(folders, files, strict=True)
    }


def read_metrics(path: Path) -> Curves:
    """Read the numbers that a training has written.

    Lines that are cut off are left out, and so are numbers that are not finite. A line of an
    earlier iteration than the line before it is that of a resumed training: what was written of
    later iterations before is dropped.

    Args:
        path: metrics.json.

    Returns:
        Name -> iteration -> value, iterations in ascending order.

    Raises:
        UserError: the file cannot be read, or has no line of a training.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read: {error.strerror}; give the output folder of a training"
        ) from error
    rows: dict[int, dict[str, float]] = {}
    last = -1
    for line in lines:
        numbers = _numbers(line)
        if ITERATION not in numbers:
            continue
        iteration = int(numbers.pop(ITERATION))
        if iteration < last:
            rows = {i: row for i, row in rows.items() if i < iteration}
        rows.setdefault(iteration, {}).update(numbers)
        last = iteration
    if not rows:
        raise UserError(
            f"{path}: expected lines of a training, such as "
            '{"iteration": 19, "total_loss": 2.5}, but there is none; give the output folder of a '
            "training that has run for 20 iterations"
        )
    curves: Curves = {}
    for iteration, row in rows.items():
        for name, value in row.items():
            curves.setdefault(name, {})[iteration] = value
    return curves


def _numbers(line: str) -> dict[str, float]:
    """Return the finite numbers of a line; none if it is cut off."""
    try:
        content = json.loads(line)
    except ValueError:
        return {}
    if not isinstance(content, dict):
        return {}
    return {
        name: value
        for name, value in content.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }


def panel_names(runs: Iterable[Curves]) -> list[str]:
    """Return what is drawn: the total loss, the losses, the learning rate, then every AP."""
    names = sorted({name for curves in runs for name in curves})
    losses = [name for name in names if name.startswith(LOSSES)]
    scores = [name for name in names if name.endswith(SCORE)]
    return [
        *(name for name in (TOTAL_LOSS,) if name in names),
        *losses,
        *(name for name in (LEARNING_RATE,) if name in names),
        *scores,
    ]


def write_curves(runs: Mapping[str, Curves], path: Path) -> None:
    """Draw runs and write the picture; the same curves give the same bytes.

    Args:
        runs: name -> curves.
        path: .svg, .png or .pdf.

    Raises:
        UserError: matplotlib is not installed, there is nothing to draw, or the file cannot be
            written.
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
        matplotlib.rcParams["svg.hashsalt"] = "df2 curves"
        figure = draw_curves(runs)
        figure.savefig(file, format=suffix[1:], dpi=100, metadata=NO_DATE[suffix])


def draw_curves(runs: Mapping[str, Curves]) -> Figure:
    """Draw a panel for each name of `panel_names`, with a line per run."""
    from matplotlib.figure import Figure

    names = panel_names(runs.values())
    if not names:
        raise UserError(
            f"{', '.join(runs)}: expected losses, a learning rate or scores, but there are none; "
            "give the output folder of a training"
        )
    num_rows = -(-len(names) // NUM_COLUMNS)
    legend_inches = LEGEND_LINE_INCHES * (len(runs) + 1)
    size = NUM_COLUMNS * PANEL_INCHES[0], num_rows * PANEL_INCHES[1] + legend_inches
    figure = Figure(figsize=size, layout="constrained")
    for place, name in enumerate(names, 1):
        axes = figure.add_subplot(num_rows, NUM_COLUMNS, place)
        axes.set_title(_literal(name), fontsize="medium")
        axes.set_xlabel(ITERATION)
        axes.grid(alpha=0.3)
        scale, marker = (0.01, "o") if name.endswith(SCORE) else (1, "")
        lines = []
        for number, curves in enumerate(runs.values()):
            values = curves.get(name, {})
            style = LINE_STYLES[number // len(COLOURS) % len(LINE_STYLES)]
            lines += axes.plot(
                list(values),
                [scale * value for value in values.values()],
                color=COLOURS[number % len(COLOURS)],
                linestyle=style,
                marker=marker,
                markersize=4,
            )
    labels = [_literal(name) for name in runs]
    figure.legend(lines, labels, loc="outside lower center", frameon=False)
    return figure


def _literal(text: str) -> str:
    """Return a text that matplotlib shows as it is, and not as a formula."""
    return text.replace("$", r"\$")


if __name__ == "__main__":
    sys.exit(main())
