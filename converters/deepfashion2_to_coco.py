"""Convert raw DeepFashion2 annotations to COCO JSON.

    # every split in the folder, to datasets/deepfashion2/annotations/*.json
    python -m converters.deepfashion2_to_coco --root datasets/deepfashion2

    # one split only
    python -m converters.deepfashion2_to_coco \\
        --annos datasets/deepfashion2/validation/annos \\
        --images datasets/deepfashion2/validation/image --output validation.json

    # the challenge's ground truth for visible landmarks only
    python -m converters.deepfashion2_to_coco --annos ... --images ... --output ... \\
        --visibility visible

    # for other tools: own landmarks only, with names and skeletons
    python -m converters.deepfashion2_to_coco --annos ... --images ... --output ... \\
        --own-landmarks

    # images only, for a split without annotations
    python -m converters.deepfashion2_to_coco --images datasets/deepfashion2/test/image \\
        --output test.json

Ends with code 0, or with one line on stderr and code 1 (the data cannot be converted) or 2 (the
command cannot be carried out).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from converters.coco import VISIBILITIES, Split, convert_split
from converters.raw import list_splits, split_folders
from df2_landmarks.common import (
    UserError,
    atomic_write,
    default_jobs,
    positive,
    progress_bar,
    run_command,
    say,
)


class Task(NamedTuple):
    """One split to convert. ``outputs``: visibility -> the file to write."""

    split: Split
    outputs: dict[str, Path]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit code."""
    args = _parse(arguments)
    return run_command(
        lambda: _convert(args),
        "deepfashion2_to_coco",
        advice="correct it, or leave such out with --on-error skip" * (args.on_error == "abort"),
        interrupted="interrupted; only complete files were written",
    )


def _convert(args: argparse.Namespace) -> None:
    report: dict[str, Any] = {}
    for option, path in (("--output", args.output), ("--report", args.report)):
        if path is not None and path.is_dir():
            raise UserError(f"{option} {path}: must be a file, but is a folder", exit_code=2)
    for split, outputs in _tasks(args):
        with progress_bar(next(iter(outputs.values())).stem, "images") as on_progress:
            summary = convert_split(
                split, outputs, limit=args.limit, jobs=args.jobs, on_progress=on_progress
            )
        for visibility, output in outputs.items():
            say(f"{output}: " + "\n  ".join(summary.lines(visibility)))
            report[output.stem] = {
                "output": str(output),
                "images_folder": str(split.images),
                "annotations_folder": split.annotations and str(split.annotations),
                "visibility": visibility,
                **summary.as_dict(visibility),
            }
    if args.report:
        with atomic_write(args.report) as file:
            file.write(json.dumps(report, indent=2).encode() + b"\n")


def _tasks(args: argparse.Namespace) -> Iterator[Task]:
    skip = args.on_error == "skip"
    if args.root is None:
        split = Split(args.images, args.annos, skip, args.own_landmarks)
        yield Task(split, {args.visibility: args.output})
        return
    for name in list_splits(args.root):
        outputs = {"all": args.root / "annotations" / f"{name}.json"}
        if name == "validation":
            outputs["visible"] = args.root / "annotations" / f"{name}_visible.json"
        yield Task(Split(*split_folders(args.root, name), skip, args.own_landmarks), outputs)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m converters.deepfashion2_to_coco",
        description="Convert raw DeepFashion2 annotations to COCO JSON.",
    )
    add = parser.add_argument
    add("--root", type=Path, help="convert every split in this folder to ROOT/annotations/*.json")
    add("--images", type=Path, help="folder of the images of one split")
    add("--annos", type=Path, help="folder of its annotation files; without: a list of images only")
    add("--output", type=Path, help="the COCO JSON file to write")
    add(
        "--visibility",
        choices=VISIBILITIES,
        default="all",
        help="visible: occluded landmarks become unlabelled, as in the challenge's protocol "
        "'visible' (default: all)",
    )
    add(
        "--own-landmarks",
        action="store_true",
        help="write the landmarks of each item's own category, with their names and skeletons, as "
        "other tools want them (default: all 294 slots, as the official script)",
    )
    add("--limit", type=positive, metavar="N", help="only the first N images of a split")
    add("--jobs", type=positive, metavar="N", default=default_jobs(), help="processes to use")
    add(
        "--on-error",
        choices=("abort", "skip"),
        default="abort",
        help="skip: leave out what cannot be converted and list it (default: abort)",
    )
    add("--report", type=Path, metavar="FILE", help="write all counts and lists as JSON")
    args = parser.parse_args(arguments)
    if args.root is not None:
        if args.images or args.annos or args.output or args.visibility != "all":
            parser.error(
                "--root converts whole splits: give it without --images, --annos, "
                "--output and --visibility"
            )
    elif args.images is None or args.output is None:
        parser.error("give --root, or --images and --output (and --annos)")
    return args


if __name__ == "__main__":
    sys.exit(main())
