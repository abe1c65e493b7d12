"""Convert raw DeepFashion2 annotations to COCO JSON.

    # every split that is there, to datasets/deepfashion2/annotations/*.json
    python -m converters.deepfashion2_to_coco --root datasets/deepfashion2

    # one split
    python -m converters.deepfashion2_to_coco \\
        --annos datasets/deepfashion2/validation/annos \\
        --images datasets/deepfashion2/validation/image --output validation.json

    # the challenge's ground truth for visible landmarks only
    python -m converters.deepfashion2_to_coco --annos ... --images ... --output ... \\
        --visibility visible

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

from converters.atomic_file import atomic_write
from converters.coco.chunks import Split
from converters.coco.convert_split import convert_split
from converters.coco.summary import Summary
from converters.command_line import positive, progress_bar, run_command, show
from converters.parallel import default_jobs
from converters.raw.problems import UsageError


class Task(NamedTuple):
    """One file to write."""

    name: str
    split: Split
    output: Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit code."""
    args = _parse(arguments)
    return run_command(lambda: _convert(args), _ADVICE if args.on_error == "abort" else "")


_ADVICE = "correct it, or leave such out with --on-error skip"


def _convert(args: argparse.Namespace) -> int:
    report = {}
    for task in _tasks(args):
        summary = _run(task, args)
        report[task.name] = _entry(task, summary)
    if args.report:
        _write_report(args.report, report)
    return 0


def _tasks(args: argparse.Namespace) -> Iterator[Task]:
    skip = args.on_error == "skip"
    if args.root is None:
        visible = args.visibility == "visible"
        split = Split(args.images, args.annos, visible_only=visible, skip=skip)
        yield Task(args.output.stem, split, args.output)
        return
    found = [name for name in ("train", "validation", "test") if (args.root / name).is_dir()]
    if not found:
        raise UsageError(
            f"{args.root}: expected a folder train, validation or test in it, there is none; "
            "see datasets/README.md"
        )
    for name in found:
        folder = args.root / name
        # The test annotations of the real data set were never released.
        with_annotations = name != "test" or (folder / "annos").is_dir()
        annotations = folder / "annos" if with_annotations else None
        views = {name: False, f"{name}_visible": True} if name == "validation" else {name: False}
        for view, visible in views.items():
            split = Split(folder / "image", annotations, visible_only=visible, skip=skip)
            yield Task(view, split, args.root / "annotations" / f"{view}.json")


def _run(task: Task, args: argparse.Namespace) -> Summary:
    with progress_bar(task.name) as on_progress:
        summary = convert_split(
            task.split, task.output, limit=args.limit, jobs=args.jobs, on_progress=on_progress
        )
    show(f"{task.output}: " + "\n  ".join(summary.lines()))
    return summary


def _entry(task: Task, summary: Summary) -> dict[str, Any]:
    return {
        "output": str(task.output),
        "images_folder": str(task.split.images),
        "annotations_folder": None
        if task.split.annotations is None
        else str(task.split.annotations),
        "visibility": "visible" if task.split.visible_only else "all",
        **summary.as_dict(),
    }


def _write_report(path: Path, report: dict[str, Any]) -> None:
    try:
        with atomic_write(path) as file:
            file.write(json.dumps(report, indent=2).encode() + b"\n")
    except OSError as error:
        raise UsageError(f"{path}: the report cannot be written: {error.strerror}") from None


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
        choices=("all", "visible"),
        default="all",
        help="visible: occluded landmarks become unlabelled, as in the challenge's protocol "
        "'visible' (default: all)",
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
