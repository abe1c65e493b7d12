"""Progress of a training run on one line."""

from __future__ import annotations

import math
import sys
import time
from typing import TextIO

from detectron2.utils.events import EventWriter, get_event_storage


class ProgressLine(EventWriter):
    """Writes iteration, loss, speed and time left; over itself on a terminal.

    Elsewhere (a log file) a line is written for each twentieth of the run.
    """

    def __init__(
        self, max_iter: int, *, deadline: float = math.inf, stream: TextIO = sys.stdout
    ) -> None:
        """
        Args:
            max_iter: number of iterations.
            deadline: `time.perf_counter` value at which the run ends all the same.
            stream: a terminal or a log file.
        """
        self.max_iter = max_iter
        self.deadline = deadline
        self.stream = stream
        self._last_step = -1

    def write(self) -> None:
        storage = get_event_storage()
        if "total_loss" not in storage.latest():
            return  # the first iteration failed; its own error is what matters
        # not the storage's own counter, which is one further after the training
        done = storage.latest()["total_loss"][1] + 1
        values = storage.histories()
        line = (
            f"  iteration {done}/{self.max_iter}  loss {values['total_loss'].median(20):.2f}"
            f"  landmarks {values['loss_keypoint'].median(20):.2f}"
        )
        if "time" in values:  # Detectron2 leaves out the first iterations
            seconds = values["time"].global_avg()
            until_deadline = max(0.0, self.deadline - time.perf_counter())
            left = int(min(seconds * (self.max_iter - done), until_deadline))
            line += f"  {seconds:.2f} s/iteration  {left // 60}:{left % 60:02d} left"
        step = 20 * done // self.max_iter
        if self.stream.isatty():
            print(f"\r{line}\x1b[K", end="", file=self.stream, flush=True)
        elif step > self._last_step:
            print(line, file=self.stream, flush=True)
        self._last_step = step

    def close(self) -> None:
        if self.stream.isatty():
            print(file=self.stream)
