"""`Worker`: the server's side of the process that has the model: a queue, a clock, a new start."""

from __future__ import annotations

import asyncio
import contextlib
import math
import multiprocessing
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NamedTuple

import msgspec
from starlette.exceptions import HTTPException

from df2_landmarks.common import UserError
from df2_landmarks.predict import Predictor
from df2_landmarks.web.limits import Limits
from df2_landmarks.web.photos.process import run_process
from df2_landmarks.web.photos.records import Loaded, Reply, Task
from df2_landmarks.web.section import refusal

FIRST_GUESS_SECONDS = 2.0
"""Of a photo, until one has been measured."""
WEIGHT_OF_LAST = 0.2
LOAD_SECONDS = 300
RESTART_SECONDS = 5
"""What a client is told to wait when the model cannot be loaded."""

REFUSED = {"no picture": 415, "too large": 413, "no memory": 413, "failed": 500}
"""Outcome of a photo -> status."""


class Answer(NamedTuple):
    """What the process found: the bytes of an answer, and their media type."""

    content: bytes
    media_type: str


class Worker:
    """Gives photos to a process, one after the other, and starts it anew when it ends.

    Attributes:
        loaded: what the process said of its model.
    """

    def __init__(self, load: Callable[[], Predictor], limits: Limits) -> None:
        """
        Args:
            load: returns the predictor; it is called in the process, and must be picklable.
            limits: of a photo and of the queue.
        """
        self.loaded = Loaded()
        self.limits = limits
        self._load = load
        self._process: Any = None
        self._connection: Any = None
        self._turn = asyncio.Lock()
        self._restart: asyncio.Task[None] | None = None
        self._num_in_queue = 0
        self._seconds = FIRST_GUESS_SECONDS

    def start(self) -> None:
        """Start the process and wait until it has loaded its model.

        Raises:
            UserError: it cannot load it.
        """
        self.close()
        # A process of its own, not a fork: the server has threads, and its memory is not wanted.
        context = multiprocessing.get_context("spawn")
        self._connection, other_end = context.Pipe()
        self._process = context.Process(
            target=run_process, args=(self._load, other_end, self.limits), daemon=True
        )
        self._process.start()
        other_end.close()
        with self._killed_after(LOAD_SECONDS):
            try:
                self.loaded = msgspec.json.decode(self._connection.recv_bytes(), type=Loaded)
            except EOFError:
                self.close()
                raise UserError(
                    "the process that loads the model ended; see what it printed above"
                ) from None
        if self.loaded.error:
            self.close()
            raise UserError(self.loaded.error, exit_code=self.loaded.exit_code)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._connection.close()
            self._process.kill()
            self._process.join()
            self._process.close()
        self._process = self._connection = None

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        process = self._process
        try:
            return process is not None and process.is_alive()
        except ValueError:  # another thread has just closed it
            return False

    @property
    def num_in_queue(self) -> int:
        """Photos that wait, or are in the process."""
        return self._num_in_queue

    def refuse_if_busy(self) -> None:
        """Refuse a photo if the queue is full.

        Raises:
            HTTPException: 503, with the seconds after which there may be room.
        """
        if self._num_in_queue >= self.limits.queue:
            raise refusal(
                503,
                f"busy: {self._num_in_queue} photos are waiting; try again",
                retry_after=max(1, math.ceil(self._seconds)),
            )

    async def predict(
        self,
        task: Task,
        read: Callable[[], Awaitable[bytes]],
        is_gone: Callable[[], Awaitable[bool]],
    ) -> Answer:
        """Wait for the turn of a photo, and give it to the process.

        Args:
            task: what is wanted.
            read: returns the photo's bytes; called when it is its turn, so that what waits is on
                disk.
            is_gone: returns whether nobody waits for the answer any more.

        Raises:
            HTTPException: 503, busy; 502, the process ended; 504, it took too long; 413, it needs
                too much memory or has too many pixels; 415, it is not a picture.
        """
        self.refuse_if_busy()
        self._num_in_queue += 1
        try:
            async with self._turn:
                if await is_gone():
                    raise refusal(400, "the client has gone")
                photo = await read()
                started = time.monotonic()
                reply, content = await asyncio.to_thread(self._exchange, task, photo)
                self._seconds += WEIGHT_OF_LAST * (time.monotonic() - started - self._seconds)
        finally:
            self._num_in_queue -= 1
            if not self.is_running:
                self._restart = asyncio.create_task(self._start_again())
        if reply.outcome == "found":
            return Answer(content, reply.media_type)
        raise refusal(REFUSED[reply.outcome], self._reason(reply))

    async def _start_again(self) -> None:
        async with self._turn:
            if not self.is_running:
                with contextlib.suppress(HTTPException):  # the next photo tries again, and says why
                    await asyncio.to_thread(self._start_or_refuse)

    def _start_or_refuse(self) -> None:
        try:
            self.start()
        except UserError as error:
            raise refusal(
                503, f"the model cannot be loaded: {error}", retry_after=RESTART_SECONDS
            ) from None

    def _reason(self, reply: Reply) -> str:
        if reply.outcome == "no memory":
            return (
                f"the photo needs more memory than {self.limits.memory_gb:g} GB; send a smaller one"
            )
        return reply.message or "the server made an error; its log has the details"

    def _exchange(self, task: Task, photo: bytes) -> tuple[Reply, bytes]:
        """Give a photo to the process and wait for the answer; start the process if need be."""
        if not self.is_running:
            self._start_or_refuse()
        with self._killed_after(self.limits.seconds) as was_killed:
            try:
                self._connection.send_bytes(msgspec.json.encode(task))
                self._connection.send_bytes(photo)
                reply = msgspec.json.decode(self._connection.recv_bytes(), type=Reply)
                content = self._connection.recv_bytes()
            except (EOFError, OSError):
                raise self._ended(was_killed) from None
        if reply.outcome == "no memory":
            self.close()
        return reply, content

    def _ended(self, was_killed: threading.Event) -> Exception:
        self.close()
        if was_killed.is_set():
            return refusal(
                504,
                f"the photo took longer than {self.limits.seconds:g} seconds; send a smaller one",
            )
        # Without Retry-After: if the photo is the cause, who sends it again ends the process again.
        return refusal(
            502,
            "the process that finds garments ended while it had this photo; it is started again",
        )

    @contextlib.contextmanager
    def _killed_after(self, seconds: float) -> Iterator[threading.Event]:
        """Kill the process unless the block ends within some seconds; gives whether it was."""
        was_killed, process = threading.Event(), self._process

        def kill() -> None:
            was_killed.set()
            with contextlib.suppress(ValueError):  # it has just ended and been closed
                process.kill()

        timer = threading.Timer(seconds, kill)
        timer.start()
        try:
            yield was_killed
        finally:
            timer.cancel()
