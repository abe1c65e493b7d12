"""Load `df2 web` with more photos than it can answer, and with submissions: waiting, memory.

    python benchmarks/web/load.py --weights output/demo/model_final.pth

Twenty clients send drawn photos for a minute, each its next one when the last is answered. Who is
told "busy" waits as long as ``Retry-After`` says. Five teams submit a zip each, and the next one
when the last is scored. Any other refusal, and a submission that fails, is an error, and the exit
code is then 1. *Memory* is the resident memory of the server, of the process with its model and of
those that score, read from /proc five times a second.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from converters.deepfashion2_to_coco import main as convert
from df2_landmarks.challenge.board import open_store
from df2_landmarks.formats import MEMBERS
from df2_landmarks.synthetic import write_dataset
from df2_landmarks.taxonomy import DEEPFASHION2

NUM_PHOTOS = 40
MAX_MOVED_PX = 50
SIZE_PX = 800
BUSY = 503


class Teams:
    """Teams that submit the ground truth with its landmarks moved, each time by another amount."""

    def __init__(self, url: str, board: Path, annotations: Path, seconds: float) -> None:
        self.url = url
        self.board = board
        self.items = json.loads(annotations.read_text())["annotations"]
        self.deadline = time.monotonic() + seconds
        self.accepting_seconds: list[float] = []
        self.scoring_seconds: list[float] = []
        self.errors: list[str] = []

    def team(self, number: int) -> None:
        """Submit until the time is over."""
        with open_store(self.board) as store:
            token = store.add_team(f"team {number}")
        rng = np.random.default_rng(number)
        while time.monotonic() < self.deadline:
            query = "phase=validation&external_data=no&method_description=moved"
            started = time.monotonic()
            accepted = self.ask(
                f"submissions?{query}", token, self.zip(rng.uniform(0, MAX_MOVED_PX))
            )
            self.accepting_seconds.append(time.monotonic() - started)
            state = "queued"
            while state in ("queued", "running"):
                time.sleep(0.2)
                newest = self.ask("submissions", token)["submissions"][0]
                assert newest["id"] == accepted["id"], newest
                state = newest["state"]
            self.scoring_seconds.append(time.monotonic() - started)
            if state != "scored":
                self.errors.append(newest["message"])

    def ask(self, path: str, token: str, body: bytes | None = None) -> Any:
        headers = {"Authorization": f"Bearer {token}"}
        request = urllib.request.Request(f"{self.url}{path}", body, headers)
        while True:
            try:
                with urllib.request.urlopen(request, timeout=300) as answer:
                    return json.loads(answer.read())
            except urllib.error.HTTPError as error:
                if error.code != BUSY:
                    raise
                time.sleep(int(error.headers["Retry-After"]))

    def zip(self, moved_px: float) -> bytes:
        records = []
        for item in self.items:
            keypoints = np.asarray(item["keypoints"], float).reshape(-1, 3)
            own = DEEPFASHION2.slots(item["category_id"] - 1)
            keypoints[own, 0] += moved_px
            keypoints[own, 2] = 1
            values = {key: item[key] for key in ("image_id", "category_id")}
            records.append({**values, "keypoints": keypoints.ravel().tolist(), "score": 1})
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(MEMBERS["val"], json.dumps(records))
        return content.getvalue()


class Load:
    """The clients of a server, and what they have met."""

    def __init__(self, url: str, photos: list[bytes], seconds: float) -> None:
        self.url = url
        self.photos = photos
        self.deadline = time.monotonic() + seconds
        self.statuses: Counter[int] = Counter()
        self.seconds: list[float] = []

    def client(self, first: int) -> None:
        """Send photos until the time is over, beginning with one of them."""
        photos = cycle(self.photos[first:] + self.photos[:first])
        photo = next(photos)
        started = time.monotonic()
        while time.monotonic() < self.deadline:
            status, wait = self.send(photo)
            self.statuses[status] += 1
            if status == BUSY:
                time.sleep(wait)
                continue
            self.seconds.append(time.monotonic() - started)
            photo, started = next(photos), time.monotonic()

    def send(self, photo: bytes) -> tuple[int, int]:
        """Return the status of the answer, and its ``Retry-After``."""
        boundary = "photo-of-the-benchmark"
        head = 'Content-Disposition: form-data; name="photo"; filename="photo.jpg"'
        body = (
            f"--{boundary}\r\n{head}\r\n\r\n".encode() + photo + f"\r\n--{boundary}--\r\n".encode()
        )
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        try:
            request = urllib.request.Request(f"{self.url}predict", body, headers)
            with urllib.request.urlopen(request, timeout=300) as answer:
                assert "garments" in json.loads(answer.read())
                return answer.status, 0
        except urllib.error.HTTPError as error:
            return error.code, int(error.headers.get("Retry-After", 0))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=Path("output/demo/model_final.pth"))
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--teams", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        return run(args, Path(name))


def run(args: argparse.Namespace, folder: Path) -> int:
    write_dataset(folder, {"validation": NUM_PHOTOS}, size_px=SIZE_PX)
    convert(["--root", str(folder)])
    annotations, board = folder / "annotations/validation.json", folder / "board"
    photos = [path.read_bytes() for path in sorted((folder / "validation/image").iterdir())]
    command = [
        *(sys.executable, "-m", "df2_landmarks.cli.web", str(args.weights), "--port", "0"),
        *("--gt", f"validation={annotations}", "--data", str(board), "--daily-limit", "10000"),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = next(line.split()[0] for line in server.stdout if line.startswith("http"))
        load = Load(url, photos, args.seconds)
        load.send(photos[0])
        teams = Teams(url, board, annotations, args.seconds)
        memory = Memory(server.pid)
        watcher = threading.Thread(target=memory.watch)
        watcher.start()
        with ThreadPoolExecutor(args.clients + args.teams) as pool:
            done = [pool.submit(load.client, number) for number in range(args.clients)]
            done += [pool.submit(teams.team, number) for number in range(args.teams)]
        memory.ended.set()
        watcher.join()
        server.terminate()
    for client in done:
        client.result()
    report(args, load, teams, memory)
    return int(bool(teams.errors) or set(load.statuses) > {200, BUSY})


class Memory:
    """The first and the largest resident memory of a process, and of each kind of its children."""

    def __init__(self, process_id: int) -> None:
        self.process_id = process_id
        self.first_mb: dict[str, float] = {}
        self.peaks_mb: dict[str, float] = {}
        self.ended = threading.Event()

    def watch(self) -> None:
        """Look five times a second until it has ended."""
        threads = Path(f"/proc/{self.process_id}/task")
        while not self.ended.wait(0.2):
            self.note("server", self.process_id)
            children = " ".join(path.read_text() for path in threads.glob("*/children"))
            for one in map(int, children.split()):
                with contextlib.suppress(OSError, ValueError):  # it has just ended
                    command = Path(f"/proc/{one}/cmdline").read_text()
                    self.note("scoring" if "board.scorer" in command else f"model ({one})", one)

    def note(self, kind: str, process_id: int) -> None:
        megabytes = resident_mb(process_id)
        self.first_mb.setdefault(kind, megabytes)
        self.peaks_mb[kind] = max(self.peaks_mb.get(kind, 0), megabytes)


def resident_mb(process_id: int) -> float:
    status = Path(f"/proc/{process_id}/status").read_text(encoding="utf-8")
    (line,) = (row for row in status.splitlines() if row.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def report(args: argparse.Namespace, load: Load, teams: Teams, memory: Memory) -> None:
    print(f"{args.clients} clients, {args.seconds:g} s, {len(load.photos)} photos of {SIZE_PX} px")
    print(f"answers: {dict(sorted(load.statuses.items()))}")
    print(f"garments of {load.statuses[200] / args.seconds:.1f} photos per second")
    print(f"seconds until an answer, waiting included: {spread(load.seconds)}")
    print(f"{args.teams} teams, {len(teams.items)} items in the ground truth")
    print(f"submissions scored: {len(teams.scoring_seconds)}, errors: {teams.errors}")
    print(f"seconds until the answer: {spread(teams.accepting_seconds)}")
    print(f"seconds until the score: {spread(teams.scoring_seconds)}")
    for kind, peak in memory.peaks_mb.items():
        print(f"memory, {kind}: {memory.first_mb[kind]:.0f} MB at first, {peak:.0f} MB at most")


def spread(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    return (
        f"median {statistics.median(ordered):.2f}, 95 of 100 below "
        f"{ordered[int(0.95 * len(ordered))]:.2f}, most {ordered[-1]:.2f}"
    )


if __name__ == "__main__":
    sys.exit(main())
