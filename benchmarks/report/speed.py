"""Measure seconds, peak memory and size of a report.

    python benchmarks/report/speed.py                 # 200 images, and the validation set's 32,153
    python benchmarks/report/speed.py --images 200

Ground truth and results are random, with attributes, boxes, confidence and visibility, about three
detections per item; most of them are wrong, so that there is much to explain. Each report has 200
pictures of 600 x 800 pixels. It is written by ``df2 report`` in a process of its own, with one
thread for numpy; *peak* is the largest resident memory of the process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.evaluator_speed import peak_mb, write_case

SIZES = (200, 32_153)
NUM_PHOTOS = 10
"""Different photos; the names of the others are links to them."""


def write_photos(folder: Path, num_images: int) -> None:
    """Write the photo of each image, as `write_case` names it."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(1, num_images + 1):
        path = folder / f"{number:06d}.jpg"
        if number <= NUM_PHOTOS:
            coarse = rng.integers(0, 256, (60, 45, 3), dtype=np.uint8)
            Image.fromarray(coarse).resize((600, 800)).save(path, quality=90)
        else:
            path.symlink_to(folder / f"{number % NUM_PHOTOS + 1:06d}.jpg")


def run(truth: str, results: str, photos: str, output: str) -> None:
    """Write one report and print what it took."""
    from df2_landmarks.cli.report import main as report

    start = time.perf_counter()
    code = report(["--gt", truth, "--results", results, "--images", photos, "--output", output])
    seconds = time.perf_counter() - start
    print(json.dumps({"code": code, "seconds": seconds, "peak_mb": peak_mb()}))


def measure(num_images: int) -> str:
    """Return a line of the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        truth, results = write_case(folder, num_images, "compact", with_bbox=False, complete=True)
        write_photos(folder / "photos", num_images)
        report = folder / "report.html"
        command = [sys.executable, __file__, "--run", *map(str, (truth, results))]
        ended = subprocess.run(
            [*command, str(folder / "photos"), str(report)],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        measured = json.loads(ended.stdout.splitlines()[-1])
        assert measured["code"] == 0, ended.stderr
        return (
            f"{num_images:>7,} {measured['seconds']:>9.1f} {measured['peak_mb']:>9.0f} "
            f"{report.stat().st_size / 1e6:>8.1f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, nargs="+", default=SIZES)
    parser.add_argument("--run", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        run(*args.run)
        return
    print(" images   seconds   peak MB  size MB")
    for num_images in args.images:
        print(measure(num_images), flush=True)


if __name__ == "__main__":
    main()
