"""Compute the official DeepFashion2 landmark score of a results file or a submission.

    df2 score --gt GT.json --results RESULTS.json
    df2 score --gt GT.json --results val_keypoints.zip \\
        --by scale,occlusion,zoom_in,viewpoint --json scores.json
    df2 score --gt GT.json --results A.json --diagnose
    df2 score --gt GT.json --results A.json --compare B.json C.json
    df2 score --gt GT.json --results A.json --by scale --intervals --format latex > tables.tex

GT is the COCO JSON with all landmarks (both protocols are derived from it), or an official file.
Files may be plain, gzipped or zipped. The challenge's server is closed: this score replaces it, and
it equals pycocotools' to the last bit.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from df2_landmarks.common import (
    UserError,
    atomic_write,
    check_output_file,
    positive,
    run_command,
    say,
)
from df2_landmarks.evaluation import (
    AXES,
    FORMATS,
    Breakdown,
    Comparison,
    Score,
    break_down,
    score,
    score_as_dict,
    score_text,
)
from df2_landmarks.formats import (
    PROTOCOLS,
    GroundTruth,
    read_ground_truth,
    read_results,
    read_taxonomy,
)
from df2_landmarks.taxonomy import DEEPFASHION2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line. Returns 0, 1 (wrong data), 2 (wrong usage) or 130 (interrupted)."""
    args = parse_args(argv)
    return run_command(lambda: run(args), "df2 score")


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="df2 score", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gt", required=True, metavar="FILE", help="ground truth, COCO JSON")
    parser.add_argument(
        "--results", required=True, metavar="FILE|ZIP", help="COCO results, or a submission"
    )
    parser.add_argument(
        "--taxonomy",
        metavar="FILE",
        help="categories, landmarks and sigmas (`df2 taxonomy`; default: DeepFashion2's)",
    )
    parser.add_argument(
        "--protocol", choices=("both", *PROTOCOLS), default="both", help="landmarks that are scored"
    )
    parser.add_argument("--json", metavar="OUT", help="also write all numbers to this file")
    parser.add_argument(
        "--by", type=axes, default=[], metavar="A,B", help=f"score subsets by {', '.join(AXES)}"
    )
    parser.add_argument(
        "--thresholds",
        action="store_true",
        help="show precision and recall over score thresholds (OKS .50)",
    )
    parser.add_argument(
        "--confusion", action="store_true", help="show which category is predicted for which"
    )
    parser.add_argument(
        "--calibration",
        action="store_true",
        help="show how far scores, confidence and visibility are from what is observed",
    )
    parser.add_argument(
        "--intervals",
        action="store_true",
        help="show the AP of each category, and of each subset (--by), with its interval",
    )
    parser.add_argument(
        "--plots",
        type=Path,
        metavar="FOLDER",
        help="write precision over recall and over thresholds as SVG and PDF (matplotlib)",
    )
    parser.add_argument(
        "--pictures", type=Path, metavar="FOLDER", help="write the costliest pictures as PNG files"
    )
    parser.add_argument(
        "--num-pictures", type=positive, default=50, metavar="N", help="at most so many (50)"
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="FOLDER",
        help="with --pictures: the photos (default: beside the annotations)",
    )
    parser.add_argument(
        "--diagnose", action="store_true", help="show how much AP each error type costs"
    )
    parser.add_argument(
        "--train-gt",
        metavar="FILE",
        help="with --diagnose: training split to compute the mean shapes of the baseline from "
        "(default: GT)",
    )
    parser.add_argument(
        "--true-box-results",
        metavar="FILE",
        help="with --diagnose: results of the same model in the annotated boxes, written by "
        "`train_net.py --eval-only --ground-truth-boxes` to "
        "OUTPUT_DIR/ground_truth_boxes/landmark_results.json",
    )
    parser.add_argument(
        "--compare",
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE|ZIP",
        help="show the difference to each of these results",
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="text",
        help="markdown, latex, csv: only the tables of scores, for papers (default: text)",
    )
    parser.add_argument(
        "--resamples",
        type=positive,
        default=500,
        help="bootstrap draws of --compare and --intervals (500)",
    )
    args = parser.parse_args(argv)
    if args.true_box_results and not args.diagnose:
        parser.error("--true-box-results needs --diagnose")
    text_only = ("pictures", "diagnose", "confusion", "calibration", "thresholds")
    if args.format != "text" and any(getattr(args, name) for name in text_only):
        names = ", ".join(f"--{name}" for name in text_only)
        parser.error(f"{names} are for --format text")
    return args


def axes(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in AXES:
            raise argparse.ArgumentTypeError(f"must be of {','.join(AXES)}, but got {name!r}")
    return names


def run(args: argparse.Namespace) -> None:
    if args.json is not None:
        check_output_file("--json", args.json)
    images = images_of(args) if args.pictures else None
    taxonomy = read_taxonomy(args.taxonomy) if args.taxonomy else DEEPFASHION2
    ground_truth = read_ground_truth(args.gt, needs_annotations=True, taxonomy=taxonomy)
    for remark in ground_truth.remarks if args.format == "text" else ():
        say(remark)
    detections = read_results(args.results, ground_truth)
    protocols = PROTOCOLS if args.protocol == "both" else (args.protocol,)
    scores = [score(ground_truth, detections, protocol) for protocol in protocols]
    resamples = args.resamples if args.intervals else 0
    breakdowns = [
        break_down(ground_truth, result, args.by, resamples=resamples) for result in scores
    ]
    content: dict[str, Any] = {
        result.protocol: score_as_dict(ground_truth, result, breakdown)
        for result, breakdown in zip(scores, breakdowns, strict=True)
    }
    if args.plots:
        from df2_landmarks.report import write_plots

        write_plots(args.plots, scores[0])
    if args.format != "text":
        say_tables(args, ground_truth, scores, breakdowns, content)
        write_json(args, content)
        return
    say(f"{args.results} on {args.gt}\n{score_text(ground_truth, detections, scores, breakdowns)}")
    if args.thresholds:
        add_thresholds(scores, content)
    if args.intervals:
        add_intervals(args, ground_truth, scores, content)
    if args.confusion:
        add_confusion(ground_truth, scores[0], content)
    if args.calibration:
        add_calibration(ground_truth, scores[0], content)
    if images is not None:
        say_pictures(args, images, ground_truth, scores[0])
    if args.diagnose:
        add_diagnosis(args, ground_truth, scores[0], content)
    if args.compare:
        add_comparison(args, ground_truth, scores, content)
    write_json(args, content)


def write_json(args: argparse.Namespace, content: dict[str, Any]) -> None:
    if args.json:
        with atomic_write(Path(args.json)) as file:
            file.write(json.dumps(content, indent=1, allow_nan=False).encode() + b"\n")


def say_tables(
    args: argparse.Namespace,
    ground_truth: GroundTruth,
    scores: Sequence[Score],
    breakdowns: Sequence[Breakdown],
    content: dict[str, Any],
) -> None:
    """Print the tables for papers, and add what they need to the content of the JSON file."""
    from df2_landmarks.evaluation import ap_intervals, formatted, paper_tables, results_table

    num_images = len(ground_truth.image_ids)
    intervals = [
        ap_intervals(result, num_images=num_images, resamples=args.resamples)
        if args.intervals
        else None
        for result in scores
    ]
    for result, interval in zip(scores, intervals, strict=True):
        if interval is not None:
            content[result.protocol]["intervals"] = interval.as_dict(ground_truth.taxonomy)
    others, comparisons = compared(args, ground_truth, scores, content)
    results = {args.results: scores, **others}
    tables = [
        results_table(results, comparisons),
        *paper_tables(ground_truth, scores, breakdowns, intervals),
    ]
    say(formatted(tables, args.format))


def images_of(args: argparse.Namespace) -> Path:
    """Return the folder of the photos.

    Raises:
        UserError: there is none.
    """
    from df2_landmarks.report import images_beside

    folder: Path | None = args.images or images_beside(Path(args.gt))
    if folder is None or not folder.is_dir():
        raise UserError(
            f"--pictures: the photos of {args.gt} are not beside it; name their folder (--images)",
            exit_code=2,
        )
    return folder


def say_pictures(
    args: argparse.Namespace, images: Path, ground_truth: GroundTruth, result: Score
) -> None:
    """Write the costliest pictures, and print how many."""
    from df2_landmarks.report import write_worst_pictures

    gt = Path(args.gt)
    files = list(
        write_worst_pictures(
            args.pictures, gt, images, ground_truth, result, count=args.num_pictures
        )
    )
    say(f"\n{len(files)} pictures, the costliest first, in {args.pictures}")


def add_thresholds(scores: Sequence[Score], content: dict[str, Any]) -> None:
    """Print precision and recall over score thresholds and add them to the JSON file."""
    from df2_landmarks.evaluation import (
        TITLES,
        best_points_as_dict,
        best_points_text,
        operating_points,
        thresholds_as_dict,
        thresholds_text,
    )

    for result in scores:
        points = operating_points(result)
        content[result.protocol]["thresholds"] = thresholds_as_dict(points)
        content[result.protocol]["best_thresholds"] = best_points_as_dict(result)
        say(f"\nScore thresholds, {TITLES[result.protocol]}\n{thresholds_text(points)}")
        say(f"\n{best_points_text(result)}")


def add_intervals(
    args: argparse.Namespace,
    ground_truth: GroundTruth,
    scores: Sequence[Score],
    content: dict[str, Any],
) -> None:
    """Print AP with intervals, AP50 and AP75, and add the intervals to the JSON file."""
    from df2_landmarks.evaluation import ap_intervals, intervals_text

    for result in scores:
        num_images = len(ground_truth.image_ids)
        intervals = ap_intervals(result, num_images=num_images, resamples=args.resamples)
        content[result.protocol]["intervals"] = intervals.as_dict(ground_truth.taxonomy)
        say(f"\n{intervals_text(result, intervals)}")


def add_confusion(ground_truth: GroundTruth, result: Score, content: dict[str, Any]) -> None:
    """Print which category is predicted for which, and add it to the JSON file."""
    from df2_landmarks.evaluation.diagnosis import confusion

    counted = confusion(ground_truth, result)
    content[result.protocol]["confusion"] = counted.as_dict()
    say(f"\n{counted.text()}")


def add_calibration(ground_truth: GroundTruth, result: Score, content: dict[str, Any]) -> None:
    """Print the calibration and the AP of visibility, and add them to the JSON file."""
    from df2_landmarks.evaluation import score_visibility
    from df2_landmarks.evaluation.diagnosis import Cases, calibration

    measured = calibration(result, Cases(ground_truth, result))
    content[result.protocol]["calibration"] = measured.as_dict()
    say(f"\n{measured.text()}")
    if "visibility" in measured.kinds:
        visibility = score_visibility(ground_truth, result)
        assert visibility is not None
        content[result.protocol]["visibility"] = visibility.as_dict()
        say(f"\n{visibility.text()}")


def add_diagnosis(
    args: argparse.Namespace, ground_truth: GroundTruth, result: Score, content: dict[str, Any]
) -> None:
    """Print the diagnosis and add it to the content of the JSON file."""
    from df2_landmarks.evaluation import mean_shapes
    from df2_landmarks.evaluation.diagnosis import diagnose, diagnosis_text

    source = ground_truth
    if args.train_gt:
        source = read_ground_truth(
            args.train_gt, needs_annotations=True, taxonomy=ground_truth.taxonomy
        )
    true_box_detections = None
    if args.true_box_results:
        true_box_detections = read_results(args.true_box_results, ground_truth)
    diagnosis = diagnose(
        ground_truth, result, mean_shapes(source), true_box_detections=true_box_detections
    )
    content[result.protocol]["diagnosis"] = diagnosis.as_dict()
    say(f"\n{diagnosis_text(diagnosis)}")


def compared(
    args: argparse.Namespace,
    ground_truth: GroundTruth,
    scores: Sequence[Score],
    content: dict[str, Any],
) -> tuple[dict[str, list[Score]], dict[str, Comparison]]:
    """Score the results of --compare, and add the differences to the content of the JSON file.

    Returns:
        Name -> scores, and name -> differences under the first protocol.
    """
    from df2_landmarks.evaluation import compare_scores

    others: dict[str, list[Score]] = {}
    first: dict[str, Comparison] = {}
    for name in args.compare:
        detections = read_results(name, ground_truth)
        others[name] = [score(ground_truth, detections, one.protocol) for one in scores]
        for result, other in zip(scores, others[name], strict=True):
            comparison = compare_scores(
                result,
                other,
                num_images=len(ground_truth.image_ids),
                resamples=args.resamples,
            )
            first.setdefault(name, comparison)
            all_differences = content[result.protocol].setdefault("compare", {})
            all_differences[name] = comparison.as_dict()
    return others, first


def add_comparison(
    args: argparse.Namespace,
    ground_truth: GroundTruth,
    scores: Sequence[Score],
    content: dict[str, Any],
) -> None:
    """Print the differences to the results of --compare, a table for each and one of all."""
    from df2_landmarks.evaluation import comparison_text, formatted, results_table

    others, comparisons = compared(args, ground_truth, scores, content)
    for name, comparison in comparisons.items():
        say(f"\n{comparison_text(comparison, args.results, name)}")
    table = results_table({args.results: scores, **others}, comparisons)
    say(f"\n{formatted([table], 'text')}")


if __name__ == "__main__":
    sys.exit(main())
