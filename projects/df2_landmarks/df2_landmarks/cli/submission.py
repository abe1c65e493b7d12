"""Pack, check and score a submission of the DeepFashion2 landmark challenge.

    df2 submission pack --results R.json --gt GT.json --output val_keypoints.zip
    df2 submission check val_keypoints.zip --gt GT.json
    df2 submission score val_keypoints.zip --gt GT.json

GT is the COCO JSON of the split; without annotations it is taken for the test split. The challenge
page no longer says what the zip must be called: choose with --output. The evaluation server is
closed: the score that ``score`` prints is the score. ``df2 score --results ZIP --gt GT.json`` reads
the zip, too, and has many options: intervals, diagnosis, comparison, pictures, tables for papers.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from df2_landmarks.common import check_output_file, run_command, say
from df2_landmarks.evaluation import score, score_text
from df2_landmarks.formats import (
    MEMBERS,
    PROTOCOLS,
    GroundTruth,
    check_submission,
    read_ground_truth,
    read_results,
    read_taxonomy,
    write_submission,
)
from df2_landmarks.taxonomy import DEEPFASHION2, Taxonomy


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line. Returns 0, 1 (wrong data), 2 (wrong usage) or 130 (interrupted)."""
    args = parse_args(argv)
    command = {"pack": pack, "check": check, "score": score_zip}[args.command]
    return run_command(lambda: command(args), "df2 submission")


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="df2 submission",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack", help="results file -> zip")
    packing.add_argument("--results", required=True, metavar="FILE")
    packing.add_argument("--gt", required=True, metavar="FILE", help="COCO JSON of the split")
    packing.add_argument("--output", required=True, metavar="ZIP")
    checking = commands.add_parser("check", help="is this zip a valid submission?")
    checking.add_argument("zip", metavar="ZIP")
    checking.add_argument("--gt", metavar="FILE", help="COCO JSON of the split, for the image ids")
    scoring = commands.add_parser("score", help="check and score the very zip")
    scoring.add_argument("zip", metavar="ZIP")
    scoring.add_argument("--gt", required=True, metavar="FILE")
    for command in (packing, checking, scoring):
        command.add_argument(
            "--taxonomy",
            metavar="FILE",
            help="categories and landmarks (`df2 taxonomy`; default: DeepFashion2's)",
        )
    for command in (packing, checking):
        command.add_argument("--split", choices=list(MEMBERS), help="by default, as GT says")
    return parser.parse_args(argv)


def pack(args: argparse.Namespace) -> None:
    check_output_file("--output", args.output)
    ground_truth = read_ground_truth(args.gt, taxonomy=taxonomy_of(args))
    detections = read_results(args.results, ground_truth)
    split = args.split or split_of(ground_truth)
    write_submission(args.output, detections, split=split, class_of_id=ground_truth.class_of_id)
    print_facts(args.output, split, ground_truth, ground_truth.taxonomy)


def check(args: argparse.Namespace) -> None:
    taxonomy = taxonomy_of(args)
    ground_truth = read_ground_truth(args.gt, taxonomy=taxonomy) if args.gt else None
    split = args.split or (split_of(ground_truth) if ground_truth else None)
    print_facts(args.zip, split, ground_truth, taxonomy)


def score_zip(args: argparse.Namespace) -> None:
    taxonomy = taxonomy_of(args)
    ground_truth = read_ground_truth(args.gt, needs_annotations=True, taxonomy=taxonomy)
    print_facts(args.zip, "val", ground_truth, taxonomy)
    detections = read_results(args.zip, ground_truth)
    scores = [score(ground_truth, detections, protocol) for protocol in PROTOCOLS]
    say(score_text(ground_truth, detections, scores, [{} for _ in scores]))


def taxonomy_of(args: argparse.Namespace) -> Taxonomy:
    return read_taxonomy(args.taxonomy) if args.taxonomy else DEEPFASHION2


def split_of(ground_truth: GroundTruth) -> str:
    return "val" if ground_truth.has_annotations else "test"


def print_facts(
    path: str, split: str | None, ground_truth: GroundTruth | None, taxonomy: Taxonomy
) -> None:
    facts = check_submission(
        path,
        split=split,
        image_ids=None if ground_truth is None else ground_truth.image_ids,
        taxonomy=taxonomy,
        class_of_id=None if ground_truth is None else ground_truth.class_of_id,
    )
    beyond = f", {facts.num_beyond} beyond the 20 that count" if facts.num_beyond else ""
    unchecked = "" if ground_truth else " Image ids were not checked (no --gt)."
    say(
        f"{path} is a valid submission: {facts.member}, {facts.num_records} results{beyond} on "
        f"{facts.num_images} images, {facts.zip_bytes / 1e6:.1f} MB zipped, "
        f"{facts.json_bytes / 1e6:.1f} MB.{unchecked}"
    )


if __name__ == "__main__":
    sys.exit(main())
