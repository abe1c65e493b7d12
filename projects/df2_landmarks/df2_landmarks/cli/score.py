"""Compute the official DeepFashion2 landmark score of a results file or a submission.

    df2 score --gt GT.json --results RESULTS.json
    df2 score --gt GT.json --results val_keypoints.zip \\
        --by scale,occlusion,zoom_in,viewpoint --json scores.json
    df2 score --gt GT.json --results A.json --diagnose
    df2 score --gt GT.json --results A.json --compare B.json

GT is the COCO JSON with all landmarks (both protocols are derived from it), or an official file.
Files may be plain, gzipped or zipped. The evaluation server is closed: this score is the score.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from df2_landmarks.common import atomic_write, check_output_file, positive, run_command, say
from df2_landmarks.evaluation import AXES, Score, break_down, score, score_as_dict, score_text
from df2_landmarks.formats import PROTOCOLS, GroundTruth, read_ground_truth, read_results


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line. Returns 0, 1 (wrong data), 2 (wrong usage) or 130 (interrupted)."""
    args = parse_args(argv)
    return run_command(lambda: run(args), "df2 score")


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="df2 score", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gt", required=True, metavar="FILE", help="ground truth, COCO JSON")
    parser.add_argument("--results", required=True, metavar="FILE|ZIP")
    parser.add_argument("--protocol", choices=("both", *PROTOCOLS), default="both")
    parser.add_argument("--json", metavar="OUT", help="also write all numbers to this file")
    parser.add_argument(
        "--by", type=axes, default=[], metavar="A,B", help=f"break down by: {','.join(AXES)}"
    )
    parser.add_argument("--diagnose", action="store_true", help="say what costs how much AP")
    parser.add_argument(
        "--train-gt", metavar="FILE", help="learn the mean shapes of --diagnose from this split"
    )
    parser.add_argument("--compare", metavar="OTHER", help="a second results file")
    parser.add_argument("--resamples", type=positive, default=500, help="of --compare (500)")
    return parser.parse_args(argv)


def axes(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in AXES:
            raise argparse.ArgumentTypeError(f"must be of {','.join(AXES)}, but got {name!r}")
    return names


def run(args: argparse.Namespace) -> None:
    if args.json:
        check_output_file("--json", args.json)
    ground_truth = read_ground_truth(args.gt, needs_annotations=True)
    detections = read_results(args.results, ground_truth)
    protocols = PROTOCOLS if args.protocol == "both" else (args.protocol,)
    scores = [score(ground_truth, detections, protocol) for protocol in protocols]
    breakdowns = [break_down(ground_truth, one, args.by) for one in scores]
    content: dict[str, Any] = {
        one.protocol: score_as_dict(ground_truth, one, by)
        for one, by in zip(scores, breakdowns, strict=True)
    }
    say(f"{args.results} on {args.gt}\n{score_text(ground_truth, detections, scores, breakdowns)}")
    if args.diagnose:
        diagnose(args, ground_truth, scores[0], content)
    if args.compare:
        compare(args, ground_truth, scores, content)
    if args.json:
        write_json(Path(args.json), content)


def diagnose(
    args: argparse.Namespace, ground_truth: GroundTruth, one: Score, content: dict[str, Any]
) -> None:
    from df2_landmarks.evaluation import mean_shapes
    from df2_landmarks.evaluation.diagnosis import diagnosis, diagnosis_text

    source = ground_truth
    if args.train_gt:
        source = read_ground_truth(args.train_gt, needs_annotations=True)
    shapes = mean_shapes(source)
    found = diagnosis(ground_truth, one, shapes)
    content[one.protocol]["diagnosis"] = found.as_dict()
    say(f"\n{diagnosis_text(found)}")


def compare(
    args: argparse.Namespace, ground_truth: GroundTruth, scores: list[Score], content: dict
) -> None:
    from df2_landmarks.evaluation import compare_scores, comparison_text

    other = read_results(args.compare, ground_truth)
    for one in scores:
        rival = score(ground_truth, other, one.protocol)
        found = compare_scores(
            one, rival, num_images=len(ground_truth.image_ids), resamples=args.resamples
        )
        content[one.protocol]["compare"] = found.as_dict()
        say(f"\n{comparison_text(found, args.results, args.compare)}")


def write_json(path: Path, content: dict[str, Any]) -> None:
    with atomic_write(path) as file:
        file.write(json.dumps(content, indent=1, allow_nan=False).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
