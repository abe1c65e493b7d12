"""What the store of a board gives out. Times are UTC, as ``2026-11-26T09:30:00Z``."""

from __future__ import annotations

import msgspec

QUEUED, RUNNING, SCORED, FAILED = "queued", "running", "scored", "failed"
"""States of a submission. FAILED: the checks refused it, or it could not be scored."""

EXTERNAL_DATA = ("no", "yes")
"""Answers to the question of 2019 whether data beyond DeepFashion2 was used."""


class Team(msgspec.Struct, frozen=True, kw_only=True):
    """A team that may submit."""

    id: int
    name: str


class SubmissionScore(msgspec.Struct, frozen=True, kw_only=True):
    """The score of a submission, and what it was computed with.

    Attributes:
        visible_and_occluded: AP as a fraction, which ranks; None where undefined.
        visible: AP as a fraction; None where undefined.
        scored: time.
        scorer: name and version of the package.
        ground_truth_sha256: of the file that was scored against.
    """

    visible_and_occluded: float | None
    visible: float | None
    scored: str
    scorer: str
    ground_truth_sha256: str


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """A submission that was accepted.

    Attributes:
        id: its number, from 1.
        team: name of the team.
        phase: name of the phase.
        sha256: of the zip.
        num_bytes: size of the zip.
        method_description: text of the team.
        external_data: "no" or "yes".
        received: time.
        state: QUEUED, RUNNING, SCORED or FAILED.
        message: why it failed; otherwise "".
        score: its score. While a submission is scored once more, this is the older one.
    """

    id: int
    team: str
    phase: str
    sha256: str
    num_bytes: int
    method_description: str
    external_data: str
    received: str
    state: str
    message: str
    score: SubmissionScore | None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the leaderboard: the best submission of a team.

    Attributes:
        rank: from 1.
        ground_truth_replaced: it was scored against another ground truth than the present one, and
            ranks after all that were not.
        num_scored: how many scored submissions of the phase the team has.
        submission: the submission; its score is never None.
    """

    rank: int
    ground_truth_replaced: bool
    num_scored: int
    submission: Submission
