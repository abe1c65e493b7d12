"""The score of one submission, in a child process with limits of memory and time.

This file is both sides: `run_scorer` starts it as a program, with an `Order` as its argument.
"""

from __future__ import annotations

import dataclasses
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from df2_landmarks.challenge.board.phases import Phase
from df2_landmarks.common import UserError, run_command
from df2_landmarks.evaluation import mean_shapes, provenance, score, score_as_dict
from df2_landmarks.evaluation.diagnosis import diagnose, diagnosis_text
from df2_landmarks.formats import (
    PROTOCOLS,
    GroundTruth,
    check_submission,
    read_ground_truth,
    read_results,
    read_taxonomy,
)
from df2_landmarks.taxonomy import DEEPFASHION2

MODULE = "df2_landmarks.challenge.board.scorer"
SHOWN_NAME = "submission.zip"
"""What messages call the zip, whose name on the disk tells a team nothing."""


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
            [sys.executable, "-m", MODULE, msgspec.json.encode(order).decode()],
            stdin=subprocess.PIPE,  # open as long as this process lives: see `_end_with_parent`
            stdout=output,
            start_new_session=True,  # its number is that of its group
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        ) as child,
    ):
        try:
            is_late = _wait(child, limits.wall_s, stop)
        finally:
            with suppress(ProcessLookupError):
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


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out an order, the only argument, and print the outcome. Returns the exit code."""
    order = msgspec.json.decode((argv or sys.argv[1:])[0], type=Order)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _set_limits(order.limits)
    return run_command(lambda: run(order), "scorer")


def run(order: Order) -> None:
    """Carry out an order and print the outcome.

    Raises:
        UserError: the ground truth cannot be read, which is the organizer's matter.
    """
    taxonomy = read_taxonomy(order.taxonomy) if order.taxonomy else DEEPFASHION2
    ground_truth = read_ground_truth(order.ground_truth, needs_annotations=True, taxonomy=taxonomy)
    try:
        outcome = Outcome(details=score_submission(order, ground_truth))
    except UserError as error:
        outcome = Outcome(message=str(error).replace(Path(order.submission).name, SHOWN_NAME))
    except MemoryError:
        gigabytes = order.limits.memory_bytes / 1e9
        outcome = Outcome(message=f"needs more than {gigabytes:.1f} GB of memory")
    sys.stdout.buffer.write(msgspec.json.encode(outcome))


def score_submission(order: Order, ground_truth: GroundTruth) -> dict[str, Any]:
    """Check and score a submission; return the details of its `Outcome`.

    Raises:
        UserError: the submission is not as the challenge wants it.
    """
    facts = check_submission(
        order.submission,
        split=order.split,
        image_ids=ground_truth.image_ids,
        taxonomy=ground_truth.taxonomy,
        class_of_id=ground_truth.class_of_id,
    )
    detections = read_results(order.submission, ground_truth)
    scores = {protocol: score(ground_truth, detections, protocol) for protocol in PROTOCOLS}
    diagnosis = None
    if order.diagnose:
        ranking = scores[PROTOCOLS[0]]
        diagnosis = diagnosis_text(diagnose(ground_truth, ranking, mean_shapes(ground_truth)))
    return {
        **provenance(ground_truth),
        "submission": dataclasses.asdict(facts),
        "scores": {name: score_as_dict(ground_truth, one, {}) for name, one in scores.items()},
        "diagnosis": diagnosis,
    }


def _set_limits(limits: Limits) -> None:
    for kind, value in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, limits.cpu_s),
        (resource.RLIMIT_CORE, 0),  # a core file would hold the ground truth
    ):
        with suppress(ValueError, OSError):  # macOS does not limit the address space
            resource.setrlimit(kind, (value, value))


def _end_with_parent() -> None:
    """Wait for the end of standard input: of the parent, however that ended."""
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
