"""Draw a synthetic DeepFashion2 in the raw layout of the real one.

python datasets/make_synthetic.py                       # the small one, for the demo
python datasets/make_synthetic.py --preset benchmark    # 8,000 / 1,000 / 500 at 512 px
python datasets/make_synthetic.py --output DIR --train 100 --validation 20 --test 0
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path

if importlib.util.find_spec("df2_landmarks") is None:  # not installed: use the source tree
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "projects" / "df2_landmarks"))

import cv2

from df2_landmarks.common import default_jobs, progress_bar, run_command, say
from df2_landmarks.synthetic import BALANCES, PRESETS, SPLITS, write_dataset

DATA_ROOT = Path(__file__).resolve().parent


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 1 (data), 2 (options) or 130 (interrupted)."""
    args = _parser().parse_args(argv)
    interrupted = "interrupted; complete it with --resume"
    return run_command(lambda: _draw(args), "make_synthetic", interrupted=interrupted)


def _draw(args: argparse.Namespace) -> None:
    preset = PRESETS[args.preset]
    splits = {
        split: count if getattr(args, split) is None else getattr(args, split)
        for split, count in preset.splits.items()
    }
    data_root = Path(os.environ.get("DETECTRON2_DATASETS", DATA_ROOT)).expanduser()
    root = args.output or data_root / preset.folder
    if args.workers == 1:
        cv2.setNumThreads(1)
    with progress_bar("drawing", "pictures") as show:
        fingerprint = write_dataset(
            root,
            splits,
            seed=args.seed,
            size_px=preset.recipe.size_px if args.size is None else args.size,
            balance=args.balance or preset.recipe.balance,
            difficulty=preset.recipe.difficulty,
            landmark_noise=args.landmark_noise,
            quirks=args.quirks,
            workers=args.workers,
            resume=args.resume,
            progress=show,
        )
    counts = " / ".join(f"{count} {split}" for split, count in splits.items())
    say(f"{root}: {counts}, fingerprint {fingerprint}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", choices=PRESETS, default="small", help="default: small")
    parser.add_argument("--output", type=Path, help="folder (default: the preset's, in datasets/)")
    for split in SPLITS:
        parser.add_argument(f"--{split}", type=int, metavar="N", help="number of pictures")
    parser.add_argument("--size", type=int, metavar="PX", help="nominal short side")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument(
        "--workers", type=int, default=default_jobs(), metavar="N", help="processes"
    )
    parser.add_argument("--balance", choices=BALANCES, help="shares of the categories")
    parser.add_argument(
        "--quirks", action="store_true", help="put the oddities of the real files in"
    )
    parser.add_argument(
        "--landmark-noise", action="store_true", help="move the training labels as annotators do"
    )
    parser.add_argument("--resume", action="store_true", help="complete a run that was interrupted")
    return parser


if __name__ == "__main__":
    sys.exit(main())
