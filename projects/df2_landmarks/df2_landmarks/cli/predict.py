"""Find the garments in pictures, folders of pictures and videos, and write them down.

    df2 predict photo.jpg some/folder --output output/predictions
    df2 predict 'photos/**/*.jpg' --weights output/demo/model_final.pth --format coco csv
    find . -name '*.jpg' | df2 predict - --no-pictures --part 3/16
    df2 predict photos --engine ray --no-pictures

Writes predictions.jsonl (one line per picture: its garments with box, category, score, mask and
named landmarks), run.json (what made them) and pictures/ (the garments drawn). With --engine ray,
predictions/*.parquet (a row per picture) instead of predictions.jsonl; videos count as unreadable.

Exit code: 0; 1, 2 for a mistake in the call; 3 if a picture could not be read (its line says why).
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from df2_landmarks.common import (
    UserError,
    make_output_folder,
    num_processors,
    positive,
    progress_bar,
    run_command,
    say,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from df2_landmarks.predict import Done, Garments, Outputs, Predictor, Row
    from df2_landmarks.taxonomy import Category

    Picture = NDArray[np.uint8]

DEFAULT_WEIGHTS = Path("output/demo")
DEFAULT_OUTPUT = Path("output/predictions")
MAX_THREADS = 4
"""Batches side by side on a CPU; with more of them Python itself would be the bottleneck."""
UNREADABLE = 3
"""Exit code if a picture could not be read."""
MAX_LINES = 20
"""Up to this many pictures each gets a line on the terminal."""
SECONDS_BETWEEN_LINES = 10.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit code."""
    args = parse_arguments(argv)
    return run_command(
        lambda: run(args), "df2 predict", interrupted="interrupted; go on with --resume"
    )


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="df2 predict",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="pictures, videos, folders, quoted patterns, list files (.txt, a path per line), "
        "- for a list on standard input",
    )
    add("--output", type=Path, default=DEFAULT_OUTPUT, metavar="DIR", help="of the results")
    model = parser.add_argument_group("model")
    add = model.add_argument
    add(
        "--weights",
        type=Path,
        help=f"checkpoint, or output folder of a training (default: {DEFAULT_WEIGHTS})",
    )
    add("--config", metavar="FILE", help="YAML, for weights that do not contain their own")
    add("--opts", nargs="*", default=[], metavar="KEY VALUE", help="of the configuration")
    add("--device", help="cpu, cuda, cuda:1 (default: a GPU if there is one)")
    add("--half", action="store_true", help="compute in bfloat16")
    add("--tta", action="store_true", help="test-time augmentation: better and slower")
    add("--batch", type=positive, default=8, help="pictures in the model at once")
    add("--workers", type=positive, default=2, help="threads that read, draw and write")
    chosen = parser.add_argument_group("what is found")
    add = chosen.add_argument
    add("--min-score", type=float, default=0.4, help="score threshold 0..1")
    add("--categories", nargs="+", metavar="NAME", help="only these, by name or id")
    add("--part", type=_part, default=(1, 1), metavar="I/N", help="only the I-th of N parts")
    written = parser.add_argument_group("what is written")
    add = written.add_argument
    add("--resume", action="store_true", help="go on with an earlier run, skip what it did")
    add("--overwrite", action="store_true", help="replace the predictions of an earlier run")
    add(
        "--format",
        nargs="+",
        default=[],
        choices=("coco", "csv", "parquet", "raw"),
        help="files beside predictions.jsonl",
    )
    add("--no-masks", action="store_true", help="no masks in records and drawings")
    add("--no-pictures", action="store_true", help="do not draw")
    add("--measure", action="store_true", help="lengths of the garments, and measurements.csv")
    add("--pixels-per-cm", type=float, metavar="X", help="with --measure: scale of the pictures")
    add("--measurements", type=Path, metavar="FILE", help="with --measure: your own, in YAML")
    drawn = parser.add_argument_group("what is drawn")
    add = drawn.add_argument
    add("--names", action="store_true", help="the names of the landmarks")
    add("--numbers", action="store_true", help="the numbers of the landmarks")
    add("--no-boxes", action="store_true", help="no boxes")
    add("--no-lines", action="store_true", help="no outlines")
    add("--no-points", action="store_true", help="no landmarks")
    add("--no-labels", action="store_true", help="no categories and scores")
    add("--draw-measurements", action="store_true", help="with --measure: the lengths")
    engine = parser.add_argument_group("where one process is not enough")
    add = engine.add_argument
    add("--engine", choices=("ray",), help="Ray Data: many processes or machines, Parquet out")
    add("--address", help="of a running Ray cluster, such as auto (default: this machine alone)")
    add("--actors", type=positive, help="models side by side (default: one per GPU, or per CPU)")
    args = parser.parse_args(argv)
    _check_combinations(parser, args)
    return args


def _check_combinations(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    if args.resume and args.overwrite:
        parser.error("--resume and --overwrite contradict each other")
    if not args.measure and (args.measurements or args.pixels_per_cm or args.draw_measurements):
        parser.error("--pixels-per-cm, --measurements and --draw-measurements need --measure")
    if args.pixels_per_cm is not None and not 0 < args.pixels_per_cm < math.inf:
        parser.error(f"--pixels-per-cm must be a number above 0, but got {args.pixels_per_cm}")
    if args.engine is None and (args.address or args.actors):
        parser.error("--address and --actors need --engine ray")
    if args.engine and args.format:
        parser.error("--format: --engine ray writes Parquet, and no other format")


def _part(text: str) -> tuple[int, int]:
    """Argument type: ``3/16``."""
    part, slash, count = text.partition("/")
    if not slash or not 1 <= positive(part) <= positive(count):
        raise argparse.ArgumentTypeError(f"must be such as 3/16, but got {text!r}")
    return int(part), int(count)


def run(args: argparse.Namespace) -> int:
    if args.engine == "ray":
        return run_with_ray(args)
    # Read by numpy when it is imported. Masks are small products of matrices, in several threads
    # of ours; numpy's own threads for them would only take processors from the model.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from df2_landmarks.predict import (
        FORMATS,
        PREDICTIONS,
        Journal,
        Predictor,
        check_formats,
        check_inputs,
        predict_all,
        stream_inputs,
        write_measurements,
    )

    check_inputs(args.inputs)
    weights = args.weights or default_weights()
    make_output_folder(args.output, "--output")
    predictor = Predictor.load(**load_arguments(args, weights))
    check_formats(args.format, args.output, predictor.model.taxonomy)
    if args.overwrite:
        (args.output / PREDICTIONS).unlink(missing_ok=True)
    outputs = make_outputs(args, predictor.model.taxonomy.categories)
    journal = Journal(args.output, run_record(args, predictor, weights), resume=args.resume)
    if journal.num_done:
        say(f"{journal.num_done} pictures are done; going on with the others")
    inputs = stream_inputs(args.inputs, part=args.part, skip=args.output)
    done = predict_all(
        predictor,
        inputs,
        journal,
        outputs,
        batch_size=args.batch,
        workers=args.workers,
        threads=min(MAX_THREADS, num_processors()) if predictor.model.is_parallel else 1,
    )
    try:
        with following(args, count_inputs(args)) as (report, add):
            for one in done:
                add(one)
    finally:
        journal.close()
    if not report.num_pictures and not journal.num_done:
        raise UserError(f"no pictures in {', '.join(args.inputs)}", exit_code=2)
    for name in args.format:
        file, write = FORMATS[name]
        write(journal.path, args.output / file, predictor.model.taxonomy)
    if args.measure:
        write_measurements(journal.path, args.output / "measurements.csv")
    say(report.text())
    return UNREADABLE if report.num_errors else 0


def run_with_ray(args: argparse.Namespace) -> int:
    from df2_landmarks.predict import (
        Catalogue,
        Cluster,
        Predictor,
        Work,
        check_inputs,
        import_ray,
        predict_catalogue,
        remove_catalogue,
        stream_inputs,
    )

    import_ray()  # says how to install it
    check_inputs(args.inputs)
    weights = args.weights or default_weights()
    make_output_folder(args.output, "--output")
    load = load_arguments(args, weights)
    predictor = Predictor.load(**{**load, "device": "cpu"})  # a look at it; this process needs none
    if args.overwrite:
        remove_catalogue(args.output)
    outputs = make_outputs(args, predictor.model.taxonomy.categories)
    catalogue = Catalogue(
        args.output,
        {**run_record(args, predictor, weights), "engine": "ray", "inputs": args.inputs},
        stream_inputs(args.inputs, part=args.part, skip=args.output),
        resume=args.resume,
    )
    if not catalogue.num_pictures:
        raise UserError(f"no pictures in {', '.join(args.inputs)}", exit_code=2)
    if catalogue.num_done:
        say(f"{catalogue.num_done} pictures are done; going on with the others")
    work = Work(
        load=load,
        fingerprint=predictor.fingerprint,
        outputs=outputs,
        batch_size=args.batch,
        workers=args.workers,
        folder=str(Path.cwd()),
    )
    del predictor
    with following(args, catalogue.num_pictures - catalogue.num_done) as (report, add):
        predict_catalogue(catalogue, work, Cluster(args.address, args.actors), add)
    say(report.text())
    return UNREADABLE if report.num_errors else 0


def load_arguments(args: argparse.Namespace, weights: Path) -> dict[str, Any]:
    """Return the arguments of `Predictor.load`."""
    return {
        "file": weights,
        "config": args.config,
        "opts": args.opts,
        "min_score": args.min_score,
        "categories": args.categories,
        "device": args.device,
        "half": args.half,
        "tta": args.tta,
    }


def default_weights() -> Path:
    """Return the model of the demo.

    Raises:
        UserError: there is none.
    """
    if (DEFAULT_WEIGHTS / "last_checkpoint").is_file():
        return DEFAULT_WEIGHTS
    raise UserError(
        f"no model: {DEFAULT_WEIGHTS} holds none. `make demo` trains one on drawn garments in ten "
        "minutes; or give your own with --weights path/to/model_final.pth (make: WEIGHTS=)",
        exit_code=2,
    )


def run_record(args: argparse.Namespace, predictor: Predictor, weights: Path) -> dict[str, Any]:
    """Return what decides the predictions, for ``run.json``."""
    return {
        "model": predictor.fingerprint,
        "weights": str(weights),
        "min_score": args.min_score,
        "categories": sorted(predictor.category_ids) if predictor.category_ids else None,
        "half": args.half,
        "tta": args.tta,
        "masks": not args.no_masks,
        "measure": args.measure,
        "pixels_per_cm": args.pixels_per_cm,
        "measurements": args.measurements and args.measurements.read_text(encoding="utf-8"),
        "part": "{}/{}".format(*args.part),
    }


def make_outputs(args: argparse.Namespace, categories: Sequence[Category]) -> Outputs:
    """Return what is made of each picture, by a model of these categories."""
    from df2_landmarks.formats import Garment
    from df2_landmarks.predict import Outputs
    from df2_landmarks.taxonomy import read_measurements
    from df2_landmarks.visualization import DrawingStyle, draw_garments

    style = DrawingStyle(
        masks=not args.no_masks,
        boxes=not args.no_boxes,
        lines=not args.no_lines,
        points=not args.no_points,
        labels=not args.no_labels,
        landmark_text="names" if args.names else "numbers" if args.numbers else None,
    )
    measured = None
    if args.measure:
        table = read_measurements(args.measurements, categories) if args.measurements else None
        measured = partial(
            Garment.measurements, measurements=table, pixels_per_cm=args.pixels_per_cm
        )

    def draw(picture_bgr: Picture, garments: Garments) -> Picture:
        lengths = [measured(g) for g in garments] if measured and args.draw_measurements else ()
        return draw_garments(picture_bgr, garments, style, measured=lengths)

    return Outputs(
        args.output,
        draw=None if args.no_pictures else draw,
        with_masks=not args.no_masks,
        measure=measured,
    )


def count_inputs(args: argparse.Namespace) -> int | None:
    """Return the number of pictures where somebody watches a bar; videos count as one."""
    from df2_landmarks.predict import STDIN, stream_inputs

    if STDIN in args.inputs or not sys.stderr.isatty():
        return None
    return sum(1 for _ in stream_inputs(args.inputs, part=args.part, skip=args.output))


class Report:
    """Counts what becomes of the pictures, and tells it."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.started = time.perf_counter()
        self.num_pictures = self.num_errors = self.num_empty = 0
        self.best_of_empty = 0.0
        self.categories: Counter[str] = Counter()

    def add(self, done: Done | Row) -> None:
        """Count a picture, and print a line for one of the first, or for an error."""
        self.num_pictures += 1
        if done.error:
            self.num_errors += 1
            sys.stderr.write(f"df2 predict: {done.error}\n")
            return
        self.categories.update(category for category, _ in done.found)
        if not done.found:
            self.num_empty += 1
            self.best_of_empty = max(self.best_of_empty, done.best_score)
        if self.num_pictures <= MAX_LINES and not done.is_frame:
            names = ", ".join(f"{category} {score:.2f}" for category, score in done.found)
            nothing = f"nothing reaches {self.args.min_score:g}; the best score is "
            say(f"{done.file}: {names or f'{nothing}{done.best_score:.2f}'}")

    def line(self) -> str:
        """Return the state as a line."""
        seconds = time.perf_counter() - self.started
        return f"{self.num_pictures} pictures, {self.num_pictures / max(seconds, 1e-9):.1f}/s"

    def text(self) -> str:
        """Return the summary."""
        count = sum(self.categories.values())
        common = ", ".join(f"{name} {n}" for name, n in self.categories.most_common())
        lines = [f"{self.line()}: {count} garments" + (f" ({common})" if count else "")]
        if self.num_empty:
            lines.append(
                f"{self.num_empty} pictures have no garment of at least {self.args.min_score:g}; "
                f"the best score in them is {self.best_of_empty:.2f} (--min-score)"
            )
        if self.num_errors:
            lines.append(f"{self.num_errors} pictures could not be read: see `error` in the lines")
        return "\n".join([*lines, f"Written to {self.args.output}"])


@contextmanager
def following(
    args: argparse.Namespace, total: int | None
) -> Iterator[tuple[Report, Callable[[Done | Row], None]]]:
    """Give a report, and what is to be called with each picture; show how far it is."""
    report = Report(args)
    last_line = report.started
    with progress_bar("  predicting", "pictures") as show:

        def add(one: Done | Row) -> None:
            nonlocal last_line
            report.add(one)
            show(report.num_pictures, total)
            now = time.perf_counter()
            if now - last_line > SECONDS_BETWEEN_LINES and not sys.stderr.isatty():
                say(report.line())
                last_line = now

        yield report, add


if __name__ == "__main__":
    sys.exit(main())
