"""A server in a process of its own, with a model that needs no training; and how to ask it.

python -m tests.web.served '{"limits": {"queue": 1}}'
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np

from df2_landmarks.common import say
from df2_landmarks.formats import read_taxonomy
from df2_landmarks.predict import Detected, Predictor
from df2_landmarks.taxonomy import Taxonomy
from tests.predict.fake_model import FakeModel
from tests.support import ROOT, default_signals

HANGS, DIES, EATS_MEMORY, FAILS, IS_SLOW = 0, 255, 200, 150, 100
"""Grey of a photo -> what becomes of the process that gets it. Other photos show a skirt."""
SLOW_SECONDS = 1.0


class TroubledModel(FakeModel):
    """A `FakeModel` that some photos lead into trouble."""

    def detect(self, batch: list[Any], min_score: float) -> list[Any]:
        grey = round(batch[0].data)
        is_warm_up = batch[0].height == batch[0].width == 64
        if grey == HANGS and not is_warm_up:
            time.sleep(1000)
        if grey == DIES:
            os.kill(os.getpid(), signal.SIGKILL)
        if grey == EATS_MEMORY:
            np.ones(1 << 30)  # 8 GiB
        if grey == FAILS:
            raise RuntimeError("a bug")
        if grey == IS_SLOW:
            time.sleep(SLOW_SECONDS)
        return super().detect(batch, min_score)


class OneCategoryModel(FakeModel):
    """Finds the only category of a taxonomy, whatever it is, its landmarks on a line."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        super().__init__()
        self.taxonomy = taxonomy

    def _detected(self, prepared: Any, min_score: float) -> Detected:
        found = super()._detected(prepared, min_score)
        count = self.taxonomy.max_landmarks
        xs = np.linspace(prepared.width / 4, 3 * prepared.width / 4, count)
        landmarks = np.column_stack([xs, np.full(count, prepared.height / 2), np.full(count, 0.9)])
        shown = len(found.classes)
        return replace(
            found,
            classes=np.zeros(shown, int),
            landmarks=np.repeat(landmarks[None], shown, axis=0),
        )


def load(taxonomy_file: str | None) -> Predictor:
    if taxonomy_file is None:
        return Predictor(TroubledModel())
    return Predictor(OneCategoryModel(read_taxonomy(taxonomy_file)))


def fill_the_disk() -> None:
    """Let what is too large for memory find no room on the disk."""

    def rollover(_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    tempfile.SpooledTemporaryFile.rollover = rollover  # type: ignore[method-assign]


def main(options: str) -> None:
    from df2_landmarks.web import (
        Limits,
        Tokens,
        Worker,
        create_app,
        listen,
        photo_section,
        serve,
        server,
    )

    wanted = json.loads(options)
    server.HEADER_SECONDS = wanted.get("header_seconds", server.HEADER_SECONDS)
    if wanted.get("disk_is_full"):
        fill_the_disk()
    limits = Limits(**wanted.get("limits", {}))
    tokens = Tokens.from_text(wanted["tokens"]) if "tokens" in wanted else None
    worker = Worker(partial(load, wanted.get("taxonomy")), limits)
    worker.start()
    app = create_app(
        [photo_section(worker)], limits=limits, names=wanted.get("names", []), tokens=tokens
    )
    serve(app, listen("127.0.0.1", 0), say)


@dataclass
class Answer:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return self.json["error"]


@dataclass
class Server:
    """A running server.

    Attributes:
        url: of the page, with a slash at its end.
        process: it.
        log: what it has printed.
    """

    url: str
    process: subprocess.Popen[str]
    log: list[str] = field(default_factory=list)

    def prints(self, text: str, *, within_s: float = 30) -> bool:
        """Return whether it prints a text, which may come after its answer."""
        deadline = time.monotonic() + within_s
        while not (found := any(text in line for line in self.log)):
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        return found

    def ask(
        self,
        path: str = "",
        body: bytes | Iterator[bytes] | None = None,
        *,
        method: str | None = None,
        **headers: str,
    ) -> Answer:
        """Ask for a path; underscores in the names of headers stand for dashes."""
        request = urllib.request.Request(
            self.url + path,
            data=body,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return Answer(response.status, response.headers, response.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.headers, error.read())

    def predict(
        self,
        photo: bytes | None,
        *,
        name: str = "photo.png",
        headers: Mapping[str, str] | None = None,
        **fields: object,
    ) -> Answer:
        """Ask for the garments of a photo."""
        files = [] if photo is None else [("photo", name, photo)]
        kind, body = form(files, list(fields.items()))
        return self.ask("predict", body, Content_Type=kind, **(headers or {}))

    def connect(self) -> socket.socket:
        """Return a connection, to say what a browser would not."""
        address = urlsplit(self.url)
        return socket.create_connection((address.hostname, address.port), timeout=30)


def form(
    files: list[tuple[str, str, bytes]], fields: list[tuple[str, object]]
) -> tuple[str, bytes]:
    """Return the type and the body of a form.

    Args:
        files: field, name and content of each file.
        fields: name and value of the others.
    """
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in fields
    ]
    for key, name, content in files:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"; filename="{name}"'
        parts.append(f"{head}\r\n\r\n".encode() + content + b"\r\n")
    return f"multipart/form-data; boundary={boundary}", b"".join(
        [*parts, f"--{boundary}--\r\n".encode()]
    )


def grey_photo(grey: int = 90, height: int = 320, width: int = 336) -> bytes:
    """Return a PNG of one grey."""
    return cv2.imencode(".png", np.full((height, width, 3), grey, np.uint8))[1].tobytes()


@contextlib.contextmanager
def running(*arguments: object, cwd: Path = ROOT) -> Iterator[Server]:
    """Run a server while the block runs; the line with its address is the first with http.

    Args:
        arguments: of Python.
        cwd: working folder.
    """
    process = subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=default_signals,
    )
    assert process.stdout is not None
    log: list[str] = []
    url = ""
    for line in process.stdout:
        log.append(line)
        if line.startswith("http"):
            url = line.split()[0]
            break
    assert url, "".join(log)
    reader = threading.Thread(target=lambda: log.extend(process.stdout), daemon=True)
    reader.start()
    server = Server(url, process, log)
    try:
        yield server
    finally:
        process.terminate()
        process.wait(timeout=30)
        reader.join(timeout=30)


def children(server: Server) -> list[int]:
    """Return the ids of the processes that a server has started."""
    process_id = server.process.pid
    path = Path(f"/proc/{process_id}/task/{process_id}/children")
    return [int(word) for word in path.read_text().split()]


@contextlib.contextmanager
def served(**options: object) -> Iterator[Server]:
    """Run a server with `TroubledModel`.

    Args:
        options: ``limits``, ``tokens`` (text of the file), ``names``, ``taxonomy`` (file of one
            category), ``header_seconds``, ``disk_is_full``.
    """
    with running("-m", "tests.web.served", json.dumps(options)) as server:
        yield server


if __name__ == "__main__":
    main(sys.argv[1])
