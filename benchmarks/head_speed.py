"""Time and memory of the landmark head beside the naive way: a stock head with all channels.

    python benchmarks/head_speed.py                    # everything, medians of 5
    python benchmarks/head_speed.py --cases decoding inference --repeats 1
    python benchmarks/head_speed.py --device cuda      # the same on a GPU; whole models: gpu.py

The contenders of a case run in turns, each pass in a process of its own, on as many threads as
OMP_NUM_THREADS says. Growth is the peak of memory in the first pass less what the process held
before it (inputs and weights): resident memory on a CPU, `max_memory_allocated` on a GPU. The time
is that of a later pass, on a CPU that of the first one if it takes over `LONG_S`.
"""

from __future__ import annotations

import argparse
import ctypes
import functools
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import head_cases as cases

LONG_S = 5.0
NUM_GPU_PASSES = 10
NAIVE, STOCK, NO_VISIBILITY, OURS = "naive", "stock", "no_visibility", "ours"

# case -> (what is compared, rival, builder)
Case = tuple[str, str, Callable[..., tuple[cases.Pass, cases.Pass]]]
CASES: dict[str, Case] = {
    **{
        f"loss_{n}{name}": (
            f"predictor + loss, {n} regions, {text}",
            NAIVE,
            functools.partial(cases.predictor_loss, num_regions=n, labelled=share),
        )
        for n in (256, 64)
        for name, text, share in (
            ("", "all labelled", 1.0),
            ("_drawn", "labelled as drawn data", cases.DRAWN_LABELLED),
        )
    },
    "head_64": (
        "whole head with trunk, 64 regions",
        NAIVE,
        functools.partial(cases.head_step, num_regions=64),
    ),
    "decoding": (
        f"decoding by expected OKS, {cases.NUM_DETECTIONS} regions",
        STOCK,
        cases.decoding,
    ),
    "inference": (
        f"predictor + decoding, {cases.NUM_DETECTIONS} regions",
        NAIVE,
        cases.inference,
    ),
    "step_R18": (
        "training step, R-18 demo config",
        NAIVE,
        functools.partial(cases.training_step, config=cases.R_18),
    ),
    "visibility_loss": (
        "predictor + loss, 256 regions, all labelled",
        NO_VISIBILITY,
        functools.partial(cases.predictor_loss, num_regions=256),
    ),
    "visibility_inference": (
        f"predictor + decoding, {cases.NUM_DETECTIONS} regions",
        NO_VISIBILITY,
        cases.inference,
    ),
    "visibility_step_R18": (
        "training step, R-18 demo config",
        NO_VISIBILITY,
        functools.partial(cases.training_step, config=cases.R_18),
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", nargs="+", choices=list(CASES), metavar="CASE")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--json", type=Path, help="write the measurements to this file")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: this machine has no GPU that torch can use")
    if args.measure:
        name, contender, datasets = args.measure
        cases.use_datasets(datasets)
        print(json.dumps(measure(name, contender, args.device)))
        return
    names = args.cases or list(CASES)
    with tempfile.TemporaryDirectory() as datasets:
        cases.drawn_data(Path(datasets))
        rows = {name: run_case(name, args, datasets) for name in names}
    report = {
        "device": torch.cuda.get_device_name() if args.device == "cuda" else "cpu",
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "repeats": args.repeats,
        "rows": rows,
    }
    print(table(rows))
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n")


def run_case(name: str, args: argparse.Namespace, datasets: str) -> dict[str, Any]:
    """Both contenders in turns; medians, and all runs."""
    text, rival, _ = CASES[name]
    runs: dict[str, list[dict[str, float]]] = {rival: [], OURS: []}
    for _ in range(args.repeats):
        for contender, done in runs.items():
            command = [sys.executable, __file__, "--device", args.device]
            command += ["--measure", name, contender, datasets]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            done.append(json.loads(output.splitlines()[-1]))
    row: dict[str, Any] = {"what": text, "rival": rival, "runs": runs}
    for contender, done in runs.items():
        row[contender] = {k: statistics.median(run[k] for run in done) for k in done[0]}
    row["times as fast"] = row[rival]["seconds"] / row[OURS]["seconds"]
    row["share of the growth"] = row[OURS]["growth_mb"] / max(row[rival]["growth_mb"], 1e-9)
    return row


def measure(name: str, contender: str, device: str) -> dict[str, float]:
    """One contender in this process."""
    warm_up, run = CASES[name][2](contender, device)
    warm_up()
    before = held_mb(device)
    seconds = [timed(run, device)]
    growth = peak_mb(device) - before
    if device == "cuda":
        seconds = [timed(run, device) for _ in range(NUM_GPU_PASSES)]
    elif seconds[0] < LONG_S:
        seconds = [timed(run, device) for _ in range(3)]
    return {"seconds": statistics.median(seconds), "growth_mb": growth}


def timed(run: cases.Pass, device: str) -> float:
    synchronize(device)
    started = time.perf_counter()
    run()
    synchronize(device)
    return time.perf_counter() - started


def synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def held_mb(device: str) -> float:
    """Memory held now; forgets the peak."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated() / 2**20
    ctypes.CDLL(None).malloc_trim(0)  # what making the inputs has freed is held no more
    Path("/proc/self/clear_refs").write_text("5")
    return _status_mb("VmRSS")


def peak_mb(device: str) -> float:
    """Most memory held since `held_mb`."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return _status_mb("VmHWM")


def _status_mb(field: str) -> float:
    match = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert match, field
    return int(match.group(1)) / 1024


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Markdown."""
    lines = ["| | ours s | rival s | x as fast | ours MB | rival MB | share |", "|---" * 7 + "|"]
    for row in rows.values():
        ours, rival = row[OURS], row[row["rival"]]
        lines.append(
            f"| {row['what']}, against {row['rival']} | {ours['seconds']:.4g} "
            f"| {rival['seconds']:.4g} | {row['times as fast']:.1f} | {ours['growth_mb']:.0f} "
            f"| {rival['growth_mb']:.0f} | {row['share of the growth']:.2f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
