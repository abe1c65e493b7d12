"""Check a COCO file with landmarks per category before hours of training go into it.

    df2 check train.json
    df2 check train.json --images path/to/images
    df2 check train.json --json > report.json
    df2 check foxes.json --taxonomy foxes.yaml

Prints what is in the file, how it is understood, and what is wrong or suspicious. An error means
that training would suffer, a warning is worth a look. Ends with code 0, or 1 if there is an error,
or 2 if the command cannot be carried out. Training and scoring read files in the same way.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from df2_landmarks.common import UserError, run_command, say
from df2_landmarks.formats import CocoReader, CocoReport, Finding, read_taxonomy
from df2_landmarks.taxonomy import DEEPFASHION2, Taxonomy

NUM_EXAMPLES = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line. Returns 0, 1 (wrong data), 2 (wrong usage) or 130 (interrupted)."""
    args = parse_args(argv)
    return run_command(lambda: run(args), "df2 check")


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="df2 check", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", metavar="FILE", help="COCO JSON, plain, gzipped or zipped")
    parser.add_argument(
        "--images", type=Path, metavar="FOLDER", help="also look for each picture in this folder"
    )
    parser.add_argument(
        "--taxonomy",
        metavar="FILE",
        help="categories and landmarks (`df2 taxonomy`; default: DeepFashion2's)",
    )
    parser.add_argument("--json", action="store_true", help="print a report for machines")
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> int:
    if args.images is not None and not args.images.is_dir():
        raise UserError(f"--images {args.images}: there is no such folder", exit_code=2)
    taxonomy = read_taxonomy(args.taxonomy) if args.taxonomy else DEEPFASHION2
    report = check(args.file, args.images, taxonomy)
    if args.json:
        say(msgspec.json.encode(report).decode())
    else:
        say("\n".join(report.lines()))
        say("training would suffer" if report.errors else "ready for training")
    return 1 if report.errors else 0


def check(
    path: str, image_root: Path | None = None, taxonomy: Taxonomy = DEEPFASHION2
) -> CocoReport:
    """Read a COCO file and return what was found.

    Args:
        path: the file.
        image_root: where to look for its pictures; by default they are not looked for.
        taxonomy: the categories.

    Raises:
        UserError: a record is wrong, so that the rest of the file is not read.
    """
    reader = CocoReader(path, taxonomy=taxonomy, needs_pictures=True)
    missing: list[str] = []
    for images, _ in reader.blocks(raise_errors=False):
        if image_root is not None:
            missing += [i.file_name for i in images if not (image_root / i.file_name).is_file()]
    report = reader.report
    notes = [Finding("note", f"taxonomy {taxonomy.name}: {note}") for note in taxonomy.notes]
    findings = (*report.findings, *notes)
    if not missing:
        return msgspec.structs.replace(report, findings=findings)
    finding = Finding(
        "error",
        f"the picture is not in {image_root}",
        len(missing),
        report.images,
        "images",
        tuple(map(repr, missing[:NUM_EXAMPLES])),
    )
    return msgspec.structs.replace(report, findings=(finding, *findings))


if __name__ == "__main__":
    sys.exit(main())
