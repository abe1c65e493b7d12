"""Progress of a training run on one line."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from detectron2.utils.events import EventWriter, get_event_storage


class ProgressLine(EventWriter):
    """Writes iteration, loss, speed and time left; over itself on a terminal.

    Elsewhere (a log file) a line is written for each twentieth of the run.
    """

    def __init__(self, max_iter: int, *, stream: TextIO = sys.stdout) -> None:
        self.max_iter = max_iter
        self.stream = stream
        self._start: tuple[float, int] | None = None
        self._last_step = -1

    def write(self) -> None:
        storage = get_event_storage()
        done = storage.iter + 1
        now = time.perf_counter()
        if self._start is None:
            self._start = now, done
            return
        seconds = (now - self._start[0]) / max(1, done - self._start[1])
        left = int(seconds * (self.max_iter - done))
        losses = storage.histories()
        line = (
            f"  iteration {done}/{self.max_iter}  loss {losses['total_loss'].median(20):.2f}"
            f"  landmarks {losses['loss_keypoint'].median(20):.2f}"
            f"  {seconds:.2f} s/iteration  {left // 60}:{left % 60:02d} left"
        )
        step = 20 * done // self.max_iter
        if self.stream.isatty():
            print(f"\r{line}\x1b[K", end="", file=self.stream, flush=True)
        elif step > self._last_step:
            print(line, file=self.stream, flush=True)
        self._last_step = step

    def close(self) -> None:
        if self.stream.isatty():
            print(file=self.stream)
