"""A process killed at any step loses no accepted submission, doubles none, shows no half score."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from df2_landmarks.challenge.board import Board, Phase, Team, open_board, worker
from df2_landmarks.challenge.board.scoring import Outcome
from tests.challenge.cases import Zips, make_phase, make_team, submit, write_zips

AP = {"good.zip": 0.25, "better.zip": 0.5}


def canned_scorer(zips: Zips, phase: Phase) -> Callable[..., Outcome]:
    """A scorer that knows the scores: starting processes is tested elsewhere."""
    by_hash = {
        hashlib.sha256(path.read_bytes()).hexdigest(): AP[path.name]
        for path in (zips.good, zips.better)
    }

    def run(_phase: Phase, path: Path, *_: object) -> Outcome:
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        assert sha256 in path.name
        scores = {name: {"AP": by_hash[sha256]} for name in ("visible_and_occluded", "visible")}
        details = {"scores": scores, "scorer": "x", "ground_truth_sha256": phase.sha256}
        return Outcome(details=details)

    return run


def in_a_process(action: Callable[[], None], step: Callable[[str], None]) -> int:
    """Carry out an action in a forked process that calls ``step`` before each thing it does.

    Returns:
        The exit code, negative for a signal.
    """
    process_id = os.fork()
    if process_id == 0:
        code = 1
        try:
            os.replace, os.fsync, sqlite3.connect = (
                stepping("replace", step, os.replace),
                stepping("fsync", step, os.fsync),
                traced(step, sqlite3.connect),
            )
            action()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(process_id, 0)[1])


def stepping(name: str, step: Callable[[str], None], function: Any) -> Any:
    def run(*args: Any) -> Any:
        step(name)
        return function(*args)

    return run


def traced(step: Callable[[str], None], connect: Any) -> Any:
    def run(*args: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **options)
        connection.set_trace_callback(lambda statement: step(statement.split()[0]))
        return connection

    return run


def test_a_kill_at_any_step_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zips, phase = write_zips(tmp_path), make_phase(tmp_path)
    monkeypatch.setattr(worker, "run_scorer", canned_scorer(zips, phase))
    seen_states = set()
    for number in itertools.count():
        folder, acknowledged = tmp_path / f"board-{number}", tmp_path / f"acknowledged-{number}"
        with open_board(folder, [phase], scores=False) as board:
            team = make_team(board)
        steps = itertools.count()

        def step(_name: str, number: int = number, steps: Any = steps) -> None:
            if next(steps) == number:
                os.kill(os.getpid(), signal.SIGKILL)

        def action(
            folder: Path = folder, team: Team = team, acknowledged: Path = acknowledged
        ) -> None:
            with open_board(folder, [phase], scores=False) as board, acknowledged.open("w") as told:
                for path in (zips.good, zips.better):
                    told.write(f"{submit(board, team, path)}\n")
                    told.flush()
                while board.worker.score_next():
                    pass

        code = in_a_process(action, step)
        assert code in (0, -signal.SIGKILL)
        ids = list(map(int, acknowledged.read_text().split())) if acknowledged.exists() else []
        with open_board(folder, [phase], scores=False) as board:
            seen_states |= check_after_the_crash(board, team, ids, folder)
            again = [submit(board, team, path) for path in (zips.good, zips.better)]
            assert again[: len(ids)] == ids, "a retried upload is the same submission"
            while board.worker.score_next():
                pass
            history = board.store.history(team)
            assert {one.id: one.score and one.score.visible for one in history} == {
                again[0]: AP["good.zip"],
                again[1]: AP["better.zip"],
            }
            assert board.leaderboard("validation")[0].submission.id == again[1]
            assert len(list((folder / "submissions").iterdir())) == 2
            assert not list((folder / "tmp").iterdir())
        if code == 0:
            break
    assert number > 30, "steps that were tried"
    assert seen_states == {"queued", "scored"}


def check_after_the_crash(board: Board, team: Team, ids: list[int], folder: Path) -> set[str]:
    history = {submission.id: submission for submission in board.store.history(team)}
    assert set(ids) <= set(history), "an accepted submission is lost"
    assert len(history) - len(ids) <= 1
    for submission in history.values():
        path = folder / "submissions" / f"validation-{team.id}-{submission.sha256}.zip"
        assert hashlib.sha256(path.read_bytes()).hexdigest() == submission.sha256
        details = board.store.details(team, submission.id)
        if submission.state == "scored":
            scores = json.loads(details or "")["scores"]
            assert submission.score and submission.score.visible == scores["visible"]["AP"]
        else:
            assert submission.score is None and details is None, "half a score"
    ranked = {entry.submission.id for entry in board.leaderboard("validation")}
    scored = {one.id for one in history.values() if one.state == "scored"}
    assert ranked <= scored and bool(ranked) == bool(scored)
    return {submission.state for submission in history.values()}


def test_the_file_is_on_the_disk_before_the_row_and_the_row_before_the_answer(
    tmp_path: Path,
) -> None:
    zips, phase = write_zips(tmp_path), make_phase(tmp_path)
    with open_board(tmp_path / "board", [phase], scores=False) as board:
        team = make_team(board)
    steps = tmp_path / "steps"

    def step(name: str) -> None:
        with steps.open("a") as file:
            file.write(f"{name} ")

    def action() -> None:
        with open_board(tmp_path / "board", [phase], scores=False) as board:
            step("upload")
            submit(board, team, zips.good)
            step("answer")

    assert in_a_process(action, step) == 0
    written = steps.read_text().partition("upload ")[2].partition("answer")[0].split()
    assert [name for name in written if name != "SELECT"] == [
        *("fsync", "replace", "fsync"),  # of the file, and of its folder
        *("BEGIN", "INSERT", "COMMIT"),
    ]


def test_commits_are_synced(tmp_path: Path) -> None:
    """What `synchronous=FULL` and the write-ahead log mean is SQLite's matter."""
    with open_board(tmp_path, [], scores=False) as board:
        connection = board.store._connection
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert connection.execute("PRAGMA busy_timeout").fetchone()[0] >= 1000
