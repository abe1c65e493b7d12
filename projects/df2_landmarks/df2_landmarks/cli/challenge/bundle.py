"""``df2 challenge bundle`` and ``df2 challenge check``."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path
from typing import Any

from df2_landmarks.challenge.bundle import DATE_FORMAT, Challenge, check_bundle, write_bundle
from df2_landmarks.common import UserError, check_output_file, say
from df2_landmarks.formats import read_taxonomy
from df2_landmarks.taxonomy import DEEPFASHION2


def add_bundle(commands: Any) -> None:
    """Add the subcommand ``bundle`` to the subparsers of ``df2 challenge``."""
    parser = commands.add_parser("bundle", help="write a competition for Codabench")
    parser.add_argument("--title", required=True, help="of the competition")
    parser.add_argument(
        "--val", type=Path, required=True, metavar="FILE", help="public annotations, COCO JSON"
    )
    parser.add_argument(
        "--test", type=Path, required=True, metavar="FILE", help="hidden annotations, COCO JSON"
    )
    parser.add_argument(
        "--start", type=utc, required=True, metavar="DATE", help="UTC, 2027-01-31[ 13:30:00]"
    )
    parser.add_argument(
        "--test-start", type=utc, required=True, metavar="DATE", help="the test phase begins"
    )
    parser.add_argument(
        "--end", type=utc, metavar="DATE", help="the test phase ends (default: never)"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="ZIP")
    parser.add_argument(
        "--taxonomy",
        metavar="FILE",
        help="categories and landmarks (`df2 taxonomy`; default: DeepFashion2's)",
    )
    parser.add_argument("--contact-email", default="", metavar="ADDRESS", help="for participants")
    parser.add_argument(
        "--image", type=Path, metavar="FILE", help="logo (default: an annotated item, drawn)"
    )
    parser.add_argument(
        "--msgspec-wheel",
        type=Path,
        metavar="FILE",
        help="msgspec for Python 3.12 on Linux (default: downloaded by pip)",
    )
    parser.set_defaults(run=run_bundle)


def add_check(commands: Any) -> None:
    """Add the subcommand ``check`` to the subparsers of ``df2 challenge``."""
    parser = commands.add_parser("check", help="what would Codabench make of this bundle?")
    parser.add_argument("bundle", type=Path, metavar="ZIP")
    parser.set_defaults(run=run_check)


def run_bundle(args: argparse.Namespace) -> None:
    """Write the bundle and print where, and what to do next."""
    check_output_file("--output", args.output)
    if args.test_start <= args.start:
        raise UserError(f"--test-start {args.test_start}: must be later than --start {args.start}")
    if args.end is not None and args.end <= args.test_start:
        raise UserError(f"--end {args.end}: must be later than --test-start {args.test_start}")
    challenge = Challenge(
        title=args.title,
        ground_truths={"val": args.val, "test": args.test},
        start=args.start,
        test_start=args.test_start,
        end=args.end,
        taxonomy=read_taxonomy(args.taxonomy) if args.taxonomy else DEEPFASHION2,
        contact_email=args.contact_email,
        image=args.image,
    )
    kit = write_bundle(args.output, challenge, wheel=args.msgspec_wheel)
    say(f"{args.output}: written and checked, {args.output.stat().st_size / 1e6:.1f} MB")
    for name, numbers in kit.expected.items():
        shown = ", ".join(f"{key} {value:.4f}" for key, value in numbers.items())
        say(f"{name} of its starting kit must get: {shown}")
    say("Upload it at https://www.codabench.org, Benchmarks, Management, Upload")


def run_check(args: argparse.Namespace) -> int:
    """Print a line for each mistake; return 1 if there is one."""
    problems = check_bundle(args.bundle)
    for line in problems:
        say(line)
    say(f"{args.bundle}: {len(problems) or 'no'} mistakes found")
    return 1 if problems else 0


def utc(text: str) -> datetime:
    """Argument type: a date, and a time of day where it is not midnight."""
    for form in (DATE_FORMAT, "%Y-%m-%d"):
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    raise argparse.ArgumentTypeError(
        f"must be like 2027-01-31 or 2027-01-31 13:30:00, got {text!r}"
    )
