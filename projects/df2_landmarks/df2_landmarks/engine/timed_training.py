"""Training that ends after a given time with its learning rate annealed."""

from __future__ import annotations

import math
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from detectron2.config import CfgNode
from detectron2.engine import HookBase
from detectron2.engine.hooks import EvalHook
from detectron2.utils.events import EventStorage, EventWriter, JSONWriter, get_event_storage

from df2_landmarks.common import atomic_write, progress_bar, say
from df2_landmarks.engine.trainer import Trainer

FEW_ITERATIONS = 500
"""Fewer leave a model of the demo that finds little."""
FIRST_SURE = 20
"""Iterations after which their number in the whole time is clear enough."""


@dataclass(frozen=True)
class TimedRun:
    """What a timed training did."""

    iterations: int
    minutes: float


def train_within(cfg: CfgNode, minutes: float) -> TimedRun:
    """Train from `cfg.MODEL.WEIGHTS` until the time or the iterations are used up.

    The learning rate falls along a half cosine to zero at that end, after SOLVER.WARMUP_ITERS
    iterations of linear warm-up, so that a slower machine gives a shorter but complete training.

    Args:
        cfg: frozen configuration; SOLVER.MAX_ITER is the number of iterations at most.
        minutes: the time at most.

    Raises:
        UserError: the configuration cannot be trained with, or a file cannot be read or written.
    """
    with atomic_write(Path(cfg.OUTPUT_DIR, "config.yaml")) as file:
        file.write(cfg.dump().encode())
    trainer = TimedTrainer(cfg, seconds=60 * minutes)
    trainer.resume_or_load(resume=False)
    return trainer.train()


class TimedTrainer(Trainer):
    """`Trainer` with an end in time and a progress bar."""

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
        """Return the seconds since the start."""
        return time.perf_counter() - self.started

    @property
    def share_done(self) -> float:
        """Return the share of the training that is done, 0..1, by iterations or by time."""
        return min(1.0, max(self.iter / self.max_iter, self.elapsed / self.budget))

    def build_hooks(self) -> list[HookBase]:
        """Return the stock hooks without the evaluation, which would use up the time."""
        return [hook for hook in super().build_hooks() if not isinstance(hook, EvalHook)]

    def build_writers(self) -> list[EventWriter]:
        return [
            Progress(self.max_iter, started=self.started, deadline=self.started + self.budget),
            JSONWriter(f"{self.cfg.OUTPUT_DIR}/metrics.json"),
        ]

    def train(self) -> TimedRun:
        """Train to the end and save ``model_final``.

        Not by Detectron2's own loop, which needs the number of iterations beforehand.
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


class Progress(EventWriter):
    """A writer of iteration, loss, speed and time left.

    On a terminal it draws a bar; elsewhere (a log file) it prints a line for each twentieth.
    """

    def __init__(self, max_iter: int, *, started: float = 0.0, deadline: float = math.inf) -> None:
        """
        Args:
            max_iter: number of iterations at most.
            started: `time.perf_counter` value at which the training began.
            deadline: the one at which it ends in any case.
        """
        self._max_iter = max_iter
        self._started = started
        self._deadline = deadline
        self._last_twentieth = -1
        self._is_new = True
        self._stack = ExitStack()
        self._show = self._stack.enter_context(progress_bar("  training", "iterations"))

    def write(self) -> None:
        latest, values = get_event_storage().latest(), get_event_storage().histories()
        if "total_loss" not in latest:
            return  # The first iteration failed; its own error is what matters.
        done = latest["total_loss"][1] + 1  # the storage's own counter is ahead after the training
        text = (
            f"loss {values['total_loss'].median(20):.2f}"
            f"  landmarks {values['loss_keypoint'].median(20):.2f}"
        )
        total = self._max_iter
        if "time" in values:  # Detectron2 leaves out the first iterations.
            seconds = values["time"].global_avg()
            until_deadline = max(0.0, self._deadline - time.perf_counter())
            left = int(min(seconds * (self._max_iter - done), until_deadline))
            text += f"  {seconds:.2f} s/iteration  {left // 60}:{left % 60:02d} left"
            total = min(total, done + math.ceil(left / seconds))
        if self._is_new and done >= FIRST_SURE:
            self._is_new = False
            if total < min(FEW_ITERATIONS, self._max_iter):
                say(
                    f"  This machine is slow or busy: about {total} iterations in this time. From "
                    f"{FEW_ITERATIONS} on the scores say something"
                )
        self._show(done, total, text)
        by_time = (time.perf_counter() - self._started) / (self._deadline - self._started)
        twentieth = int(20 * max(done / self._max_iter, by_time))
        if twentieth > self._last_twentieth and not sys.stderr.isatty():
            say(f"  iteration {done}/{total}  {text}")
        self._last_twentieth = twentieth

    def close(self) -> None:
        self._stack.close()


class _Annealing(HookBase):
    """A hook that sets the learning rate, after the hook of the config's own schedule."""

    trainer: TimedTrainer

    def before_step(self) -> None:
        warm_up = min(1.0, (self.trainer.iter + 1) / max(1, self.trainer.cfg.SOLVER.WARMUP_ITERS))
        factor = warm_up * 0.5 * (1 + math.cos(math.pi * self.trainer.share_done))
        for group in self.trainer.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor
