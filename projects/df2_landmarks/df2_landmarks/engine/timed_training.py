"""Training that fits its number of iterations to a time budget."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from detectron2.config import CfgNode
from detectron2.utils.events import EventStorage, EventWriter, JSONWriter

from df2_landmarks.engine.progress import ProgressLine
from df2_landmarks.engine.trainer import Trainer

logger = logging.getLogger(__name__)

WARM_UP_ITERATIONS, TIMED_ITERATIONS = 4, 16
USED_SHARE = 0.9
"""Share of the budget that is planned for: checkpoints are written, and machines get slower."""


@dataclass(frozen=True)
class TimedRun:
    """What a timed training did."""

    iterations: int
    minutes: float


class LineTrainer(Trainer):
    """`Trainer` that shows its progress on one line; metrics go to a JSON file all the same."""

    def build_writers(self) -> list[EventWriter]:
        return [
            ProgressLine(self.max_iter, stream=sys.stdout),
            JSONWriter(f"{self.cfg.OUTPUT_DIR}/metrics.json"),
        ]


def train_within(
    cfg: CfgNode, minutes: float, *, announce: Callable[[str], None] = logger.info
) -> TimedRun:
    """Train from `cfg.MODEL.WEIGHTS` for SOLVER.MAX_ITER iterations, or fewer to keep a budget.

    The speed is measured first, so that the learning-rate schedule comes to its end either way.

    Args:
        cfg: frozen configuration.
        minutes: budget, the measuring included.
        announce: gets a line with the number of iterations and their expected duration.
    """
    started = time.perf_counter()
    cfg = cfg.clone()
    cfg.defrost()
    seconds = seconds_per_iteration(cfg)
    left = 60 * minutes * USED_SHARE - (time.perf_counter() - started)
    cfg.SOLVER.MAX_ITER = min(cfg.SOLVER.MAX_ITER, max(1, int(left / seconds)))
    cfg.SOLVER.WARMUP_ITERS = min(cfg.SOLVER.WARMUP_ITERS, cfg.SOLVER.MAX_ITER // 2)
    cfg.freeze()
    announce(
        f"  {seconds:.2f} s/iteration here: {cfg.SOLVER.MAX_ITER} iterations in about "
        f"{seconds * cfg.SOLVER.MAX_ITER / 60:.1f} minutes"
    )
    trainer = LineTrainer(cfg)
    trainer.resume_or_load(resume=False)
    trainer.train()
    return TimedRun(cfg.SOLVER.MAX_ITER, (time.perf_counter() - started) / 60)


def seconds_per_iteration(cfg: CfgNode) -> float:
    """Mean duration of a training iteration of a model that is thrown away afterwards."""
    generator_state = torch.get_rng_state()
    trainer = LineTrainer(cfg)
    trainer.model.train()
    with EventStorage() as storage:
        # both attributes are what the trainer's hooks expect during training
        trainer._trainer.storage = trainer.storage = storage
        for iteration in range(WARM_UP_ITERATIONS + TIMED_ITERATIONS):
            if iteration == WARM_UP_ITERATIONS:
                started = time.perf_counter()
            trainer._trainer.iter = iteration
            trainer._trainer.run_step()
            storage.step()
    torch.set_rng_state(generator_state)
    return (time.perf_counter() - started) / TIMED_ITERATIONS
