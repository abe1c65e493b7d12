"""The thread that has queued submissions scored, one after the other."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from df2_landmarks.challenge.board.phases import Phase
from df2_landmarks.challenge.board.records import SubmissionScore
from df2_landmarks.challenge.board.scoring import Limits, Outcome, run_scorer
from df2_landmarks.challenge.board.store import Store
from df2_landmarks.formats import PROTOCOLS

RETRY_S = 10.0
"""Seconds to wait when the disk is full or the database locked."""

logger = logging.getLogger(__name__)


class Worker(threading.Thread):
    """Score what is queued, until it is stopped.

    Args:
        store: the submissions.
        phases: by name; submissions of others stay queued.
        path_of: phase, id of the team, sha256 -> the zip.
        limits: of the scoring of one submission.
        clock: returns the time, as in `records`.
    """

    def __init__(
        self,
        store: Store,
        phases: Mapping[str, Phase],
        path_of: Callable[[str, int, str], Path],
        limits: Limits,
        clock: Callable[[], str],
    ) -> None:
        super().__init__(name="scoring", daemon=True)
        self._store, self._phases, self._path_of = store, phases, path_of
        self._limits, self._clock = limits, clock
        self._wake, self._stop_event = threading.Event(), threading.Event()

    def wake(self) -> None:
        """Say that something was queued."""
        self._wake.set()

    def stop(self) -> None:
        """Kill what is being scored, and end the thread. After a restart it is scored again."""
        self._stop_event.set()
        self._wake.set()
        self.join()

    def run(self) -> None:
        while not self._stop_event.is_set():
            self._wake.clear()
            try:
                self._store.requeue()  # what an error below has left
                if not self.score_next():
                    self._wake.wait()
            except (sqlite3.OperationalError, OSError) as error:
                logger.error("scoring waits %g s: %s", RETRY_S, error)
                self._stop_event.wait(RETRY_S)

    def score_next(self) -> bool:
        """Score the oldest queued submission. Returns False if there is none, or when stopped."""
        taken = self._store.take(self._phases)
        if taken is None:
            return False
        submission, team_id = taken
        phase = self._phases[submission.phase]
        path = self._path_of(submission.phase, team_id, submission.sha256)
        outcome = run_scorer(phase, path, self._limits, self._stop_event)
        if self._stop_event.is_set():
            return False
        if not outcome.message and outcome.details["ground_truth_sha256"] != phase.sha256:
            outcome = Outcome(
                message="the ground truth was replaced while the server runs; the organizer must "
                "restart it"
            )
        if outcome.message:
            self._store.fail(submission.id, outcome.message)
        else:
            details = msgspec.json.encode(outcome.details).decode()
            self._store.set_score(submission.id, self._score(outcome), details)
        return True

    def _score(self, outcome: Outcome) -> SubmissionScore:
        scores = outcome.details["scores"]
        return SubmissionScore(
            **{protocol: scores[protocol]["AP"] for protocol in PROTOCOLS},
            scored=self._clock(),
            scorer=outcome.details["scorer"],
            ground_truth_sha256=outcome.details["ground_truth_sha256"],
        )
