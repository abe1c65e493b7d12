"""Teams, submissions and scores in SQLite. Every change is one transaction.

With a write-ahead log and ``synchronous=FULL``, what was committed survives a crash of the process
and of the machine, and nothing else is seen.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from df2_landmarks.challenge.board.records import (
    FAILED,
    QUEUED,
    RUNNING,
    SCORED,
    Entry,
    Submission,
    SubmissionScore,
    Team,
)
from df2_landmarks.common import UserError, make_output_folder

DATABASE = "board.sqlite3"
LAYOUT = 1
"""Of the tables; to be raised when older code cannot read them."""
BUSY_S = 10.0
"""Seconds to wait for another process that writes."""
MAX_NAME = 80
"""Characters of the name of a team."""

TABLES = """
CREATE TABLE IF NOT EXISTS teams (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    token_sha256 TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS submissions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    team_id INTEGER NOT NULL REFERENCES teams,
    phase TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    num_bytes INTEGER NOT NULL,
    method_description TEXT NOT NULL,
    external_data TEXT NOT NULL,
    received TEXT NOT NULL,
    state TEXT NOT NULL,
    message TEXT NOT NULL,
    UNIQUE (team_id, phase, sha256)
);
CREATE TABLE IF NOT EXISTS scores (
    submission_id INTEGER PRIMARY KEY REFERENCES submissions,
    visible_and_occluded REAL,
    visible REAL,
    scored TEXT NOT NULL,
    scorer TEXT NOT NULL,
    ground_truth_sha256 TEXT NOT NULL,
    details TEXT NOT NULL
);
"""
SELECT = """
SELECT submissions.*, teams.name AS team, visible_and_occluded, visible, scored, scorer,
       ground_truth_sha256
FROM submissions JOIN teams ON teams.id = team_id LEFT JOIN scores ON submission_id = submissions.id
"""


class Store:
    """The database of a board. Threads may share it; other processes may open it, too.

    Args:
        path: the file; made where it does not exist.

    Raises:
        UserError: the file is not such a database, or was written by a later version.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(
            path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        self._connection.row_factory = sqlite3.Row
        try:
            layout = self._connection.execute("PRAGMA user_version").fetchone()[0]
            if layout > LAYOUT:
                raise UserError(f"{path}: was written by a later version of df2_landmarks; update")
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
                self._connection.execute(f"PRAGMA {pragma}")
            self._connection.executescript(
                f"BEGIN IMMEDIATE; {TABLES} PRAGMA user_version={LAYOUT}; COMMIT"
            )
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise UserError(f"{path}: must be the database of a board, but: {error}") from None

    def close(self) -> None:
        """Close the database; the object cannot be used any more."""
        with self._lock:
            self._connection.close()

    def add_team(self, name: str) -> str:
        """Make a team and return its token, which is stored nowhere else.

        Raises:
            UserError: the name is taken, or is not 1 to `MAX_NAME` printable characters.
        """
        if not (name.strip() and len(name) <= MAX_NAME and name.isprintable()):
            raise UserError(
                f"a team's name must have 1 to {MAX_NAME} printable characters, but got {name!r}",
                exit_code=2,
            )
        token = secrets.token_urlsafe(32)
        with self._transaction() as connection:
            try:
                connection.execute(
                    "INSERT INTO teams (name, token_sha256) VALUES (?, ?)", (name, _hash(token))
                )
            except sqlite3.IntegrityError:
                raise UserError(
                    f"there is a team {name!r} already; --new-token replaces its token",
                    exit_code=2,
                ) from None
        return token

    def replace_token(self, name: str) -> str:
        """Return a new token of a team; the old one is not valid any more.

        Raises:
            UserError: there is no such team.
        """
        token = secrets.token_urlsafe(32)
        with self._transaction() as connection:
            changed = connection.execute(
                "UPDATE teams SET token_sha256 = ? WHERE name = ?", (_hash(token), name)
            )
            if not changed.rowcount:
                raise UserError(f"there is no team {name!r}", exit_code=2)
        return token

    def team_of(self, token: str) -> Team | None:
        """Return the team whose token this is; None if it is nobody's."""
        token_sha256 = _hash(token)
        team = None
        for row in self._rows("SELECT * FROM teams"):
            if hmac.compare_digest(row["token_sha256"], token_sha256):
                team = Team(id=row["id"], name=row["name"])
        return team

    def find(self, team: Team, phase: str, sha256: str) -> Submission | None:
        """Return a team's submission with this content; None if there is none."""
        where = "WHERE team_id = ? AND phase = ? AND sha256 = ?"
        rows = self._rows(f"{SELECT} {where}", team.id, phase, sha256)
        return _submission(rows[0]) if rows else None

    def num_submitted(self, team: Team, phase: str, day: str) -> int:
        """Return how many submissions of a UTC day (``2026-11-26``) count: all but failed ones."""
        rows = self._rows(
            "SELECT count(*) AS number FROM submissions WHERE team_id = ? AND phase = ? "
            "AND substr(received, 1, 10) = ? AND state != ?",
            *(team.id, phase, day, FAILED),
        )
        number: int = rows[0]["number"]
        return number

    def queue(
        self,
        team: Team,
        phase: str,
        sha256: str,
        *,
        num_bytes: int,
        method_description: str,
        external_data: str,
        received: str,
    ) -> int:
        """Queue a submission whose file is on the disk; return its id.

        One that failed is queued again under its id.
        """
        fields = (num_bytes, method_description, external_data, received, QUEUED)
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO submissions (team_id, phase, sha256, num_bytes, method_description, "
                "external_data, received, state, message) VALUES (?, ?, ?, ?, ?, ?, ?, ?, '') "
                "ON CONFLICT (team_id, phase, sha256) DO UPDATE SET "
                "num_bytes = excluded.num_bytes, method_description = excluded.method_description, "
                "external_data = excluded.external_data, received = excluded.received, "
                "state = excluded.state, message = '' WHERE state = 'failed'",
                (team.id, phase, sha256, *fields),
            )
            # Not RETURNING: SQLite has it since 3.35, some systems have 3.34.
            submission_id: int = connection.execute(
                "SELECT id FROM submissions WHERE team_id = ? AND phase = ? AND sha256 = ?",
                (team.id, phase, sha256),
            ).fetchone()["id"]
        return submission_id

    def requeue(self, *, replaced: dict[str, str] | None = None) -> None:
        """Queue again what was being scored when the last process ended.

        Args:
            replaced: phase -> sha256 of its ground truth: also queue what was scored against
                another one.
        """
        with self._transaction() as connection:
            connection.execute(
                "UPDATE submissions SET state = ? WHERE state = ?", (QUEUED, RUNNING)
            )
            for phase, ground_truth_sha256 in (replaced or {}).items():
                connection.execute(
                    "UPDATE submissions SET state = ? WHERE phase = ? AND state = ? AND id IN "
                    "(SELECT submission_id FROM scores WHERE ground_truth_sha256 != ?)",
                    (QUEUED, phase, SCORED, ground_truth_sha256),
                )

    def take(self, phases: Collection[str]) -> tuple[Submission, int] | None:
        """Set the oldest queued submission of these phases to RUNNING.

        Returns:
            The submission and the id of its team; None if none is queued.
        """
        places = ", ".join("?" * len(phases))
        with self._transaction() as connection:
            row = connection.execute(
                f"{SELECT} WHERE state = ? AND phase IN ({places}) ORDER BY submissions.id LIMIT 1",
                (QUEUED, *phases),
            ).fetchone()
            if row is None:
                return None
            connection.execute(
                "UPDATE submissions SET state = ? WHERE id = ?", (RUNNING, row["id"])
            )
        return _submission(row), row["team_id"]

    def fail(self, submission_id: int, message: str) -> None:
        """Say why a submission could not be scored."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE submissions SET state = ?, message = ? WHERE id = ?",
                (FAILED, message, submission_id),
            )

    def set_score(self, submission_id: int, score: SubmissionScore, details: str) -> None:
        """Store a score with its details, a JSON text, in one transaction."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO scores (submission_id, visible_and_occluded, visible, "
                "scored, scorer, ground_truth_sha256, details) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    *(submission_id, score.visible_and_occluded, score.visible, score.scored),
                    *(score.scorer, score.ground_truth_sha256, details),
                ),
            )
            connection.execute(
                "UPDATE submissions SET state = ?, message = '' WHERE id = ?",
                (SCORED, submission_id),
            )

    def history(self, team: Team) -> list[Submission]:
        """Return all submissions of a team, the newest first."""
        rows = self._rows(f"{SELECT} WHERE team_id = ? ORDER BY submissions.id DESC", team.id)
        return [_submission(row) for row in rows]

    def details(self, team: Team, submission_id: int) -> str | None:
        """Return the JSON text that a team's submission was scored with; None if there is none."""
        rows = self._rows(
            "SELECT details FROM scores JOIN submissions ON submissions.id = submission_id "
            "WHERE team_id = ? AND submissions.id = ?",
            *(team.id, submission_id),
        )
        return rows[0]["details"] if rows else None

    def leaderboard(self, phase: str, ground_truth_sha256: str) -> list[Entry]:
        """Return the best entry of each team by visible-and-occluded AP.

        Entries that were scored against another ground truth come last, entries without an AP last
        of these. Of equal ones, the earlier submission is the better one.
        """
        rows = self._rows(
            f"{SELECT} WHERE phase = ? AND scored IS NOT NULL "
            "ORDER BY ground_truth_sha256 != ?, visible_and_occluded IS NULL, "
            "visible_and_occluded DESC, submissions.id",
            *(phase, ground_truth_sha256),
        )
        best: dict[int, sqlite3.Row] = {}
        counts: dict[int, int] = {}
        for row in rows:
            best.setdefault(row["team_id"], row)
            counts[row["team_id"]] = counts.get(row["team_id"], 0) + 1
        return [
            Entry(
                rank=rank,
                ground_truth_replaced=row["ground_truth_sha256"] != ground_truth_sha256,
                num_scored=counts[team_id],
                submission=_submission(row),
            )
            for rank, (team_id, row) in enumerate(best.items(), 1)
        ]

    def num_waiting(self) -> int:
        """Return how many submissions are queued or being scored."""
        rows = self._rows(
            "SELECT count(*) AS number FROM submissions WHERE state IN (?, ?)", QUEUED, RUNNING
        )
        number: int = rows[0]["number"]
        return number

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.rollback()
                raise

    def _rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        with self._lock:
            return self._connection.execute(query, values).fetchall()


@contextmanager
def open_store(folder: Path) -> Iterator[Store]:
    """Open the store of a board's folder; both are made where they do not exist.

    Raises:
        UserError: the folder cannot be made or written to, or the database is damaged.

    Example:
        >>> from pathlib import Path
        >>> from df2_landmarks.challenge.board import open_store
        >>> with open_store(Path("board")) as store:
        ...     token = store.add_team("tailors")
        ...     print(store.team_of(token).name)
        tailors
    """
    make_output_folder(folder, "the data folder")
    store = Store(folder / DATABASE)
    try:
        yield store
    finally:
        store.close()


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _submission(row: sqlite3.Row) -> Submission:
    score = None
    if row["scored"] is not None:
        score = SubmissionScore(**{name: row[name] for name in SubmissionScore.__struct_fields__})
    fields = [name for name in Submission.__struct_fields__ if name != "score"]
    return Submission(**{name: row[name] for name in fields}, score=score)
