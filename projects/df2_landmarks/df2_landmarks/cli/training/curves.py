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
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from df2_landmarks.common import UserError, check_output_file, run_command, say
from df2_landmarks.report import (
    COLOURS,
    FIGURE_SUFFIXES,
    ITERATION,
    LINE_STYLES,
    Curves,
    literal,
    read_metrics,
    write_figure,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METRICS = "metrics.json"
TOTAL_LOSS, LEARNING_RATE, SCORE = "total_loss", "lr", "/AP"
LOSSES = "loss_"

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
    if args.output.suffix.lower() not in FIGURE_SUFFIXES:
        raise UserError(
            f"--output {args.output}: must end in {', '.join(FIGURE_SUFFIXES)}; change its name"
        )
    runs = {name: read_metrics(path) for name, path in run_names(args.runs).items()}
    write_figure(args.output, lambda: draw_curves(runs))
    say(f"Written to {args.output}")


def run_names(paths: Iterable[Path]) -> dict[str, Path]:
    """Return the metrics file of each run by the name of its folder, or its path if ambiguous."""
    files = list(dict.fromkeys(path / METRICS if path.is_dir() else path for path in paths))
    folders = [file.resolve().parent.name for file in files]
    return {
        folder if folders.count(folder) == 1 else str(file.parent): file
        for folder, file in zip(folders, files, strict=True)
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
        axes.set_title(literal(name), fontsize="medium")
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
    labels = [literal(name) for name in runs]
    figure.legend(lines, labels, loc="outside lower center", frameon=False)
    return figure


if __name__ == "__main__":
    sys.exit(main())
