"""The program that scores one submission: `scoring` starts it in a process of its own."""

from __future__ import annotations

import dataclasses
import os
import resource
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from df2_landmarks.challenge.board.scoring import Limits, Order, Outcome
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

SHOWN_NAME = "submission.zip"
"""What messages call the zip, whose name on the disk tells a team nothing."""


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
    try:
        taxonomy = read_taxonomy(order.taxonomy) if order.taxonomy else DEEPFASHION2
        ground_truth = read_ground_truth(
            order.ground_truth, needs_annotations=True, taxonomy=taxonomy
        )
        outcome = outcome_of(order, ground_truth)
    except MemoryError:
        megabytes = order.limits.memory_bytes / 1e6
        outcome = Outcome(message=f"needs more than {megabytes:.0f} MB of memory")
    sys.stdout.buffer.write(msgspec.json.encode(outcome))


def outcome_of(order: Order, ground_truth: GroundTruth) -> Outcome:
    """Check and score a submission; a wrong one is an outcome, too."""
    try:
        return Outcome(details=score_submission(order, ground_truth))
    except UserError as error:
        return Outcome(message=str(error).replace(Path(order.submission).name, SHOWN_NAME))


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
            # With equal limits Linux sends SIGKILL, not SIGXCPU.
            resource.setrlimit(kind, (value, value + 1))


def _end_with_parent() -> None:
    """Wait for the end of standard input: of the parent, however that ended."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
