"""Where the time of a training step goes: waiting, each part of the model, the optimizer.

    python benchmarks/training/step_profile.py              # the demo's recipe, on the drawn data
    python benchmarks/training/step_profile.py --config df2_landmark_rcnn_R_18_FPN_demo.yaml
    python benchmarks/training/step_profile.py --device cuda --opts SOLVER.AMP.ENABLED True

Needs the drawn data (`make synth`). Medians over the steps after the first `--skip`, which meet the
shapes of pictures for the first time. "Loader alone" is a batch made by this process while it does
nothing else: with workers, a step waits only for what they could not make beside it. The shares of
the operators are of the processor's time on a CPU and of the GPU's on a GPU, over ten more steps.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.landmark_accuracy import DEMO, use_drawn_data

NUM_PROFILED = 10
NUM_OPERATORS = 8
PARTS = {  # of the forward pass, each a module; their parts are not listed again
    "backbone": "backbone",
    "proposals": "proposal_generator",
    "box head": "roi_heads.box_pooler roi_heads.box_head roi_heads.box_predictor",
    "mask head": "roi_heads.mask_pooler roi_heads.mask_head",
    "landmark head": "roi_heads.keypoint_pooler roi_heads.keypoint_head",
}


class Clock:
    """Seconds by name, of one step after the other."""

    def __init__(self, on_gpu: bool) -> None:
        self._on_gpu = on_gpu
        self._started: dict[str, float] = {}
        self._step: dict[str, float] = defaultdict(float)
        self.steps: list[dict[str, float]] = []

    def now(self) -> float:
        if self._on_gpu:
            torch.cuda.synchronize()
        return time.perf_counter()

    def start(self, name: str) -> None:
        self._started[name] = self.now()

    def end(self, name: str) -> None:
        self._step[name] += self.now() - self._started[name]

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        self.start(name)
        yield
        self.end(name)

    def end_step(self, waited: float) -> None:
        self.steps.append({**self._step, "wait for the loader": waited})
        self._step.clear()

    def watch(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def measured(*args: Any, **kwargs: Any) -> Any:
            with self.measure(name):
                return call(*args, **kwargs)

        return measured


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", default=DEMO, help="the recipe: a file, or one of the project")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--skip", type=int, default=20)
    parser.add_argument("--opts", nargs="*", default=[], metavar="KEY VALUE", help="of the config")
    parser.add_argument("--json", type=Path, help="write the measurements to this file")
    args = parser.parse_args()
    use_drawn_data()
    with tempfile.TemporaryDirectory() as output:
        report = profile(args, output)
    whole = report["step_s"]
    print("| part of a step | ms | share |\n|---|---|---|")
    for name, seconds in [*report["parts"].items(), ("all of it", whole)]:
        print(f"| {name} | {1000 * seconds:.0f} | {seconds / whole:.0%} |")
    print(f"\nLoader alone: {1000 * report['loader_s']:.0f} ms per batch")
    print("Operators: " + ", ".join(f"{k} {v:.0%}" for k, v in report["operators"].items()))
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n")


def profile(args: argparse.Namespace, output: str) -> dict[str, Any]:
    """Run the training's own steps and return medians in seconds, and shares of operators."""
    from detectron2.utils.events import EventStorage

    from df2_landmarks.engine import Trainer, setup_config

    options = ["OUTPUT_DIR", output, "SEED", "1", "TEST.EVAL_PERIOD", "0", *args.opts]
    cfg = setup_config(args.config, options, on_cpu=args.device == "cpu")
    trainer = Trainer(cfg)
    trainer.resume_or_load(resume=False)
    clock = Clock(args.device == "cuda")
    watch_parts(trainer.model, clock)
    optimizer = trainer.optimizer
    optimizer.register_step_pre_hook(lambda *_: clock.start("optimizer"))
    optimizer.register_step_post_hook(lambda *_: clock.end("optimizer"))
    with EventStorage() as trainer.storage:

        def step() -> None:
            trainer.before_step()
            trainer.run_step()
            trainer.after_step()
            trainer.iter += 1

        trainer.iter = 0
        trainer.before_train()
        for _ in range(args.steps):
            with clock.measure("step"):
                step()
            clock.end_step(trainer.storage.latest()["data_time"][0])
        operators = operator_shares(step, on_gpu=args.device == "cuda")
    steps = clock.steps[args.skip :]
    parts = {name: statistics.median(step.get(name, 0.0) for step in steps) for name in steps[0]}
    whole, forward = parts.pop("step"), parts.pop("forward")
    parts["forward pass, the rest of it"] = forward - sum(parts[name] for name in PARTS)
    parts["backward pass and the rest"] = whole - sum(parts.values())
    return {
        "step_s": whole,
        "parts": parts,
        "loader_s": loader_seconds(cfg, args.steps - args.skip),
        "operators": operators,
    }


def watch_parts(model: nn.Module, clock: Clock) -> None:
    model.forward = clock.watch("forward", model.forward)
    for name, paths in PARTS.items():
        for path in paths.split():
            module = model.get_submodule(path)
            module.forward = clock.watch(name, module.forward)


def operator_shares(step: Callable[[], None], *, on_gpu: bool) -> dict[str, float]:
    """Return the operators that take the most time themselves, and their shares of all of it."""
    from torch.profiler import ProfilerActivity

    activities = [ProfilerActivity.CUDA] if on_gpu else [ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities) as profiler:
        for _ in range(NUM_PROFILED):
            step()
    field = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    times = {event.key: getattr(event, field) for event in profiler.key_averages()}
    whole = sum(times.values())
    return {
        name.removeprefix("aten::"): time / whole
        for name, time in sorted(times.items(), key=lambda item: -item[1])[:NUM_OPERATORS]
    }


def loader_seconds(cfg: Any, num_batches: int) -> float:
    """Return the median seconds of a batch that this process makes itself."""
    from df2_landmarks.engine import Trainer

    cfg = cfg.clone()
    cfg.defrost()
    cfg.DATALOADER.NUM_WORKERS = 0
    batches = iter(Trainer.build_train_loader(cfg))
    times = []
    for _ in itertools.repeat(None, num_batches):
        started = time.perf_counter()
        next(batches)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


if __name__ == "__main__":
    main()
