"""A server that is killed while teams submit: nothing is lost, nothing doubled, no half score.

`make test-slow` kills it 50 times; the test twice.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from df2_landmarks.challenge.board import open_store
from df2_landmarks.evaluation import score
from df2_landmarks.formats import read_ground_truth, read_results
from tests.challenge.cases import make_phase, results, write_zip
from tests.support import ROOT
from tests.web.test_score import ask, submit, wait_for_scores

KILLS = int(os.environ.get("KILLS", "2"))
SEED = int(os.environ.get("SEED", "0"))
NUM_ZIPS = 3 + KILLS // 2


class Client(threading.Thread):
    """A team that submits its zips again and again, whether they were accepted or not."""

    def __init__(self, url: str, token: str, zips: dict[Path, float]) -> None:
        super().__init__(daemon=True)
        self.url, self.token, self.zips = url, token, zips
        self.accepted: dict[Path, set[int]] = {}
        self.wrong: list[object] = []
        self.stopping = threading.Event()

    def run(self) -> None:
        rng = random.Random(self.token)
        while not self.stopping.wait(rng.uniform(0, 1)):
            path = rng.choice(list(self.zips))
            try:
                status, answer = submit(self.url, self.token, path)
                if status == 202:
                    self.accepted.setdefault(path, set()).add(answer["id"])
                elif status != 503:
                    self.wrong.append(answer)
                _, leaderboard = ask(self.url, "leaderboard", phase="validation")
                aps = [row["submission"]["score"]["visible"] for row in leaderboard["entries"]]
                self.wrong += set(aps) - set(self.zips.values())
            except (OSError, ValueError):  # the server was killed
                continue


def start(tmp_path: Path, port: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "df2_landmarks.cli.main", "web", "--port", str(port)),
            *("--gt", f"validation={tmp_path / 'validation.json'}", "--daily-limit", "100"),
            *("--data", str(tmp_path / "board")),
        ],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )


def is_scoring(folder: Path) -> bool:
    """Whether a submission was being scored when the server was killed."""
    with contextlib.closing(sqlite3.connect(folder / "board.sqlite3")) as connection:
        query = "SELECT count(*) FROM submissions WHERE state = 'running'"
        return connection.execute(query).fetchone()[0] > 0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.mark.slow
def test_a_server_that_is_killed_loses_nothing_and_has_nothing_twice(tmp_path: Path) -> None:
    phase = make_phase(tmp_path)
    ground_truth = read_ground_truth(phase.ground_truth)
    zips = {}
    for number in range(NUM_ZIPS):
        path = write_zip(tmp_path / f"{number}.zip", results(noise=1 + 2 * number))
        detections = read_results(path, ground_truth)
        zips[path] = score(ground_truth, detections, "visible").curves.summary()["AP"]
    with open_store(tmp_path / "board") as store:
        tokens = [store.add_team(f"team {number}") for number in range(3)]
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    clients = [Client(url, token, zips) for token in tokens]
    rng = random.Random(SEED)
    server, num_hit = start(tmp_path, port), 0
    for client in clients:
        client.start()
    for _ in range(KILLS):
        wait_for_server(port)
        time.sleep(rng.uniform(0, 3))
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
        num_hit += is_scoring(tmp_path / "board")
        server = start(tmp_path, port)
    assert num_hit >= KILLS // 4, "too few kills hit a submission that was being scored"
    try:
        wait_for_server(port)
        for client in clients:
            client.stopping.set()
            client.join()
            for path in zips:  # what had no answer is sent once more
                status, answer = submit(url, client.token, path)
                assert status == 202
                client.accepted.setdefault(path, set()).add(answer["id"])
            assert not client.wrong
            rows = {row["id"]: row for row in wait_for_scores(url, client.token)}
            ids = {path: numbers.pop() for path, numbers in client.accepted.items()}
            assert not any(client.accepted.values()), "a zip with two ids"
            assert set(ids.values()) == set(rows), "lost or doubled"
            for path, number in ids.items():
                assert rows[number]["score"]["visible"] == zips[path]
    finally:
        server.kill()
        server.wait()
    assert not list((tmp_path / "board/tmp").iterdir())


def wait_for_server(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the server does not start")
