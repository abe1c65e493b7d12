"""One process pool: apply a function to chunks of a list, and yield the results in order."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from df2_landmarks.common.errors import UserError

CHUNKS_PER_JOB = 3
"""Chunks in flight per process, so that memory stays bounded."""
MAX_DEFAULT_JOBS = 8

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_chunks(
    function: Callable[[Sequence[Item]], Result],
    items: Sequence[Item],
    *,
    jobs: int,
    chunk_size: int,
) -> Iterator[Result]:
    """Yield the function's result for each run of ``chunk_size`` items, in order.

    Args:
        function: called with a chunk; must be picklable if ``jobs`` is more than 1.
        items: what to divide.
        jobs: number of processes; with 1 no other process is started.
        chunk_size: items per call.

    Raises:
        UserError: a process was ended from outside.
        Exception: what ``function`` raised, for the first chunk in order that it raised for.
    """
    chunks = [items[i : i + chunk_size] for i in range(0, len(items), chunk_size)]
    if jobs == 1 or len(chunks) <= 1:
        yield from map(function, chunks)
        return
    # Imported here because one process does without them.
    import multiprocessing
    from concurrent.futures import Future, ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    # Not "fork": the parent may have threads (OpenCV, torch), whose locks a fork would copy.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(jobs, len(chunks)), context, initializer=_start_worker)
    try:
        waiting: deque[Future[Result]] = deque()
        for chunk in chunks:
            with _interrupts_delayed():  # the pool starts a process when it gets work
                waiting.append(pool.submit(function, chunk))
            if len(waiting) >= CHUNKS_PER_JOB * jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise UserError(
            "a worker process was ended from outside (out of memory?); try fewer processes",
            exit_code=2,
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def default_jobs() -> int:
    """Return the number of processors that this process may use, at most `MAX_DEFAULT_JOBS`."""
    return min(MAX_DEFAULT_JOBS, num_processors())


def num_processors() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # what taskset, Slurm and containers leave of the machine
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def _interrupts_delayed() -> Iterator[None]:
    """Deliver an interrupt after the block only.

    An interrupt while a process is started would leave it half started, to end with a traceback.
    The new process inherits the block, so an interrupt cannot end it before `_start_worker`.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _start_worker() -> None:
    """Leave interrupts to the parent, and end when the parent is gone."""
    import multiprocessing
    import threading

    # A worker that is interrupted while it takes work may keep the queue's lock for ever.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
