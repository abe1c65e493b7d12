"""Chunks give the same results in the same order in any number of processes, which always end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from df2_landmarks.common import UserError, map_chunks
from tests.support import ROOT, default_signals

ITEMS = range(45)


def total(items: Sequence[int]) -> int:
    time.sleep(0.05 * (items[0] == 0))  # the first chunk is ready last
    return sum(items)


def fail_from_20(items: Sequence[int]) -> None:
    if items[-1] >= 20:
        raise UserError(f"item {items[0]}", exit_code=2)


def interrupt(items: Sequence[int]) -> int:
    os.kill(os.getpid(), signal.SIGINT)
    return len(items)


def die(items: Sequence[int]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_results_come_in_the_order_of_the_items(jobs: int) -> None:
    results = list(map_chunks(total, ITEMS, jobs=jobs, chunk_size=10))
    assert results == [45, 145, 245, 345, 210]


def test_nothing_gives_nothing() -> None:
    assert list(map_chunks(total, [], jobs=2, chunk_size=10)) == []


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_first_error_in_order_is_raised(jobs: int) -> None:
    results = map_chunks(fail_from_20, ITEMS, jobs=jobs, chunk_size=10)
    assert [next(results), next(results)] == [None, None]
    with pytest.raises(UserError, match=r"^item 20$") as caught:
        next(results)
    assert caught.value.exit_code == 2


def test_a_worker_leaves_an_interrupt_to_its_parent() -> None:
    try:
        results = list(map_chunks(interrupt, ITEMS, jobs=2, chunk_size=10))
    except KeyboardInterrupt:
        pytest.fail("a worker was interrupted")
    assert results == [10, 10, 10, 10, 5]


def test_the_parent_can_be_interrupted_again_afterwards() -> None:
    results = map_chunks(total, ITEMS, jobs=2, chunk_size=10)
    next(results)
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    results.close()  # type: ignore[attr-defined]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_killed_worker_is_a_user_error() -> None:
    with pytest.raises(UserError, match=r"ended from outside .* try fewer processes") as caught:
        list(map_chunks(die, ITEMS, jobs=2, chunk_size=10))
    assert caught.value.exit_code == 2


# Short sleeps: a signal that comes just before a sleep begins does not shorten it.
WAITING = """
import time
from df2_landmarks.common import map_chunks
for _ in map_chunks(len, range(1000), jobs=2, chunk_size=100):
    print("first result", flush=True)
    for _ in range(1200):
        time.sleep(.05)
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_parent(number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        preexec_fn=default_signals,
    )
    assert process.stdout and process.stdout.readline() == b"first result\n"
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) >= 2
    process.send_signal(number)
    assert process.wait(timeout=20)
    process.stdout.close()
    wait_until(lambda: not any(is_alive(child) for child in children))


def is_alive(process_id: str) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)
