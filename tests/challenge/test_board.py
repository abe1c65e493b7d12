"""A board: what is accepted, what is refused, what counts, and who leads."""

from __future__ import annotations

import copy
import errno
import hashlib
import json
import os
import shutil
import sqlite3
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from df2_landmarks.challenge.board import (
    Board,
    DailyLimitError,
    DiskFullError,
    Limits,
    Phase,
    Store,
    TooLargeError,
    open_board,
    open_store,
    worker,
)
from df2_landmarks.cli import score as score_command
from df2_landmarks.common import UserError
from tests.challenge.cases import TRUTH, Zips, make_phase, make_team, submit, write_zip, write_zips
from tests.support import run_python


@pytest.fixture
def zips(tmp_path: Path) -> Zips:
    return write_zips(tmp_path)


@pytest.fixture
def phase(tmp_path: Path) -> Phase:
    return make_phase(tmp_path)


@contextmanager
def opened(tmp_path: Path, *phases: Phase, **options: Any) -> Iterator[Board]:
    """A board whose worker waits for `score_all`."""
    with open_board(tmp_path / "board", phases, scores=False, **options) as board:
        yield board


def score_all(board: Board) -> None:
    while board.worker.score_next():
        pass


def test_the_score_is_that_of_df2_score(tmp_path: Path, zips: Zips, phase: Phase) -> None:
    out = tmp_path / "scores.json"
    command = ["--gt", phase.ground_truth, "--results", zips.better, "--json", out, "--diagnose"]
    assert score_command.main([str(word) for word in command]) == 0
    expected = json.loads(out.read_text())
    diagnosis = expected["visible_and_occluded"].pop("diagnosis")
    with opened(tmp_path, phase) as board:
        team = make_team(board)
        submission_id = submit(board, team, zips.better)
        score_all(board)
        details = json.loads(board.store.details(team, submission_id) or "")
        (entry,) = board.leaderboard("validation")
    assert details["scores"] == expected
    score = entry.submission.score
    assert score is not None
    assert score.visible_and_occluded == expected["visible_and_occluded"]["AP"] > 0.2
    assert score.visible == expected["visible"]["AP"]
    assert score.scorer == details["scorer"] == expected["visible"]["scorer"]
    assert score.ground_truth_sha256 == hashlib.sha256(phase.ground_truth.read_bytes()).hexdigest()
    assert all(name in details["diagnosis"] for name in diagnosis["ladder"])


def test_the_test_phase_shows_no_diagnosis(tmp_path: Path, zips: Zips) -> None:
    with opened(tmp_path, make_phase(tmp_path, "test")) as board:
        team = make_team(board)
        records = json.loads(_member(zips.good))
        path = write_zip(tmp_path / "test.zip", records, split="test")
        submission_id = submit(board, team, path, phase="test")
        score_all(board)
        details = json.loads(board.store.details(team, submission_id) or "")
        assert details["diagnosis"] is None
        assert details["scores"]["visible"]["AP"] > 0
        other = submit(board, team, zips.good, phase="test")
        score_all(board)
        (failed, _) = board.store.history(team)
    assert failed.id == other
    assert failed.message == (
        "submission.zip: must hold test_keypoints.json without a folder, but holds "
        "'val_keypoints.json'"
    )


def _member(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(archive.namelist()[0])


def test_the_best_entry_of_each_team_is_ranked(tmp_path: Path, zips: Zips, phase: Phase) -> None:
    with opened(tmp_path, phase) as board:
        names = ("first", "second", "<b>third</b>")
        first, second, third = (make_team(board, name) for name in names)
        for team, path in ((first, zips.good), (second, zips.good), (third, zips.good)):
            submit(board, team, path)
        best = submit(board, second, zips.better, method_description="more heatmaps")
        score_all(board)
        board_rows = board.leaderboard("validation")
        assert [entry.submission.team for entry in board_rows] == [
            "second",
            "first",  # as good as the third's, but earlier
            "<b>third</b>",
        ]
        assert [entry.rank for entry in board_rows] == [1, 2, 3]
        assert [entry.num_scored for entry in board_rows] == [2, 1, 1]
        assert board_rows[0].submission.id == best
        assert board_rows[0].submission.method_description == "more heatmaps"
        assert len(board.store.history(second)) == 2
        assert board.store.details(first, best) is None, "of another team"


def test_a_retried_upload_is_the_same_submission(tmp_path: Path, zips: Zips, phase: Phase) -> None:
    with opened(tmp_path, phase, daily_limit=1) as board:
        team, other = make_team(board), make_team(board, "others")
        submission_id = submit(board, team, zips.good)
        assert submit(board, team, zips.good) == submission_id
        score_all(board)
        assert submit(board, team, zips.good) == submission_id
        assert submit(board, other, zips.good) != submission_id
        assert len(board.store.history(team)) == 1
        assert not list((tmp_path / "board/tmp").iterdir())


def test_failed_checks_do_not_count_against_the_daily_limit(
    tmp_path: Path, zips: Zips, phase: Phase
) -> None:
    times = ["2026-11-26T23:59:58Z"]
    with opened(tmp_path, phase, daily_limit=1, clock=lambda: times[-1]) as board:
        team = make_team(board)
        broken = submit(board, team, zips.broken)
        with pytest.raises(DailyLimitError):  # it may still turn out to be good
            submit(board, team, zips.good)
        score_all(board)
        (failed,) = board.store.history(team)
        assert failed.state == "failed"
        assert failed.message.startswith("submission.zip:val_keypoints.json, record 0: ")
        good = submit(board, team, zips.good)
        with pytest.raises(DailyLimitError, match="has used the 1 submissions of this day"):
            submit(board, team, zips.better)
        kept = sorted(path.name for path in (tmp_path / "board/submissions").iterdir())
        assert len(kept) == 2, "what is refused is not kept"
        submit(board, make_team(board, "others"), zips.better)
        times.append("2026-11-27T00:00:00Z")
        assert submit(board, team, zips.better) > good > broken


def test_what_failed_may_be_tried_again(tmp_path: Path, zips: Zips, phase: Phase) -> None:
    with opened(tmp_path, phase, limits=Limits(wall_s=0.01)) as board:
        team = make_team(board)
        submission_id = submit(board, team, zips.good)
        score_all(board)
        assert board.store.history(team)[0].message == "was not scored within 0.01 s"
    with opened(tmp_path, phase) as board:
        assert submit(board, team, zips.good, external_data="yes") == submission_id
        score_all(board)
        (submission,) = board.store.history(team)
        assert (submission.state, submission.message) == ("scored", "")
        assert submission.external_data == "yes"


def test_entries_of_a_replaced_ground_truth_are_marked(
    tmp_path: Path, zips: Zips, phase: Phase
) -> None:
    with opened(tmp_path, phase) as board:
        first, second = make_team(board, "first"), make_team(board, "second")
        submit(board, first, zips.better)
        score_all(board)
        old = board.store.history(first)[0].score
    changed = copy.deepcopy(TRUTH)
    changed["annotations"] = changed["annotations"][3:]
    other = make_phase(tmp_path, truth=changed)
    with opened(tmp_path, other) as board:
        submit(board, second, zips.good)
        score_all(board)
        rows = board.leaderboard("validation")
        assert [(row.submission.team, row.ground_truth_replaced) for row in rows] == [
            ("second", False),
            ("first", True),
        ]
        assert rows[1].submission.score == old
    with opened(tmp_path, other, rescore=True) as board:
        assert board.leaderboard("validation")[1].submission.score == old, "until the new one"
        score_all(board)
        rows = board.leaderboard("validation")
        assert [row.ground_truth_replaced for row in rows] == [False, False]
        assert rows[0].submission.team == "first"
        assert rows[0].submission.score != old


def test_a_ground_truth_replaced_below_a_running_server_gives_no_score(
    tmp_path: Path, zips: Zips, phase: Phase
) -> None:
    with opened(tmp_path, phase) as board:
        team = make_team(board)
        submit(board, team, zips.good)
        make_phase(tmp_path, truth={**TRUTH, "annotations": TRUTH["annotations"][1:]})
        score_all(board)
        (submission,) = board.store.history(team)
    assert submission.state == "failed" and submission.score is None
    assert "replaced while the server runs" in submission.message


def test_an_organizer_s_trouble_is_not_shown_to_teams(
    tmp_path: Path, zips: Zips, phase: Phase
) -> None:
    with opened(tmp_path, phase) as board:
        team = make_team(board)
        submit(board, team, zips.good)
        phase.ground_truth.unlink()
        score_all(board)
        (submission,) = board.store.history(team)
    assert submission.message == (
        "the scorer ended with code 1; the organizer finds the reason in the log"
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"phase": "test"}, "phase: must be validation, but got 'test'"),
        ({"external_data": "maybe"}, "external_data: must be no or yes, but got 'maybe'"),
        ({"method_description": " "}, "must have 1 to 2000 characters, but has 0"),
        ({"method_description": "x" * 2001}, "must have 1 to 2000 characters, but has 2001"),
    ],
)
def test_wrong_fields_are_refused(
    tmp_path: Path, zips: Zips, phase: Phase, fields: dict[str, str], expected: str
) -> None:
    with opened(tmp_path, phase) as board:
        team = make_team(board)
        with pytest.raises(UserError) as refused:
            submit(board, team, zips.good, **fields)
        assert expected in str(refused.value)
        assert not board.store.history(team)
        assert not list((tmp_path / "board/submissions").iterdir())


def test_a_large_upload_is_refused_while_it_comes_in(tmp_path: Path, phase: Phase) -> None:
    with opened(tmp_path, phase, max_bytes=100) as board:
        with board.new_upload() as upload:
            upload.write(bytes(100))
            with pytest.raises(TooLargeError, match="at most 0 MB"):
                upload.write(b"x")
        assert not list((tmp_path / "board/tmp").iterdir())


def test_a_full_disk_refuses_uploads_and_keeps_the_rest(
    tmp_path: Path, zips: Zips, phase: Phase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with opened(tmp_path, phase) as board:
        team = make_team(board)
        good = submit(board, team, zips.good)
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            with pytest.raises(DiskFullError, match="the disk of the board is full"):
                submit(board, team, zips.better)
        with monkeypatch.context() as patched:
            usage = shutil.disk_usage(tmp_path)._replace(free=board.max_bytes)
            patched.setattr(shutil, "disk_usage", lambda _: usage)
            with pytest.raises(DiskFullError, match="nearly full"):
                board.new_upload()
        assert [submission.id for submission in board.store.history(team)] == [good]
        assert not list((tmp_path / "board/tmp").iterdir())


def test_tokens_are_not_stored_and_can_be_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "board"
    with open_store(folder) as store:
        old = store.add_team("tailors")
        other = store.add_team("others")
        new = store.replace_token("tailors")
        assert store.team_of(old) is None
        assert store.team_of("") is None
        found = [store.team_of(token) for token in (new, other)]
        assert [team.name for team in found if team] == ["tailors", "others"]
    for path in folder.iterdir():
        assert new.encode() not in path.read_bytes()
        assert other.encode() not in path.read_bytes()


@pytest.mark.parametrize("name", ["", "  ", "x" * 81, "a\nb", "\x1b[2J", "\udcff"])
def test_a_team_needs_a_name(tmp_path: Path, name: str) -> None:
    with open_store(tmp_path) as store, pytest.raises(UserError, match="1 to 80 printable"):
        store.add_team(name)


def test_a_team_s_name_is_taken_once(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.add_team("tailors")
        with pytest.raises(UserError, match="--new-token replaces its token"):
            store.add_team("tailors")
        with pytest.raises(UserError, match="there is no team 'others'"):
            store.replace_token("others")


def test_a_second_server_is_refused_in_one_sentence(tmp_path: Path, phase: Phase) -> None:
    program = (
        "import sys; from pathlib import Path;"
        "from df2_landmarks.challenge.board import open_board;"
        "from df2_landmarks.common import run_command;"
        "sys.exit(run_command(lambda: open_board(Path(sys.argv[1]), []).__enter__() and 0, 'df2'))"
    )
    with opened(tmp_path, phase):
        second = run_python("-c", program, tmp_path / "board")
    assert second.returncode == 1
    (line,) = second.stderr.splitlines()
    assert f"process {os.getpid()} is writing into this folder" in line


def test_a_team_is_made_while_the_server_runs(tmp_path: Path, phase: Phase) -> None:
    with opened(tmp_path, phase) as board:
        with open_store(tmp_path / "board") as store:
            token = store.add_team("late")
        assert board.store.team_of(token) is not None


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "board.sqlite3").write_text("these are notes" * 100)
    with pytest.raises(UserError, match="must be the database of a board"), open_store(tmp_path):
        pass
    later = tmp_path / "later"
    with open_store(later):
        pass
    connection = sqlite3.connect(later / "board.sqlite3")
    connection.execute("PRAGMA user_version=2")
    connection.close()
    with pytest.raises(UserError, match="later version"), open_store(later):
        pass


def test_an_error_while_a_score_is_stored_delays_it(
    tmp_path: Path, zips: Zips, phase: Phase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "RETRY_S", 0.01)
    set_score, errors = Store.set_score, [sqlite3.OperationalError("database is locked")] * 2

    def failing(*arguments: Any) -> None:
        if errors:
            raise errors.pop()
        set_score(*arguments)

    monkeypatch.setattr(Store, "set_score", failing)
    with open_board(tmp_path / "board", [phase]) as board:
        team = make_team(board)
        submit(board, team, zips.good)
        deadline = time.monotonic() + 60
        while board.store.num_waiting():
            assert time.monotonic() < deadline and board.worker.is_alive()
            time.sleep(0.05)
        assert [one.state for one in board.store.history(team)] == ["scored"]
    assert not errors


HOSTILE = {
    "not a zip": b"%PDF-1.7 results",
    "empty": b"",
    "truncated": None,
    "bomb": b"[" + b" " * 100_000_000,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_zips_fail_with_a_line(tmp_path: Path, zips: Zips, phase: Phase, kind: str) -> None:
    path = tmp_path / "hostile.zip"
    content = HOSTILE[kind]
    path.write_bytes(zips.good.read_bytes()[:-100] if content is None else content)
    if kind == "bomb":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("val_keypoints.json", content)
    with opened(tmp_path, phase) as board:
        team = make_team(board)
        submit(board, team, path)
        score_all(board)
        (submission,) = board.store.history(team)
    assert submission.state == "failed"
    assert submission.message.startswith("submission.zip"), submission.message
    assert len(submission.message.splitlines()) == 1


def test_other_files_of_the_folder_stay(tmp_path: Path, phase: Phase) -> None:
    (tmp_path / "board/tmp").mkdir(parents=True)
    mine, left = tmp_path / "board/tmp/letter.txt", tmp_path / "board/tmp/abc.upload"
    mine.touch()
    left.touch()
    with opened(tmp_path, phase):
        assert mine.exists() and not left.exists()


def test_phases_that_the_server_has_not_stay_queued(
    tmp_path: Path, zips: Zips, phase: Phase
) -> None:
    with opened(tmp_path, phase) as board:
        team = make_team(board)
        submit(board, team, zips.good)
    with opened(tmp_path, make_phase(tmp_path, "test")) as board:
        score_all(board)
        assert [submission.state for submission in board.store.history(team)] == ["queued"]
