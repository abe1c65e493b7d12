"""Submissions over a real server: what is accepted, what is refused, what teams and others see."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import sqlite3
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import pytest
import uvicorn

from df2_landmarks.challenge.board import Board, open_board, open_store
from df2_landmarks.cli import score as score_command
from df2_landmarks.web import Limits, create_app, score_section
from tests.challenge.cases import Zips, make_phase, write_zip, write_zips
from tests.web.served import running

MARKUP = "<img src=x onerror=alert(1)> {{7*7}} & sons"
FIELDS = {"phase": "validation", "method_description": "heatmaps", "external_data": "no"}


class Served(NamedTuple):
    """A server, its board, and the token of a team."""

    url: str
    board: Board
    token: str
    folder: Path


@contextmanager
def served(tmp_path: Path, *, limits: Limits | None = None, **options: Any) -> Iterator[Served]:
    """Run a server of a board in a thread."""
    folder = tmp_path / "board"
    phase = make_phase(tmp_path)
    with open_board(folder, [phase], **options) as board:
        token = board.store.add_team("tailors")
        app = create_app([score_section(board)], limits=limits or Limits())
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, http="h11", log_level="critical"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield Served(f"http://127.0.0.1:{listener.getsockname()[1]}/", board, token, folder)
        finally:
            server.should_exit = True
            thread.join()


def ask(
    url: str,
    path: str,
    *,
    token: str = "",
    data: Any = None,
    headers: dict[str, str] | None = None,
    method: str | None = None,
    **query: object,
) -> tuple[int, Any]:
    """Return the status and the content of the answer."""
    headers = {"Authorization": f"Bearer {token}"} | (headers or {})
    request = urllib.request.Request(
        f"{url}{path}?{urlencode(query)}", data, headers, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())["error"]


def submit(url: str, token: str, path: Path, **fields: str) -> tuple[int, Any]:
    return ask(url, "submissions", token=token, data=path.read_bytes(), **{**FIELDS, **fields})


def history(url: str, token: str) -> list[dict[str, Any]]:
    status, answer = ask(url, "submissions", token=token)
    assert status == 200, answer
    rows: list[dict[str, Any]] = answer["submissions"]
    return rows


def wait_for_scores(url: str, token: str) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        rows = history(url, token)
        if all(row["state"] in ("scored", "failed") for row in rows):
            return rows
        time.sleep(0.1)
    raise AssertionError(rows)


@pytest.fixture
def zips(tmp_path: Path) -> Zips:
    return write_zips(tmp_path)


def test_a_zip_in_and_the_score_of_df2_score_on_the_leaderboard(tmp_path: Path, zips: Zips) -> None:
    with served(tmp_path) as (url, board, token, _):
        other = board.store.add_team(MARKUP)
        assert submit(url, token, zips.good) == (202, {"id": 1})
        assert submit(url, token, zips.good, method_description="again") == (202, {"id": 1})
        assert submit(url, other, zips.better, method_description=MARKUP) == (202, {"id": 2})
        assert submit(url, other, zips.broken) == (202, {"id": 3})
        (mine,) = wait_for_scores(url, token)
        failed, best = wait_for_scores(url, other)
        status, leaderboard = ask(url, "leaderboard", phase="validation")
        assert status == 200
        assert ask(url, "score", token=token, submission=2)[0] == 404, "of another team"
        status, details = ask(url, "score", token=other, submission=2)
        assert status == 200

    gt, out = tmp_path / "validation.json", tmp_path / "scores.json"
    command = ["--gt", gt, "--results", zips.better, "--json", out]
    assert score_command.main(list(map(str, command))) == 0
    assert details["scores"] == json.loads(out.read_text())
    rows = leaderboard["entries"]
    assert [row["submission"]["team"] for row in rows] == [MARKUP, "tailors"]
    assert [row["submission"]["method_description"] for row in rows] == [MARKUP, "heatmaps"]
    assert [row["submission"] for row in rows] == [best, mine]
    aps = [row["submission"]["score"]["visible_and_occluded"] for row in rows]
    assert aps[0] == details["scores"]["visible_and_occluded"]["AP"] > aps[1]
    assert failed["message"].startswith("submission.zip:val_keypoints.json, record 0: ")


def test_who_has_no_token_is_refused(tmp_path: Path, zips: Zips) -> None:
    with served(tmp_path) as (url, board, _, _):
        assert submit(url, "wrong", zips.good)[0] == 401
        assert ask(url, "submissions")[0] == 401
        assert ask(url, "score", submission=1)[0] == 401
        assert not board.leaderboard("validation")


@pytest.mark.parametrize(
    ("change", "status", "expected"),
    [
        ({"phase": "test"}, 400, "phase: must be validation, but got 'test'"),
        ({"external_data": "maybe"}, 400, "external_data: must be no or yes"),
        ({"method_description": ""}, 400, "must have 1 to 2000 characters, but has 0"),
        ({"wish": "first place"}, 400, "unknown field `wish`"),
        ({"headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 415, "--data-binary"),
        ({"headers": {"Origin": "https://evil.example"}}, 403, "another site"),
        ({"headers": {"Host": "evil.example"}}, 403, "does not have that name"),
        ({"method": "PUT"}, 405, ""),
    ],
)
def test_wrong_requests_are_refused(
    tmp_path: Path, zips: Zips, change: dict[str, Any], status: int, expected: str
) -> None:
    with served(tmp_path) as (url, _, token, folder):
        data = zips.good.read_bytes()
        got, message = ask(url, "submissions", token=token, data=data, **{**FIELDS, **change})
        assert (got, expected in message) == (status, True), message
        assert not history(url, token)
        assert not list((folder / "tmp").iterdir())


@pytest.mark.parametrize("number", ["0", "-1", "x", str(1 << 80)])
def test_a_wrong_number_of_a_submission_is_refused(tmp_path: Path, number: str) -> None:
    with served(tmp_path, scores=False) as (url, _, token, _):
        assert ask(url, "score", token=token, submission=number)[0] == 400


def test_a_large_upload_is_refused_with_and_without_its_length(tmp_path: Path) -> None:
    with served(tmp_path, max_bytes=100_000) as (url, _, token, folder):
        data = bytes(10_000_000)
        for body in (data, iter([data[:50_000]] * 200)):  # the second is sent in chunks
            status, message = ask(url, "submissions", token=token, data=body, **FIELDS)
            assert (status, "larger than 0.1 MB" in message) == (413, True), message
        assert not history(url, token)
        assert not list((folder / "tmp").iterdir())
        assert not list((folder / "submissions").iterdir())


def begin_upload(url: str, token: str, data: bytes, length: int) -> http.client.HTTPConnection:
    """Send a part of an upload."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    connection.putrequest("POST", f"/submissions?{urlencode(FIELDS)}")
    connection.putheader("Authorization", f"Bearer {token}")
    connection.putheader("Content-Length", str(length))
    connection.endheaders(data)
    return connection


def test_an_upload_that_is_cut_off_is_forgotten(tmp_path: Path, zips: Zips) -> None:
    data = zips.good.read_bytes()
    with served(tmp_path) as (url, _, token, folder):
        connection = begin_upload(url, token, data[:-1], len(data))
        wait_until(lambda: any((folder / "tmp").iterdir()))
        connection.close()
        wait_until(lambda: not any((folder / "tmp").iterdir()))
        assert not history(url, token)
        assert submit(url, token, zips.good)[0] == 202


def wait_until(is_so: Any) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_slow_upload_is_refused(tmp_path: Path) -> None:
    limits = Limits(upload_seconds=0.5)
    with served(tmp_path, limits=limits, max_bytes=1000) as (url, _, token, folder):
        answer = begin_upload(url, token, b"PK", 100).getresponse()
        assert answer.status == 408
        assert "within 0.5 seconds" in json.loads(answer.read())["error"]
        assert not list((folder / "tmp").iterdir())


def test_the_daily_limit_is_an_answer(tmp_path: Path, zips: Zips) -> None:
    with served(tmp_path, daily_limit=1) as (url, _, token, _):
        assert submit(url, token, zips.good)[0] == 202
        status, message = submit(url, token, zips.better)
        assert status == 429 and "has used the 1 submissions of this day" in message
        assert submit(url, token, zips.good)[0] == 202, "a retry"


def test_a_locked_database_is_busy(
    tmp_path: Path, zips: Zips, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("df2_landmarks.challenge.board.store.BUSY_S", 0.1)
    with served(tmp_path, scores=False) as (url, _, token, folder):
        other = sqlite3.connect(folder / "board.sqlite3", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert submit(url, token, zips.good) == (503, "busy: try again")
        assert not history(url, token)
        other.execute("ROLLBACK")
        other.close()
        assert submit(url, token, zips.good)[0] == 202


def test_a_full_disk_is_an_answer(
    tmp_path: Path, zips: Zips, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(tmp_path) as (url, _, token, _):
        assert ask(url, "healthz")[0] == 200
        usage = shutil.disk_usage(tmp_path)._replace(free=1000)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
        status, message = submit(url, token, zips.good)
        assert (status, "disk" in message) == (507, True)
        request = urllib.request.Request(f"{url}healthz")
        with pytest.raises(urllib.error.HTTPError) as unwell:
            urllib.request.urlopen(request)
        assert unwell.value.code == 503


def test_health_tells_when_nothing_is_scored(tmp_path: Path) -> None:
    with served(tmp_path) as (url, board, _, _):
        status, answer = ask(url, "healthz")
        assert status == 200 and answer["sections"]["score"]["waiting"] == 0
        board.worker.stop()
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{url}healthz")


def test_the_schema_has_the_routes(tmp_path: Path) -> None:
    with served(tmp_path, scores=False) as (url, *_):
        _, document = ask(url, "openapi.json")
        for path in ("/submissions", "/score", "/leaderboard"):
            operation = document["paths"][path]["get"]
            reference = operation["responses"]["200"]["content"]["application/json"]["schema"]
            assert reference["$ref"].rpartition("/")[2] in document["components"]["schemas"]
        assert "202" in document["paths"]["/submissions"]["post"]["responses"]


# ---- The command


def test_the_command_serves_both_phases_and_a_second_server_is_refused(
    tmp_path: Path, zips: Zips, run_python: Any
) -> None:
    make_phase(tmp_path)
    make_phase(tmp_path, "test")
    phases = [f"{name}={tmp_path / name}.json" for name in ("validation", "test")]
    command = ("-m", "df2_landmarks.cli.main", "web", "--port", 0, "--data", tmp_path / "board")
    with running(*command, "--gt", phases[0], "--gt", phases[1]) as server:
        url = server.url
        with open_store(tmp_path / "board") as store:
            token = store.add_team("tailors")
        with zipfile.ZipFile(zips.good) as archive:
            records = json.loads(archive.read("val_keypoints.json"))
        path = write_zip(tmp_path / "test.zip", records, split="test")
        assert submit(url, token, path, phase="test") == (202, {"id": 1})
        (row,) = wait_for_scores(url, token)
        assert row["state"] == "scored", row
        second = run_python(*command, "--gt", phases[0])
        assert second.returncode == 1
        assert second.stderr == (
            f"df2 web: --data {tmp_path / 'board'}: process {server.process.pid} is writing into "
            "this folder; wait for its end, or name another folder\n"
        )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "give the WEIGHTS of a model"),
        (["--gt", "final=x"], "--gt: must be validation=FILE or test=FILE, but got 'final=x'"),
        (["--gt", "test=x.json"], "there is no such ground truth"),
        (["--gt", "{gt}", "--gt", "{gt}"], "a phase is named twice"),
    ],
)
def test_mistakes_of_the_organizer_are_a_line(
    tmp_path: Path, arguments: list[str], expected: str, run_python: Any
) -> None:
    make_phase(tmp_path)
    gt = f"validation={tmp_path / 'validation.json'}"
    words = [word.format(gt=gt) for word in arguments]
    done = run_python("-m", "df2_landmarks.cli.main", "web", *words, "--data", tmp_path / "board")
    assert done.returncode in (1, 2)
    (line,) = done.stderr.splitlines()
    assert expected in line
