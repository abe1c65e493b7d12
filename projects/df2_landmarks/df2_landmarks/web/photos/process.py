"""The process that has the model: it decodes photos and finds garments, within its limits.

Photos are decoded here and not in the server: a damaged file that crashes a decoder, or a picture
that takes too much memory, ends this process only.
"""

from __future__ import annotations

import contextlib
import signal
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import numpy as np

from df2_landmarks.common import UserError
from df2_landmarks.predict import Predictor
from df2_landmarks.taxonomy import category_rows
from df2_landmarks.web.limits import MEGABYTE, Limits
from df2_landmarks.web.photos.finding import answer
from df2_landmarks.web.photos.records import Loaded, PredictOptions, Reply, Task

WARM_UP_SIDE = 64
GIGABYTE = 1_000_000_000
KILLED_FIRST = b"500"
"""`oom_score_adj`: when memory runs out, the kernel ends this process and not the server."""


def run_process(load: Callable[[], Predictor], connection: Connection, limits: Limits) -> None:
    """Load the model, say so, then answer tasks until the server closes the connection.

    Args:
        load: returns the predictor.
        connection: gives a `Task` and a photo's bytes in turn, takes a `Reply` and its bytes.
        limits: of pixels and memory.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's, which then closes
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_bytes(KILLED_FIRST)
    try:
        predictor = load()
    except UserError as error:
        _send(connection, Loaded(error=str(error), exit_code=error.exit_code))
        return
    _warm_up(predictor)
    limit_memory(limits.memory_gb)
    categories = msgspec.Raw(msgspec.json.encode(category_rows(predictor.model.taxonomy)))
    _send(connection, Loaded(fingerprint=predictor.fingerprint, categories=categories))
    max_pixels = int(limits.megapixels * MEGABYTE)
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            task = msgspec.json.decode(connection.recv_bytes(), type=Task)
            reply, content = _answer(predictor, task, connection.recv_bytes(), max_pixels)
            _send(connection, reply)
            connection.send_bytes(content)
            if reply.outcome == "no memory":
                return  # what is left may lack memory, too; the server starts another process


def _answer(predictor: Predictor, task: Task, photo: bytes, max_pixels: int) -> tuple[Reply, bytes]:
    try:
        return answer(predictor, task, photo, max_pixels=max_pixels)
    except Exception as error:
        if is_lack_of_memory(error):
            return Reply(outcome="no memory"), b""
        traceback.print_exc()
        return Reply(outcome="failed"), b""


def _send(connection: Connection, message: msgspec.Struct) -> None:
    connection.send_bytes(msgspec.json.encode(message))


def _warm_up(predictor: Predictor) -> None:
    """Let the model's libraries take the memory that they keep: threads, caches."""
    for options in (PredictOptions(min_score=0), PredictOptions(min_score=0, answer="drawing")):
        picture = np.zeros((WARM_UP_SIDE, WARM_UP_SIDE, 3), dtype=np.uint8)
        answer(
            predictor,
            Task(file="", options=options),
            _png(picture),
            max_pixels=WARM_UP_SIDE**2,
        )


def _png(rgb: np.ndarray) -> bytes:
    import cv2

    return cv2.imencode(".png", rgb)[1].tobytes()


def limit_memory(gigabytes: float) -> None:
    """Allow this process so much memory above what it has; no effect but on Linux.

    What counts is private memory that can be written (``RLIMIT_DATA``). The whole address space
    (``RLIMIT_AS``) would count what torch reserves and never uses, and its libraries.
    """
    status = Path("/proc/self/status")
    if not status.is_file():
        return
    import resource

    (line,) = (row for row in status.read_text().splitlines() if row.startswith("VmData:"))
    limit = int(line.split()[1]) * 1024 + int(gigabytes * GIGABYTE)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def is_lack_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out: each library says it in its own words."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(
        words in text
        for words in (
            "allocate memory",
            "insufficient memory",
            "bad_alloc",
            "bad alloc",
            "out of memory",
            "failed to allocate",
        )
    )
