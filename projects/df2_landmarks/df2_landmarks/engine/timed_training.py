"""Training that ends after a given time with its learning rate annealed."""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass

from detectron2.config import CfgNode
from detectron2.engine import HookBase
from detectron2.engine.hooks import EvalHook
from detectron2.utils.events import EventStorage, EventWriter, JSONWriter

from df2_landmarks.engine.progress import ProgressLine
from df2_landmarks.engine.trainer import Trainer


@dataclass(frozen=True)
class TimedRun:
    """What a timed training did."""

    iterations: int
    minutes: float


def train_within(cfg: CfgNode, minutes: float) -> TimedRun:
    """Train from `cfg.MODEL.WEIGHTS` for SOLVER.MAX_ITER iterations or `minutes`, what ends first.

    The learning rate falls along a half cosine to zero at that end, after SOLVER.WARMUP_ITERS
    iterations of linear warm-up, so that a slower machine gives a shorter but complete training.
    """
    trainer = TimedTrainer(cfg, seconds=60 * minutes)
    trainer.resume_or_load(resume=False)
    return trainer.train()


class TimedTrainer(Trainer):
    """`Trainer` with an end in time, and its progress on one line."""

    def __init__(self, cfg: CfgNode, *, seconds: float) -> None:
        """
        Args:
            cfg: frozen configuration.
            seconds: budget, counted from here.
        """
        self.started = time.perf_counter()
        self.budget = seconds
        super().__init__(cfg)
        self.register_hooks([_Annealing()])

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.started

    @property
    def share_done(self) -> float:
        """Share of the training that is behind, 0..1, by iterations or by time."""
        return min(1.0, max(self.iter / self.max_iter, self.elapsed / self.budget))

    def build_hooks(self) -> list[HookBase]:
        """The stock hooks without the evaluation at the end, which does not count as training."""
        return [hook for hook in super().build_hooks() if not isinstance(hook, EvalHook)]

    def build_writers(self) -> list[EventWriter]:
        deadline = self.started + self.budget
        return [
            ProgressLine(self.max_iter, deadline=deadline, stream=sys.stdout),
            JSONWriter(f"{self.cfg.OUTPUT_DIR}/metrics.json"),
        ]

    def train(self) -> TimedRun:
        """Train to the end and save ``model_final``.

        Detectron2's own loop knows its number of iterations beforehand, and this one does not.
        """
        self.iter = self.start_iter
        with EventStorage(self.start_iter) as self.storage:
            try:
                self.before_train()
                while self.share_done < 1:
                    self.before_step()
                    self.run_step()
                    self.after_step()
                    self.iter += 1
            finally:
                self.after_train()
        self.checkpointer.save("model_final")
        return TimedRun(self.iter, self.elapsed / 60)


class _Annealing(HookBase):
    """Sets the learning rate; registered behind the hook of the config's own schedule."""

    trainer: TimedTrainer

    def before_step(self) -> None:
        warm_up = min(1.0, (self.trainer.iter + 1) / max(1, self.trainer.cfg.SOLVER.WARMUP_ITERS))
        factor = warm_up * 0.5 * (1 + math.cos(math.pi * self.trainer.share_done))
        for group in self.trainer.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor
