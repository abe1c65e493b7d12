"""Starts the scorer in a child process, and kills it beyond its limits of memory and time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import msgspec

from df2_landmarks.challenge.board.phases import Phase

SCORER = "df2_landmarks.challenge.board.scorer"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What the scoring of one submission may use.

    Attributes:
        memory_bytes: of address space.
        cpu_s: seconds of processor time.
        wall_s: seconds.
    """

    memory_bytes: int = 4 << 30
    cpu_s: int = 600
    wall_s: float = 900


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What the child is to do."""

    submission: str
    split: str
    ground_truth: str
    taxonomy: str | None
    diagnose: bool
    limits: Limits


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What the child says.

    Attributes:
        message: why there is no score; otherwise "".
        details: scorer and hash of the ground truth, counts of the submission, scores by protocol,
            and the diagnosis.
    """

    message: str = ""
    details: dict[str, Any] = {}


def run_scorer(phase: Phase, submission: Path, limits: Limits, stop: threading.Event) -> Outcome:
    """Check and score a submission in a child process.

    Args:
        phase: what to score against.
        submission: the zip.
        limits: beyond which the child, with all that it started, is killed.
        stop: when it is set, the child is killed; the outcome then means nothing.
    """
    order = Order(
        submission=str(submission),
        split=phase.split,
        ground_truth=str(phase.ground_truth),
        taxonomy=str(phase.taxonomy) if phase.taxonomy else None,
        diagnose=phase.shows_diagnosis,
        limits=limits,
    )
    with (
        tempfile.TemporaryFile() as output,
        subprocess.Popen(
            [sys.executable, "-m", SCORER, msgspec.json.encode(order).decode()],
            stdin=subprocess.PIPE,  # open as long as this process lives: see `_end_with_parent`
            stdout=output,
            start_new_session=True,  # its number is that of its group
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        ) as child,
    ):
        try:
            is_late = _wait(child, limits.wall_s, stop)
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
        code = child.wait()
        output.seek(0)
        if code == 0:
            return msgspec.json.decode(output.read(), type=Outcome)
    if is_late:
        return Outcome(message=f"was not scored within {limits.wall_s:g} s")
    if code == -signal.SIGXCPU:
        return Outcome(message=f"needs more than {limits.cpu_s} s of processor time")
    return Outcome(
        message=f"the scorer ended with code {code}; the organizer finds the reason in the log"
    )


def _wait(child: subprocess.Popen[bytes], seconds: float, stop: threading.Event) -> bool:
    """Wait for the end of a process, or until it is stopped. Returns True if it is late."""
    deadline = time.monotonic() + seconds
    while not stop.is_set():
        try:
            child.wait(0.1)
            return False
        except subprocess.TimeoutExpired:
            if time.monotonic() > deadline:
                return True
    return False
