"""What this project does on a GPU: one command of at most 9 minutes.

    python benchmarks/gpu.py                          # all parts; table, and gpu.json
    python benchmarks/gpu.py --parts training loader  # some
    python benchmarks/gpu.py --miniature              # small, on a CPU: does it still run?

Parts:

* tests: those of the project that need a GPU;
* training: images per second and peak memory of a whole step of R-50 at a short side of 800, with
  our head and with the stock head of all channels; the share of the time outside the backbone, and
  of the time in which the GPU computes; how often a step makes the host wait for the GPU, as torch
  reports it (`set_sync_debug_mode`);
* inference: images per second with 100 given detections in each image;
* loader: images per second that the training's loader gives by itself; then trainings with their
  loader, in mixed precision on a GPU, and the share of their time in which they wait for it;
* head: some cases of `head_speed.py --device cuda`.

Times are medians, each measurement in a process of its own, on drawn pictures. A part that does
not fit into the time that is left is left out, and named.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from detectron2.config import CfgNode
from detectron2.utils.events import EventStorage

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import head_cases as cases
from benchmarks.head_speed import NAIVE, OURS, peak_mb, timed

ROOT = Path(__file__).resolve().parents[1]
PRECISIONS = {"float32": None, "float16": torch.float16, "bfloat16": torch.bfloat16}
"""SOLVER.AMP of Detectron2 is float16."""
HEAD_CASES = ("loss_256", "head_64", "decoding", "inference")
"""Of `head_speed.py`."""
Row = dict[str, Any]


class Size(NamedTuple):
    """How much is measured.

    Attributes:
        short_side: of the images, in pixels.
        batches: images in a batch.
        precisions: of the model.
        num_passes: timed.
        num_detections: in an image.
        workers: processes of the loader.
        num_loaded: images that the loader gives while it is timed.
        size_px: of the drawn pictures.
    """

    short_side: int = 800
    batches: tuple[int, ...] = (2, 8)
    precisions: tuple[str, ...] = tuple(PRECISIONS)
    num_passes: int = 10
    num_detections: int = cases.NUM_DETECTIONS
    workers: tuple[int, ...] = (1, 2, 4, 8, 16)
    num_loaded: int = 400
    size_px: int = 750


MINIATURE = Size(64, (1,), ("bfloat16",), 1, 3, (1,), 8, 96)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--minutes", type=float, default=9.0, help="stop after this time")
    parser.add_argument("--json", type=Path, default=Path("gpu.json"), help="the measurements")
    parser.add_argument("--miniature", action="store_true", help="small sizes, on the CPU")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    device, size = ("cpu", MINIATURE) if args.miniature else ("cuda", Size())
    if device == "cuda" and not torch.cuda.is_available():
        parser.error("this machine has no GPU that torch can use (--miniature runs on a CPU)")
    if args.measure:
        part, spec, datasets = args.measure
        cases.use_datasets(datasets)
        print(json.dumps(MEASUREMENTS[part](device, size, **json.loads(spec))))
        return
    deadline = time.monotonic() + 60 * args.minutes
    with tempfile.TemporaryDirectory() as datasets:
        cases.drawn_data(Path(datasets), num_images=16, size_px=size.size_px)
        run = Run(args.miniature, datasets, deadline)
        rows = {part: PARTS[part](run, size) for part in args.parts}
    report = {"machine": machine(device), "size": size._asdict(), "parts": rows}
    args.json.write_text(json.dumps(report, indent=1) + "\n")
    print(text(report))
    if any(row.get("failed") for part in rows.values() for row in part):
        sys.exit(1)


class Run:
    """Starts measurements in processes of their own, as long as there is time."""

    def __init__(self, miniature: bool, datasets: str, deadline: float) -> None:
        self._flags = ["--miniature"] if miniature else []
        self.datasets = datasets
        self._deadline = deadline

    def __call__(self, part: str, **spec: Any) -> list[Row]:
        """Return the rows of one measurement; one that says why where there are none."""
        command = [sys.executable, __file__, *self._flags]
        command += ["--measure", part, json.dumps(spec), self.datasets]
        output = self.output(command)
        if isinstance(output, dict):
            return [{**spec, **output}]
        return [{**spec, **row} for row in json.loads(output.splitlines()[-1])]

    def output(self, command: list[str], *, may_fail: bool = False) -> str | Row:
        """Return what a command prints, or the row that says why it did not."""
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            return {"left out": "no time left"}
        started = time.monotonic()
        try:
            done = subprocess.run(
                command, cwd=ROOT, capture_output=True, text=True, timeout=left_s, check=False
            )
        except subprocess.TimeoutExpired:
            return {"left out": f"not done in {left_s:.0f} s"}
        print(f"{time.monotonic() - started:5.0f} s  {' '.join(command[1:])}", file=sys.stderr)
        if done.returncode and not may_fail:
            print(done.stderr[-4000:], file=sys.stderr)
            return {"failed": (done.stderr.strip().splitlines() or ["no output"])[-1]}
        return done.stdout


def run_tests(run: Run, size: Size) -> list[Row]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/engine/test_gpu.py"]
    output = run.output(command, may_fail=True)
    if isinstance(output, dict):
        return [output]
    summary = output.strip().splitlines()[-1]
    if "failed" in summary or "error" in summary:
        print(output[-6000:], file=sys.stderr)
        return [{"failed": summary}]
    return [{"tests": summary}]


def run_contenders(run: Run, size: Size, *, part: str) -> list[Row]:
    """Both heads in each precision."""
    return [
        row
        for precision in size.precisions
        for contender in (OURS, NAIVE)
        for row in run(part, contender=contender, precision=precision)
    ]


def run_loader(run: Run, size: Size) -> list[Row]:
    available = len(os.sched_getaffinity(0))
    numbers = [n for n in size.workers if n <= available]
    rows = [row for n in numbers for row in run("loader", workers=n)]
    return rows + [row for n in numbers[-2:] for row in run("trainer", workers=n)]


def run_head(run: Run, size: Size) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "head.json")
        command = [sys.executable, "benchmarks/head_speed.py", "--device", "cuda", "--repeats", "1"]
        output = run.output([*command, "--json", str(file), "--cases", *HEAD_CASES])
        if isinstance(output, dict):
            return [output]
        rows = json.loads(file.read_text())["rows"].values()
    return [
        {
            "case": f"{row['what']}, against {row['rival']}",
            "ours s": row[OURS]["seconds"],
            "rival s": row[row["rival"]]["seconds"],
            "times as fast": row["times as fast"],
            "ours MB": row[OURS]["growth_mb"],
            "rival MB": row[row["rival"]]["growth_mb"],
        }
        for row in rows
    ]


PARTS: dict[str, Callable[[Run, Size], list[Row]]] = {
    "tests": run_tests,
    "training": functools.partial(run_contenders, part="training"),
    "inference": functools.partial(run_contenders, part="inference"),
    "loader": run_loader,
    "head": run_head,
}


def measure_training(device: str, size: Size, contender: str, precision: str) -> list[Row]:
    opts = ["INPUT.MIN_SIZE_TRAIN", (size.short_side,)]
    case = functools.partial(
        cases.training_step, contender, device, precision=PRECISIONS[precision], opts=opts
    )
    rows = []
    for whole, row in measure_batches(device, size, case):
        if device == "cuda":
            row["GPU busy"] = 1000 * busy_seconds(whole) / row["ms"]
            waits = host_waits(whole)
            row["waits"] = sum(waits.values())
            row["waits by line"] = waits.most_common()
        rows.append(row)
    return rows


def measure_inference(device: str, size: Size, contender: str, precision: str) -> list[Row]:
    case = functools.partial(
        cases.end_to_end,
        contender,
        device,
        precision=PRECISIONS[precision],
        num_detections=size.num_detections,
        image_size=(size.short_side, size.short_side * 4 // 3),
    )
    return [row for _, row in measure_batches(device, size, case)]


def measure_batches(
    device: str, size: Size, case: Callable[..., tuple[cases.Pass, cases.Pass]]
) -> Iterator[tuple[cases.Pass, Row]]:
    """Yield the pass of each size of batch and its speed, beside that of its backbone alone."""
    for num_images in size.batches:
        whole, backbone = (
            case(part=part, num_images=num_images)[1] for part in ("all", "backbone")
        )
        backbone_s = median_seconds(backbone, device, size)
        forget_peak(device)
        seconds = median_seconds(whole, device, size)
        yield whole, {**speed(num_images, seconds, backbone_s), "peak MB": peak_mb(device)}


def measure_loader(device: str, size: Size, workers: int) -> list[Row]:
    from df2_landmarks.engine import Trainer

    batches = iter(Trainer.build_train_loader(loader_config(device, size, workers)))
    for _ in range(2 * workers + 1):  # what the processes have loaded ahead
        next(batches)
    num_batches = max(1, size.num_loaded // size.batches[-1])
    started = time.perf_counter()
    for _ in range(num_batches):
        next(batches)
    seconds = time.perf_counter() - started
    return [{"what": "loader", "images/s": num_batches * size.batches[-1] / seconds}]


def measure_trainer(device: str, size: Size, workers: int) -> list[Row]:
    from df2_landmarks.engine import Trainer

    num_batches = max(1, size.num_loaded // size.batches[-1])
    with tempfile.TemporaryDirectory() as folder, EventStorage() as storage:
        opts = ["OUTPUT_DIR", folder, "SOLVER.AMP.ENABLED", device == "cuda"]
        trainer = Trainer(loader_config(device, size, workers, *opts))
        for step in range(2 * workers + 1 + num_batches):
            if step == 2 * workers + 1:
                started = time.perf_counter()
            trainer.iter = step
            trainer.run_step()
            storage.step()
        seconds = time.perf_counter() - started
    waited = sum(value for value, _ in storage.history("data_time").values()[-num_batches:])
    images_per_s = num_batches * size.batches[-1] / seconds
    return [{"what": "training", "images/s": images_per_s, "waits for data": waited / seconds}]


def loader_config(device: str, size: Size, workers: int, *opts: Any) -> CfgNode:
    import df2_landmarks.data  # noqa: F401 (registers the splits)

    opts += ("INPUT.MIN_SIZE_TRAIN", (size.short_side,), "DATALOADER.NUM_WORKERS", workers)
    opts += ("SOLVER.IMS_PER_BATCH", size.batches[-1], "SOLVER.REFERENCE_WORLD_SIZE", 0)
    return cases.model_config(OURS, device, cases.R_50, train=True, opts=opts)


MEASUREMENTS: dict[str, Callable[..., list[Row]]] = {
    "training": measure_training,
    "inference": measure_inference,
    "loader": measure_loader,
    "trainer": measure_trainer,
}


def median_seconds(run: cases.Pass, device: str, size: Size) -> float:
    for _ in range(min(3, size.num_passes)):
        run()
    return statistics.median(timed(run, device) for _ in range(size.num_passes))


def speed(num_images: int, seconds: float, backbone_s: float) -> Row:
    return {
        "images": num_images,
        "ms": 1000 * seconds,
        "images/s": num_images / seconds,
        "outside backbone": 1 - backbone_s / seconds,
    }


def forget_peak(device: str) -> None:
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()


def busy_seconds(run: cases.Pass) -> float:
    """Time in which the GPU computes or copies in one pass."""
    torch.cuda.synchronize()
    with torch.profiler.profile() as profile:
        run()
        torch.cuda.synchronize()
    on_gpu = torch.autograd.DeviceType.CUDA
    events = (e for e in profile.key_averages() if e.device_type == on_gpu)
    return sum(e.self_device_time_total for e in events) / 1e6


def host_waits(run: cases.Pass) -> Counter[str]:
    """Lines of Python in which the host waits for the GPU, and how often in one pass."""
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("warn")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run()
    torch.cuda.set_sync_debug_mode("default")
    return Counter(
        f"{'/'.join(Path(w.filename).parts[-2:])}:{w.lineno}"
        for w in caught
        if "synchronizing CUDA operation" in str(w.message)
    )


def machine(device: str) -> Row:
    import detectron2

    about = {
        "device": "cpu",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "detectron2": detectron2.__version__,
        "processors": len(os.sched_getaffinity(0)),
    }
    if device == "cuda":
        command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        driver = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        about |= {
            "device": torch.cuda.get_device_name(),
            "memory GiB": round(torch.cuda.get_device_properties(0).total_memory / 2**30, 1),
            "cuda": torch.version.cuda,
            "driver": driver.split("\n")[0],
        }
    return about


def text(report: Row) -> str:
    """Markdown: a table per part."""
    blocks = [", ".join(f"{key} {value}" for key, value in report["machine"].items())]
    for part, rows in report["parts"].items():
        columns = [c for c in dict.fromkeys(c for row in rows for c in row) if c != "waits by line"]
        lines = [f"**{part}**", "", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
        lines += [f"| {' | '.join(cell(row.get(c)) for c in columns)} |" for row in rows]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
