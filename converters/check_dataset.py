"""Examine a raw DeepFashion2 folder before hours of training go into it.

    python -m converters.check_dataset datasets/deepfashion2
    python -m converters.check_dataset datasets/deepfashion2 --json > report.json
    python -m converters.check_dataset datasets/deepfashion2 --decode    # read every pixel, slow

Examines the splits ``train``, ``validation`` and ``test``: counts against the published ones,
missing, empty, unreadable and truncated files, ids, categories, geometry, attributes, what stock
Detectron2 would drop, and how well garments fit their own mirror image under each flip pair.

Ends with code 0, or 1 if training would suffer, or 2 if the command cannot be carried out.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from converters.check import check_split, make_report, report_text
from converters.raw import list_splits
from df2_landmarks.common import default_jobs, positive, run_command, say


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit code."""
    args = _parse(arguments)
    return run_command(lambda: _check(args), "check_dataset")


def _check(args: argparse.Namespace) -> int:
    facts = {
        n: check_split(args.root, n, jobs=args.jobs, decode=args.decode)
        for n in list_splits(args.root)
    }
    report = make_report(args.root, facts)
    say(json.dumps(report, indent=2) if args.json else report_text(report))
    return 0 if report["ok"] else 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m converters.check_dataset",
        description="Examine a raw DeepFashion2 folder; code 1 if training would suffer.",
    )
    parser.add_argument("root", type=Path, help="folder with train, validation and/or test in it")
    parser.add_argument("--json", action="store_true", help="print a report for machines")
    parser.add_argument("--decode", action="store_true", help="decode every image completely")
    parser.add_argument(
        "--jobs", type=positive, metavar="N", default=default_jobs(), help="processes to use"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
