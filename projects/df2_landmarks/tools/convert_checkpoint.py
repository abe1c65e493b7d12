#!/usr/bin/env python3
"""Converts a checkpoint of a stock head with all landmarks' channels to 13 heads, and back.

    python projects/df2_landmarks/tools/convert_checkpoint.py stock.pth ours.pth --to per-category
    python projects/df2_landmarks/tools/convert_checkpoint.py ours.pth stock.pth --to single

The stock head is Detectron2's `KRCNNConvDeconvUpsampleHead` with a channel for every landmark of
every category, in the order of the COCO keypoints. Weights only; no other entry of the file is
kept. (MODEL.WEIGHTS takes a stock file as it is, without this.)
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from df2_landmarks.engine.checkpoint_conversion import CONVERSIONS, convert_checkpoint
from df2_landmarks.engine.errors import run_cli


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; 0 fine, 1 wrong data, 2 wrong usage."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, metavar="IN")
    parser.add_argument("target", type=Path, metavar="OUT")
    parser.add_argument("--to", required=True, choices=list(CONVERSIONS))
    args = parser.parse_args(argv)

    def convert() -> None:
        count = convert_checkpoint(args.source, args.target, to=args.to)
        print(f"{args.target}: {count} tensors")

    return run_cli(convert, "convert_checkpoint")


if __name__ == "__main__":
    sys.exit(main())
