"""Time and memory of loading a COCO JSON: first, again, and stock Detectron2's way.

    python benchmarks/data/loading_speed.py   # 10,000 images, medians of 5
    python benchmarks/data/loading_speed.py --images 191961 --repeats 1   # a train set of full size

Each load happens in a process of its own, after the imports; the files are in the page cache.
Private memory is what the process alone holds (unique set size) after all records are at hand, less
that before: for ours the records themselves lie in a mapped file that processes share. Stock is
`load_coco_json` of Detectron2 and its serialised list, on a tenth of the images.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
STOCK_SHARE = 10
NUM_READ = 1000  # records read at random after a load


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the measurements to this file")
    parser.add_argument("--measure", nargs=2, metavar=("WHAT", "FILE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(args.measure[0], args.measure[1])))
        return
    with tempfile.TemporaryDirectory() as work:
        full = make_coco(Path(work), "full", args.images)
        tenth = make_coco(Path(work), "tenth", max(1, args.images // STOCK_SHARE))
        rows = run_all(full, tenth, args.repeats)
    report = {"images": args.images, "repeats": args.repeats, "rows": rows}
    print(f"{args.images:,} images, medians of {args.repeats}")
    for name, row in rows.items():
        print(
            f"  {name:<44} {row['seconds']:8.4f} s  {row['private_mb']:7.0f} MB private"
            f"  {row['microseconds_per_record']:6.0f} us/record"
        )
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n")


def make_coco(work: Path, name: str, num_images: int) -> Path:
    """Raw files of random content, converted."""
    raw, output = work / name, work / f"{name}.json"
    subprocess.run([sys.executable, HERE / "raw_folder.py", raw, str(num_images)], check=True)
    command: list[str | Path] = [sys.executable, "-m", "converters.deepfashion2_to_coco"]
    command += ["--annos", raw / "annos", "--images", raw / "image", "--output", output]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    shutil.rmtree(raw)
    return output


def run_all(full: Path, tenth: Path, repeats: int) -> dict[str, dict[str, float]]:
    """Contenders in turn; the median of each figure."""
    names = {
        "first load, builds the cache": ("first", full),
        "later load": ("later", full),
        f"stock load_coco_json, 1/{STOCK_SHARE} of the images": ("stock", tenth),
    }
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(repeats):
        for name, (what, path) in names.items():
            if what == "first":
                shutil.rmtree(path.parent / ".cache", ignore_errors=True)
            command = [sys.executable, __file__, "--measure", what, str(path)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            rows[name].append(json.loads(done.stdout.splitlines()[-1]))
    return {
        name: {figure: statistics.median(run[figure] for run in runs) for figure in runs[0]}
        for name, runs in rows.items()
    }


def measure(what: str, path: str) -> dict[str, float]:
    """Load `path` in this process."""
    import random

    from detectron2.data import DatasetFromList
    from detectron2.data.datasets import load_coco_json

    from df2_landmarks.data import load_landmark_json

    before_mb = private_mb()
    started = time.perf_counter()
    records: Any
    if what == "stock":
        # no dataset name: categories stay as they are, and all slots are kept
        records = DatasetFromList(load_coco_json(path, "images"))
    else:
        records = load_landmark_json(path, "images")
    seconds = time.perf_counter() - started
    rows = random.Random(0).choices(range(len(records)), k=NUM_READ)
    started = time.perf_counter()
    for row in rows:
        records[row]
    microseconds = (time.perf_counter() - started) / NUM_READ * 1e6
    return {
        "seconds": seconds,
        "private_mb": private_mb() - before_mb,
        "microseconds_per_record": microseconds,
    }


def private_mb() -> float:
    text = Path("/proc/self/smaps_rollup").read_text()
    return sum(int(kb) for kb in re.findall(r"^Private_\w+: +(\d+) kB", text, re.MULTILINE)) / 1024


if __name__ == "__main__":
    main()
