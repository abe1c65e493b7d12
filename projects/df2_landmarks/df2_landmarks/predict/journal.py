"""The growing file of predictions: whole lines only, and what a resumed run needs to know of it."""

from __future__ import annotations

import hashlib
import json
import os
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from df2_landmarks.common import UserError, atomic_write

PREDICTIONS = "predictions.jsonl"
RUN = "run.json"
_NOTHING = np.zeros(0, dtype=np.uint64)


class _Head(msgspec.Struct):
    """The part of a line that says what it is about."""

    file: str
    frame: int | None = None
    last_frame: bool = False


class Journal:
    """``predictions.jsonl`` and ``run.json`` in an output folder.

    Every line is written by one call of the system, after everything else of its picture. A killed
    run may leave half a line or some frames of a video at the end; a resumed one removes them.
    """

    def __init__(self, folder: Path, run: Mapping[str, Any], *, resume: bool) -> None:
        """
        Args:
            folder: of the output; exists.
            run: what decides the results: model, options. Written to ``run.json``.
            resume: go on with an earlier run, which must have been the same.

        Raises:
            UserError: there are predictions and ``resume`` is off, or they are of another run, or
                the files cannot be written.
        """
        self.path = folder / PREDICTIONS
        self._done = _NOTHING
        if begin_run(self.path, run, resume=resume):
            self._done = _repair(self.path)
        try:
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError as error:
            raise UserError(f"{self.path}: cannot be written: {error.strerror}") from error

    @property
    def num_done(self) -> int:
        """Pictures and videos that an earlier run finished."""
        return len(self._done)

    def is_done(self, file: str) -> bool:
        """Return whether an earlier run finished a file."""
        key = np.uint64(_key(file))
        place = np.searchsorted(self._done, key)
        return bool(place < len(self._done) and self._done[place] == key)

    def append(self, line: bytes) -> None:
        """Write one line.

        Args:
            line: JSON without a line break.

        Raises:
            UserError: it cannot be written; what was written of it is removed.
        """
        content = line + b"\n"
        before = os.fstat(self._file).st_size
        try:
            written = os.write(self._file, content)
            if written < len(content):  # a full disk: the next call says so
                os.write(self._file, content[written:])
        except OSError as error:
            os.ftruncate(self._file, before)
            raise UserError(
                f"{self.path}: cannot be written: {error.strerror}", exit_code=2
            ) from error

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def begin_run(path: Path, run: Mapping[str, Any], *, resume: bool) -> bool:
    """Check that a run may write a file or folder, and write ``run.json`` beside it.

    Args:
        path: what the run writes.
        run: what decides the results.
        resume: go on with an earlier run, which must have been the same.

    Returns:
        Whether there is an earlier run.

    Raises:
        UserError: there is one and ``resume`` is off, or it was another run.
    """
    exists = path.exists()
    if exists and not resume:
        raise UserError(
            f"{path} exists: add --resume to go on with it, --overwrite to replace it, or name "
            "another --output",
            exit_code=2,
        )
    if exists:
        _check_same_run(path.with_name(RUN), run)
    with atomic_write(path.with_name(RUN)) as file:
        file.write(json.dumps(run, indent=2).encode() + b"\n")
    return exists


def file_text(path: str) -> str:
    """Return a path as text that JSON can hold; bytes that are not UTF-8 are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _key(file: str) -> int:
    """Return 64 bits instead of the name: 8 MB for a million pictures."""
    return int.from_bytes(hashlib.blake2b(file.encode(), digest_size=8).digest(), "little")


def _check_same_run(path: Path, run: Mapping[str, Any]) -> None:
    try:
        earlier = json.loads(path.read_bytes())
    except (OSError, ValueError):
        raise UserError(
            f"{path}: missing or damaged, so that nobody knows which model made the predictions "
            "beside it; name another --output",
            exit_code=2,
        ) from None
    for key, value in run.items():
        if earlier.get(key) != value:
            raise UserError(
                f"--resume: the predictions in {path.parent} were made with {key} "
                f"{earlier.get(key)!r}, this run has {value!r}; name another --output",
                exit_code=2,
            )


def _repair(path: Path) -> NDArray[np.uint64]:
    """Cut off an unfinished end, and return the sorted keys of the finished files."""
    decoder = msgspec.json.Decoder(_Head)
    keys = array("Q")
    end = video_start = 0
    open_video = False
    with open(path, "rb") as file:
        for line in file:
            try:
                head = decoder.decode(line)
            except msgspec.MsgspecError:
                break
            if not line.endswith(b"\n"):
                break
            if head.frame == 0:
                video_start, open_video = end, True
            if head.frame is None or head.last_frame:
                keys.append(_key(head.file))
                open_video = False
            end += len(line)
    os.truncate(path, video_start if open_video else end)
    return np.unique(np.frombuffer(keys, dtype=np.uint64)) if keys else _NOTHING
