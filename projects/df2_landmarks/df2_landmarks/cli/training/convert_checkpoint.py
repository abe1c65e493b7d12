"""Convert a checkpoint of a stock head with all landmarks' channels to 13 heads, and back.

    df2 convert-checkpoint stock.pth ours.pth --to per-category
    df2 convert-checkpoint ours.pth stock.pth --to single

The stock head is Detectron2's `KRCNNConvDeconvUpsampleHead` with a channel for every landmark of
every category, in the order of the COCO keypoints. Weights only; no other entry of the file is
kept. (MODEL.WEIGHTS takes a stock file as it is, without this.)
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from df2_landmarks.common import run_command, say


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit code: 0, 1 (wrong data), 2 (wrong usage)."""
    parser = argparse.ArgumentParser(
        prog="df2 convert-checkpoint",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", type=Path, metavar="IN")
    parser.add_argument("target", type=Path, metavar="OUT")
    parser.add_argument("--to", required=True, choices=("single", "per-category"))
    args = parser.parse_args(argv)

    def convert() -> None:
        from df2_landmarks.engine import convert_checkpoint  # imports torch

        count = convert_checkpoint(args.source, args.target, to=args.to)
        say(f"{args.target}: {count} tensors")

    return run_command(convert, "df2 convert-checkpoint")


if __name__ == "__main__":
    sys.exit(main())
