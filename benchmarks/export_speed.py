"""Exported models beside the model that they came from, on a CPU: seconds, start-up, memory, size.

    python benchmarks/export_speed.py --weights output/demo
    python benchmarks/export_speed.py --config df2_landmark_rcnn_R_50_FPN_1x.yaml \\
        --opts INPUT.MIN_SIZE_TEST 608 INPUT.MAX_SIZE_TEST 800

With --config the weights are random, and so made that as many garments are found as in a full
picture (--garments). Every runner is a process of its own, once for each number of threads; a
picture is measured as a whole, from its pixels to its garments. Runners that are not installed are
left out.
"""

from __future__ import annotations

import argparse
import importlib.util
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

import numpy as np
from numpy.typing import NDArray

THREADS = (1, 2)
RUNNERS = (
    "eager float32",
    "eager bfloat16",
    "onnxruntime",
    "openvino float32",
    "openvino bfloat16",
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=Path, help="checkpoint, or output folder of a training")
    parser.add_argument("--config", help="name or path of a YAML, for random weights")
    parser.add_argument("--opts", nargs="*", default=[], metavar="KEY VALUE")
    parser.add_argument("--threads", type=int, nargs="+", default=THREADS)
    parser.add_argument("--runners", nargs="+", choices=RUNNERS, default=RUNNERS)
    parser.add_argument("--garments", type=int, default=5, help="in a picture, with --config")
    parser.add_argument("--repeat", type=int, default=5, help="times each of the 4 pictures")
    parser.add_argument("--measure", nargs=2, metavar=("RUNNER", "FILE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        runner, file = args.measure
        print(json.dumps(measure(runner, file, args.repeat)))
        return
    if (args.weights is None) == (args.config is None):
        parser.error("give either --weights or --config")
    with tempfile.TemporaryDirectory() as folder:
        weights = write_weights(args, Path(folder, "model.pth"))
        exported = Path(folder, "model.onnx")
        export(weights, exported)
        print(f"model.onnx: {exported.stat().st_size / 1e6:.0f} MB")
        compare(args, weights, exported)
        print_parts(weights)


def write_weights(args: argparse.Namespace, file: Path) -> Path:
    """Write a checkpoint with its configuration: that of --weights, or random weights."""
    import torch
    from detectron2.modeling import build_model

    from df2_landmarks.engine import setup_config
    from df2_landmarks.formats import RECORD_KEY, model_record
    from df2_landmarks.predict import load_model
    from df2_landmarks.taxonomy import taxonomy_of

    if args.weights:
        trained: Any = load_model(args.weights, opts=args.opts, device="cpu")
        cfg, model = trained.cfg, trained.model
    else:
        opts = ["MODEL.WEIGHTS", "", "TEST.DETECTIONS_PER_IMAGE", str(args.garments), *args.opts]
        cfg = setup_config(args.config, opts, on_cpu=True)
        torch.manual_seed(0)
        model = build_model(cfg)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name.endswith("conv3.weight"):  # else the residuals add up to infinity
                    parameter *= 0.1
            predictor = model.roi_heads.box_predictor
            predictor.cls_score.weight *= 2
            predictor.cls_score.bias[-1] = 2.0  # most proposals are background
    record = model_record(cfg.dump(), taxonomy_of(cfg))
    torch.save({"model": model.state_dict(), RECORD_KEY: record}, file)
    return file


def export(weights: Path, file: Path) -> None:
    from df2_landmarks.export import export_model

    export_model(weights, file, report=lambda parity: print(parity.text()))


def compare(args: argparse.Namespace, weights: Path, exported: Path) -> None:
    """Print a line for each runner and number of threads."""
    print(f"{'runner':<20} threads  ms/picture  garments  start-up s  peak memory MB")
    for threads in args.threads:
        for runner in args.runners:
            package = runner.split()[0]
            if package != "eager" and importlib.util.find_spec(package) is None:
                continue
            file = weights if package == "eager" else exported
            done = subprocess.run(
                [sys.executable, __file__, "--measure", runner, str(file)]
                + ["--repeat", str(args.repeat)],
                env={**os.environ, "OMP_NUM_THREADS": str(threads)},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                print(f"{runner:<20} {threads:>7}  failed: {done.stderr.strip()[-200:]}")
                continue
            line = json.loads(done.stdout.splitlines()[-1])
            print(
                f"{runner:<20} {threads:>7}  {line['ms']:>10.1f}  {line['garments']:>8}"
                f"  {line['start']:>10.2f}  {line['memory_mb']:>14.0f}",
                flush=True,
            )


def pictures() -> list[NDArray[np.uint8]]:
    """Return 4 drawn pictures, (800, 600, 3) RGB."""
    import cv2

    from df2_landmarks.synthetic import MODERATE, Recipe, draw_picture

    recipe = Recipe(size_px=320, difficulty=MODERATE)
    drawn = [draw_picture(recipe, "validation", index).image for index in range(4)]
    return [np.ascontiguousarray(cv2.resize(image, (600, 800))[:, :, ::-1]) for image in drawn]


def measure(runner: str, file: str, repeat: int) -> dict[str, float]:
    """Return what a runner needs for a picture, in this process."""
    images = pictures()
    start = time.perf_counter()
    predictor = load(runner, file)
    predictor(images[0], channels="RGB")
    start_s = time.perf_counter() - start
    found = sum(len(predictor(image, channels="RGB")) for image in images)  # warms up, too
    seconds = []
    for _ in range(repeat):
        for image in images:
            start = time.perf_counter()
            predictor(image, channels="RGB")
            seconds.append(time.perf_counter() - start)
    return {
        "ms": 1000 * statistics.median(seconds),
        "garments": found,
        "start": start_s,
        "memory_mb": peak_memory_mb(),
    }


def peak_memory_mb() -> float:
    """Return the most memory that this process has held; that of getrusage may be its parent's."""
    match = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(match[1]) / 1024 if match else float("nan")


def load(runner: str, file: str) -> Any:
    from df2_landmarks import Predictor
    from df2_landmarks.predict import load_exported

    package, _, precision = runner.partition(" ")
    half = precision == "bfloat16"
    if package == "openvino":
        sys.modules["onnxruntime"] = None  # type: ignore[assignment]
        return Predictor(load_exported(Path(file), ".onnx", half=half), min_score=0.0)
    return Predictor.load(file, min_score=0.0, half=half, device="cpu")


def print_parts(weights: Path) -> None:
    """Print where the time goes in the model, in float32."""
    import torch

    from df2_landmarks.export import TraceableRCNN
    from df2_landmarks.predict import load_model

    torch.set_num_threads(1)
    model: Any = load_model(weights, device="cpu")
    traceable = TraceableRCNN(model.model)
    image = model.prepare(pictures()[0]).data.permute(1, 2, 0).contiguous()
    seconds: dict[str, list[float]] = {}

    def timed(owner: Any, name: str, part: str) -> None:
        function: Callable[..., Any] = getattr(owner, name)

        def call(*arguments: Any) -> Any:
            start = time.perf_counter()
            result = function(*arguments)
            seconds.setdefault(part, []).append(time.perf_counter() - start)
            return result

        setattr(owner, name, call)

    timed(traceable.model.backbone, "forward", "backbone and FPN")
    timed(traceable, "_proposals", "proposals")
    timed(traceable, "_boxes", "boxes")
    timed(traceable.model.roi_heads.keypoint_head, "predict_for_export", "landmarks")
    if traceable.has_masks:
        timed(traceable, "_masks", "masks")
    timed(traceable, "forward", "all")
    with torch.inference_mode():
        for _ in range(6):
            traceable(image, torch.tensor(0.0))
    print("\nparts of the model, eager float32, 1 thread, ms per picture")
    for part, values in seconds.items():
        print(f"{part:<20} {1000 * statistics.median(values[1:]):8.1f}")


if __name__ == "__main__":
    main()
