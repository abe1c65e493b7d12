"""What more processes bring, and what one costs at its start.

    python benchmarks/processes.py                              # evaluation on 1 and 2 processes
    python benchmarks/processes.py --cases start --images 191961  # start with the full train set

* evaluation: `train_net.py --eval-only` of an untrained R-18 at a short side of 192 on drawn
  pictures, on the CPU, one thread per process; the time of the model on the images, as Detectron2
  logs it, and whether the results are the same bytes.
* start: a process from its start to its training loader, with the cache of the annotations at
  hand: seconds, and the memory that it alone holds (unique set size).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import head_cases as cases
from benchmarks.data.loading_speed import make_coco, private_mb

ROOT = Path(__file__).resolve().parents[1]
TRAIN_NET = "projects/df2_landmarks/train_net.py"
CONFIG = "df2_landmark_rcnn_R_18_FPN_demo.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", nargs="+", choices=["evaluation", "start"])
    parser.add_argument("--pictures", type=int, default=200, help="that are evaluated")
    parser.add_argument("--images", type=int, default=10_000, help="of the annotations at a start")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the measurements to this file")
    parser.add_argument("--start", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.start:
        print(json.dumps(started(args.start)))
        return
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as work:
        for case in args.cases or ["evaluation", "start"]:
            measure = evaluation if case == "evaluation" else start
            report[case] = measure(Path(work), args)
    for case, figures in report.items():
        print(f"{case}: " + ", ".join(f"{name} {value}" for name, value in figures.items()))
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n")


def evaluation(work: Path, args: argparse.Namespace) -> dict[str, Any]:
    import torch

    from df2_landmarks.engine import Trainer, setup_config

    cases.drawn_data(work, num_images=1, num_validation=args.pictures)
    cfg = setup_config(CONFIG, on_cpu=True)
    torch.manual_seed(0)
    weights = work / "model.pth"
    torch.save({"model": Trainer.build_model(cfg).state_dict()}, weights)
    seconds: dict[int, list[float]] = {1: [], 2: []}
    results = set()
    for _ in range(args.repeats):
        for number, runs in seconds.items():
            output = work / f"out{number}"
            command: list[str | Path] = [sys.executable]
            if number > 1:
                command += ["-m", "torch.distributed.run", "--standalone"]
                command += ["--nproc-per-node", str(number)]
            command += [TRAIN_NET, "--eval-only", "--num-gpus", "0", "--config-file", CONFIG]
            command += ["OUTPUT_DIR", output, "MODEL.WEIGHTS", weights, "DATALOADER.NUM_WORKERS"]
            command += ["0", "TEST.NUM_PICTURES", "0"]
            environ = {**os.environ, "DETECTRON2_DATASETS": str(work), "OMP_NUM_THREADS": "1"}
            done = subprocess.run(
                command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True
            )
            (total,) = re.findall(r"Total inference time: (\d+):(\d+):([\d.]+)", done.stdout)
            hours, minutes, rest = map(float, total)
            runs.append(3600 * hours + 60 * minutes + rest)
            results.add((output / "landmark_results.json").read_bytes())
    one, two = (statistics.median(runs) for runs in seconds.values())
    return {
        "1 process s": round(one, 2),
        "2 processes s": round(two, 2),
        "times as fast": round(one / two, 2),
        "same results": len(results) == 1,
    }


def start(work: Path, args: argparse.Namespace) -> dict[str, Any]:
    path = make_coco(work, "train", args.images)
    runs = []
    for _ in range(args.repeats + 1):
        command = [sys.executable, __file__, "--start", str(path)]
        began = time.perf_counter()
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds = time.perf_counter() - began
        runs.append({**json.loads(done.stdout.splitlines()[-1]), "seconds": seconds})
    # the first one builds the cache
    medians = {key: round(statistics.median(r[key] for r in runs[1:]), 2) for key in runs[0]}
    return {"images": args.images, "seconds that build the cache": runs[0]["seconds"], **medians}


def started(path: Path) -> dict[str, float]:
    """Go from the start of a process to its training loader."""
    from df2_landmarks.data import register_landmark_dataset
    from df2_landmarks.engine import Trainer, setup_config

    register_landmark_dataset("start", path, path.parent)
    options = ["DATASETS.TRAIN", "('start',)", "DATALOADER.ASPECT_RATIO_GROUPING", "False"]
    imported_mb = private_mb()
    Trainer.build_train_loader(setup_config(CONFIG, options, on_cpu=True))
    return {"private MB": private_mb(), "of these for the data MB": private_mb() - imported_mb}


if __name__ == "__main__":
    main()
