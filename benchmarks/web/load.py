"""Load `df2 web` with more photos than it can answer: answers, waiting, memory.

    python benchmarks/web/load.py --weights output/demo/model_final.pth

Twenty clients send drawn photos for a minute, each its next one when the last is answered. Who is
told "busy" waits as long as ``Retry-After`` says. Any other refusal is an error, and the exit code
is then 1. *Memory* is the resident memory of the server and of the process with its model, read
from /proc five times a second.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from df2_landmarks.synthetic import write_dataset

NUM_PHOTOS = 40
SIZE_PX = 800
BUSY = 503


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
    parser.add_argument("--seconds", type=float, default=60)
    args = parser.parse_args()
    photos = draw_photos()
    command = [sys.executable, "-m", "df2_landmarks.cli.web", str(args.weights), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = next(line.split()[0] for line in server.stdout if line.startswith("http"))
        load = Load(url, photos, args.seconds)
        peaks: dict[int, float] = {}
        first: dict[int, float] = {}
        ended = threading.Event()
        watcher = threading.Thread(target=watch, args=(server.pid, first, peaks, ended))
        load.send(photos[0])
        watcher.start()
        with ThreadPoolExecutor(args.clients) as pool:
            list(pool.map(load.client, range(args.clients)))
        ended.set()
        watcher.join()
        server.terminate()
    report(args, load, first, peaks)
    return int(set(load.statuses) > {200, BUSY})


def draw_photos() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        write_dataset(Path(folder), {"validation": NUM_PHOTOS}, size_px=SIZE_PX)
        return [p.read_bytes() for p in sorted(Path(folder, "validation/image").iterdir())]


def watch(
    process_id: int, first: dict[int, float], peaks: dict[int, float], ended: threading.Event
) -> None:
    """Note the first and the largest resident memory of a process and of its children."""
    children = Path(f"/proc/{process_id}/task/{process_id}/children")
    while not ended.wait(0.2):
        for one in (process_id, *map(int, children.read_text().split())):
            megabytes = resident_mb(one)
            first.setdefault(one, megabytes)
            peaks[one] = max(peaks.get(one, 0), megabytes)


def resident_mb(process_id: int) -> float:
    status = Path(f"/proc/{process_id}/status").read_text(encoding="utf-8")
    (line,) = (row for row in status.splitlines() if row.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def report(
    args: argparse.Namespace, load: Load, first: dict[int, float], peaks: dict[int, float]
) -> None:
    ordered = sorted(load.seconds)
    print(f"{args.clients} clients, {args.seconds:g} s, {len(load.photos)} photos of {SIZE_PX} px")
    print(f"answers: {dict(sorted(load.statuses.items()))}")
    print(f"garments of {load.statuses[200] / args.seconds:.1f} photos per second")
    print(
        f"seconds until an answer, waiting included: median {statistics.median(ordered):.1f}, "
        f"95 of 100 below {ordered[int(0.95 * len(ordered))]:.1f}, most {ordered[-1]:.1f}"
    )
    for one, peak in peaks.items():
        print(f"memory of process {one}: {first[one]:.0f} MB at first, {peak:.0f} MB at most")


if __name__ == "__main__":
    sys.exit(main())
