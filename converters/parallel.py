"""Apply a function to chunks of a list in processes, and give the results in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from typing import TypeVar

from converters.raw.problems import UsageError

CHUNK_SIZE = 100  # images; about 0.3 MB of COCO text
CHUNKS_PER_JOB = 3  # under way at a time, so that memory stays bounded
MAX_DEFAULT_JOBS = 8

Result = TypeVar("Result")


def map_chunks(
    function: Callable[[list[str]], Result], names: list[str], jobs: int
) -> Iterator[Result]:
    """Yield the function's result for each run of ``CHUNK_SIZE`` names, in order.

    Args:
        function: called with the names; must be picklable.
        names: what to divide.
        jobs: number of processes; 1: no other process is started.

    Raises:
        UsageError: a process was ended from outside.
        Exception: what ``function`` raised, for the first chunk in order that it raised for.
    """
    chunks = [names[i : i + CHUNK_SIZE] for i in range(0, len(names), CHUNK_SIZE)]
    if jobs == 1 or len(chunks) <= 1:
        yield from map(function, chunks)
        return
    # Here because they take time to import, and one process does without.
    from concurrent.futures import Future, ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    pool = ProcessPoolExecutor(min(jobs, len(chunks)), initializer=_start_worker)
    try:
        waiting: deque[Future[Result]] = deque()
        for chunk in chunks:
            waiting.append(pool.submit(function, chunk))
            if len(waiting) >= CHUNKS_PER_JOB * jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise UsageError("a worker process was ended (out of memory?); try fewer --jobs") from None
    finally:
        pool.shutdown(cancel_futures=True)


def default_jobs() -> int:
    """Number of processors that this process may use, within reason."""
    if hasattr(os, "sched_getaffinity"):  # fewer than cpu_count in a container; only on Linux
        return min(MAX_DEFAULT_JOBS, len(os.sched_getaffinity(0)))
    return min(MAX_DEFAULT_JOBS, os.cpu_count() or 1)


def _start_worker() -> None:
    """Leave an interrupt to the parent, and end when the parent is gone."""
    import multiprocessing
    import signal
    import threading

    # A worker that is interrupted while it takes work may keep the queue's lock for ever.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
