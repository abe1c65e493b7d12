"""A board on a folder: the store, the files of the submissions, and the worker.

board.sqlite3     teams, submissions, scores
submissions/      PHASE-TEAM-SHA256.zip, as they were uploaded
tmp/              uploads that are not accepted yet
.lock             held by the one server of the folder
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from df2_landmarks.challenge.board.phases import Phase
from df2_landmarks.challenge.board.records import EXTERNAL_DATA, FAILED, Entry, Team
from df2_landmarks.challenge.board.scoring import Limits
from df2_landmarks.challenge.board.store import Store, open_store
from df2_landmarks.challenge.board.upload import DailyLimitError, Upload, remove_unfinished
from df2_landmarks.challenge.board.worker import Worker
from df2_landmarks.common import UserError, locked_folder, make_output_folder

DAILY_LIMIT = 5
"""Submissions of a team to a phase that count, per UTC day."""
MAX_BYTES = 200_000_000
"""Bytes of a zip."""
MAX_DESCRIPTION = 2000
"""Characters of a method description."""


def utc_now() -> str:
    """Return the time as ``2026-11-26T09:30:00Z``."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Board:
    """Accept submissions and rank the teams. `open_board` makes one.

    Attributes:
        folder: see the module.
        phases: by name.
        store: teams, submissions and scores.
        daily_limit: submissions of a team to a phase that count, per UTC day.
        max_bytes: of a zip.
        worker: the thread that scores; not started where `open_board` was told so.
    """

    def __init__(
        self,
        folder: Path,
        store: Store,
        phases: Sequence[Phase],
        *,
        daily_limit: int,
        max_bytes: int,
        limits: Limits,
        clock: Callable[[], str],
    ) -> None:
        self.phases = {phase.name: phase for phase in phases}
        self.store = store
        self.daily_limit, self.max_bytes = daily_limit, max_bytes
        self.worker = Worker(store, self.phases, self._path_of, limits, clock)
        self.folder, self._clock = folder, clock
        self._accepting = threading.Lock()

    def new_upload(self) -> Upload:
        """Return a file to write a submission into; see `Upload`.

        Raises:
            DiskFullError: the disk has too little room.
        """
        return Upload(self.folder / "tmp", max_bytes=self.max_bytes)

    def accept(
        self,
        upload: Upload,
        team: Team,
        phase: str,
        *,
        method_description: str,
        external_data: str,
    ) -> int:
        """Accept a whole upload: once this returns, no crash loses it.

        The same bytes of the same team in the same phase are the same submission, so that an upload
        may be repeated. One that failed is queued again.

        Args:
            upload: inside its block.
            team: who submits.
            phase: its name.
            method_description: 1 to `MAX_DESCRIPTION` characters.
            external_data: "no" or "yes".

        Returns:
            The id of the submission.

        Raises:
            UserError: there is no such phase, or a field is wrong.
            DailyLimitError: the team has used its submissions of this UTC day.
            DiskFullError: the upload cannot be written.
        """
        self.check(phase, method_description=method_description, external_data=external_data)
        upload.sync()
        with self._accepting:
            known = self.store.find(team, phase, upload.sha256)
            if known is not None and known.state != FAILED:
                return known.id
            now = self._clock()
            if self.store.num_submitted(team, phase, now[: len("2026-11-26")]) >= self.daily_limit:
                raise DailyLimitError(
                    f"{team.name} has used the {self.daily_limit} submissions of this day (UTC) to "
                    f"the {phase} phase; failed ones do not count"
                )
            upload.keep(self._path_of(phase, team.id, upload.sha256))
            submission_id = self.store.queue(
                team,
                phase,
                upload.sha256,
                num_bytes=upload.num_bytes,
                method_description=method_description,
                external_data=external_data,
                received=now,
            )
        self.worker.wake()
        return submission_id

    def check(self, phase: str, *, method_description: str, external_data: str) -> None:
        """Check the fields of a submission, as `accept` does.

        Raises:
            UserError: there is no such phase, or a field is wrong.
        """
        self._check_phase(phase)
        if external_data not in EXTERNAL_DATA:
            expected = " or ".join(EXTERNAL_DATA)
            raise UserError(f"external_data: must be {expected}, but got {external_data[:40]!r}")
        if not 1 <= len(method_description.strip()) <= MAX_DESCRIPTION:
            raise UserError(
                f"method_description: must have 1 to {MAX_DESCRIPTION} characters, but has "
                f"{len(method_description.strip())}"
            )

    def leaderboard(self, phase: str) -> list[Entry]:
        """Return the best entry of each team in a phase.

        Raises:
            UserError: there is no such phase.
        """
        self._check_phase(phase)
        return self.store.leaderboard(phase, self.phases[phase].sha256)

    def _check_phase(self, phase: str) -> None:
        if phase not in self.phases:
            raise UserError(f"phase: must be {' or '.join(self.phases)}, but got {phase[:40]!r}")

    def _path_of(self, phase: str, team_id: int, sha256: str) -> Path:
        return self.folder / "submissions" / f"{phase}-{team_id}-{sha256}.zip"


@contextmanager
def open_board(
    folder: Path,
    phases: Sequence[Phase],
    *,
    daily_limit: int = DAILY_LIMIT,
    max_bytes: int = MAX_BYTES,
    limits: Limits | None = None,
    rescore: bool = False,
    scores: bool = True,
    clock: Callable[[], str] = utc_now,
) -> Iterator[Board]:
    """Open the board of a folder, which is made where it does not exist, and score what is queued.

    Args:
        folder: see the module.
        phases: what is scored, each phase once.
        daily_limit: submissions of a team to a phase that count, per UTC day.
        max_bytes: of a zip.
        limits: of the scoring of one submission.
        rescore: also score again what was scored against a ground truth that was replaced.
        scores: start the worker.
        clock: returns the time.

    Raises:
        UserError: another process has opened it, the folder cannot be written to, or its database
            is damaged.

    Example:
        >>> from pathlib import Path
        >>> from df2_landmarks.challenge.board import open_board, read_phase
        >>> with open_board(Path("board"), [read_phase("validation=validation.json")]) as board:
        ...     print(board.leaderboard("validation"))
        []
    """
    make_output_folder(folder, "--data")
    with locked_folder(folder, "--data"), open_store(folder) as store:
        for name in ("tmp", "submissions"):
            make_output_folder(folder / name, "--data")
        remove_unfinished(folder / "tmp")
        board = Board(
            folder,
            store,
            phases,
            daily_limit=daily_limit,
            max_bytes=max_bytes,
            limits=limits or Limits(),
            clock=clock,
        )
        store.requeue(replaced={phase.name: phase.sha256 for phase in phases} if rescore else None)
        if scores:
            board.worker.start()
        try:
            yield board
        finally:
            if board.worker.is_alive():
                board.worker.stop()
