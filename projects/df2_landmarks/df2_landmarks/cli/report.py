"""Write a report about results: one HTML file with scores, errors, garments, curves and pictures.

    df2 report --gt GT.json --results RESULTS.json
    df2 report --gt GT.json --results RESULTS.json --run output/demo --output report.html
    df2 report --gt GT.json --results A.json --compare B.json

The file needs nothing else and loads nothing. The photos are found as `make convert` has them, or
given by --images; --run adds training curves, configuration, and the scores of boxes and masks.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from df2_landmarks.common import UserError, check_output_file, positive, run_command, say
from df2_landmarks.formats import read_ground_truth, read_results, read_taxonomy
from df2_landmarks.taxonomy import DEEPFASHION2

MEGABYTE = 1e6


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line. Returns 0, 1 (wrong data), 2 (wrong usage) or 130 (interrupted)."""
    args = parse_args(argv)
    return run_command(lambda: run(args), "df2 report")


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="df2 report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gt", required=True, type=Path, metavar="FILE", help="COCO JSON")
    parser.add_argument(
        "--results", required=True, type=Path, metavar="FILE|ZIP", help="results, or a submission"
    )
    parser.add_argument(
        "--images", type=Path, metavar="FOLDER", help="the photos (default: beside the annotations)"
    )
    parser.add_argument("--run", type=Path, metavar="FOLDER", help="OUTPUT_DIR of the run")
    parser.add_argument("--compare", type=Path, metavar="FILE|ZIP", help="results to compare with")
    parser.add_argument(
        "--pictures", type=positive, default=200, metavar="N", help="at most so many (200)"
    )
    parser.add_argument(
        "--resamples", type=positive, default=200, help="bootstrap draws of the intervals (200)"
    )
    parser.add_argument(
        "--taxonomy", metavar="FILE", help="categories and landmarks (default: DeepFashion2's)"
    )
    parser.add_argument(
        "--output", type=Path, metavar="HTML", help="default: report.html beside the results"
    )
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> None:
    output = args.output or args.results.with_name("report.html")
    check_output_file("--output", output)
    for option, folder in (("--images", args.images), ("--run", args.run)):
        if folder is not None and not folder.is_dir():
            raise UserError(f"{option} {folder}: there is no such folder", exit_code=2)
    from df2_landmarks.report import Inputs, images_beside, write_report

    taxonomy = read_taxonomy(args.taxonomy) if args.taxonomy else DEEPFASHION2
    ground_truth = read_ground_truth(args.gt, needs_annotations=True, taxonomy=taxonomy)
    detections = read_results(args.results, ground_truth)
    other = read_results(args.compare, ground_truth) if args.compare else None
    inputs = Inputs(
        ground_truth_file=args.gt,
        results_file=args.results,
        images=args.images or images_beside(args.gt),
        run=args.run,
        other_file=args.compare,
        num_pictures=args.pictures,
        resamples=args.resamples,
    )
    write_report(output, inputs, ground_truth, detections, other)
    say(f"{output} ({output.stat().st_size / MEGABYTE:.1f} MB)")


if __name__ == "__main__":
    sys.exit(main())
