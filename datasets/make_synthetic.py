"""Draws a synthetic DeepFashion2 in the raw layout of the real one.

python datasets/make_synthetic.py                       # the small one, for the demo
python datasets/make_synthetic.py --preset benchmark    # 8,000 / 1,000 / 500 at 512 px
python datasets/make_synthetic.py --output DIR --train 100 --validation 20 --test 0
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

if importlib.util.find_spec("df2_landmarks") is None:  # not installed: use the source tree
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "projects" / "df2_landmarks"))

import cv2

from df2_landmarks.synthetic import PRESETS, write_dataset
from df2_landmarks.synthetic.writer import BALANCES, OptionError

MAX_WORKERS = 8
DATA_ROOT = Path(__file__).resolve().parent


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0; or 1 (data) or 2 (options) after one line on stderr."""
    args = _parser().parse_args(argv)
    preset = PRESETS[args.preset]
    splits = {
        name: getattr(preset, name) if getattr(args, name) is None else getattr(args, name)
        for name in ("train", "validation", "test")
    }
    home = Path(os.environ.get("DETECTRON2_DATASETS", DATA_ROOT)).expanduser()
    root = args.output or home / preset.folder
    if args.workers == 1:
        cv2.setNumThreads(1)
    progress = _Progress()
    try:
        result = write_dataset(
            root,
            splits,
            seed=args.seed,
            size_px=preset.size_px if args.size is None else args.size,
            balance=args.balance or preset.balance,
            difficulty=preset.difficulty,
            landmark_noise=args.landmark_noise,
            quirks=args.quirks,
            workers=args.workers,
            resume=args.resume,
            progress=progress,
        )
    except BrokenProcessPool:
        progress.end_line()
        return _fail("a process was ended from outside; complete it with --resume --workers 1")
    except OptionError as error:
        return _fail(str(error), code=2)
    except (ValueError, OSError) as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        progress.end_line()
        return _fail("interrupted; complete it with --resume", code=130)
    counts = " / ".join(f"{count} {name}" for name, count in splits.items())
    print(f"{root}: {counts}, fingerprint {result}")
    return 0


def _fail(message: str, code: int = 1) -> int:
    print(f"make_synthetic: {message}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", choices=PRESETS, default="small", help="default: small")
    parser.add_argument("--output", type=Path, help="folder (default: the preset's, in datasets/)")
    for name in ("train", "validation", "test"):
        parser.add_argument(f"--{name}", type=int, metavar="N", help="number of pictures")
    parser.add_argument("--size", type=int, metavar="PX", help="nominal short side")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    cores = min(os.cpu_count() or 1, MAX_WORKERS)
    parser.add_argument("--workers", type=int, default=cores, metavar="N", help="processes")
    parser.add_argument("--balance", choices=BALANCES, help="shares of the categories")
    parser.add_argument(
        "--quirks", action="store_true", help="put the oddities of the real files in"
    )
    parser.add_argument(
        "--landmark-noise", action="store_true", help="move the training labels as annotators do"
    )
    parser.add_argument("--resume", action="store_true", help="complete a run that was broken off")
    return parser


class _Progress:
    """A bar on stderr: how many, how fast, how long still."""

    def __init__(self) -> None:
        self.start, self.shown, self.first = time.monotonic(), 0.0, -1

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self.first < 0:
            self.first = done - 1
        if now - self.shown < 0.5 and done < total:
            return
        self.shown = now
        rate = (done - self.first) / max(now - self.start, 1e-6)
        bar = "#" * (30 * done // total)
        end = "\n" if done == total else ""
        left = (total - done) / rate
        text = f"\r[{bar:<30}] {done}/{total}  {rate:.0f}/s  {left:.0f} s left "
        print(text, end=end, file=sys.stderr, flush=True)

    def end_line(self) -> None:
        """Ends a bar that has not come to its end."""
        if self.shown:
            print(file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
