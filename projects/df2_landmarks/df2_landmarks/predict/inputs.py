"""What a user names on the command line, as a stream of pictures and videos.

Nothing is kept in memory for each picture, so that a list may have millions of them; but a folder
is listed at once, and so is what matches a pattern.
"""

from __future__ import annotations

import glob
import os
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from df2_landmarks.common import UserError
from df2_landmarks.formats import PICTURE_SUFFIXES

VIDEO_SUFFIXES = frozenset((".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg"))
LIST_SUFFIXES = frozenset((".txt", ".lst"))
FOUND_IN_FOLDERS = PICTURE_SUFFIXES | VIDEO_SUFFIXES
STDIN = "-"


@dataclass(frozen=True)
class Input:
    """One picture or video.

    Attributes:
        path: as the user gave it, or below the folder that the user gave.
        name: relative path of what is drawn for it; unique among the inputs.
        error: why there is nothing to read, for a folder that cannot be listed.
    """

    path: str
    name: str
    error: str = ""

    @property
    def is_video(self) -> bool:
        """Whether the name ends like that of a video."""
        return Path(self.path).suffix.lower() in VIDEO_SUFFIXES


def check_inputs(arguments: Sequence[str]) -> None:
    """Check before the work that what the user named exists.

    Args:
        arguments: paths of pictures, videos, folders and list files, patterns, "-".

    Raises:
        UserError: one of them does not exist, or a pattern matches nothing.
    """
    for argument in arguments:
        if argument == STDIN or os.path.lexists(argument):
            continue
        if not glob.has_magic(argument):
            raise UserError(f"{argument}: there is no such file or folder", exit_code=2)
        if next(glob.iglob(argument, recursive=True), None) is None:
            raise UserError(f"{argument}: no file matches this pattern", exit_code=2)


def stream_inputs(
    arguments: Sequence[str], *, part: tuple[int, int] = (1, 1), skip: Path | None = None
) -> Iterator[Input]:
    """Yield the pictures and videos that the user named, in a fixed order.

    Folders are searched with those below them; files in them count as pictures by their ending.

    Args:
        arguments: paths of pictures, videos, folders and list files, patterns, "-" (standard
            input: one path per line, as in a list file).
        part: (i, n), from 1: the i-th of n parts. Decided by the path alone, so that a part stays
            the same when others come and go.
        skip: a folder that is not searched: that of the output.
    """
    prefixes = _prefixes(arguments)
    for argument, prefix in zip(arguments, prefixes, strict=True):
        for entry in _entries(argument, prefix, skip):
            number, count = part
            if zlib.crc32(os.fsencode(entry.path)) % count == number - 1:
                yield entry


def _entries(argument: str, prefix: str, skip: Path | None) -> Iterator[Input]:
    if argument == STDIN:
        yield from _listed(line.rstrip("\r\n") for line in sys.stdin)
    elif os.path.isdir(argument):
        yield from _in_folder(argument, prefix, skip)
    elif Path(argument).suffix.lower() in LIST_SUFFIXES and os.path.isfile(argument):
        with open(argument, encoding="utf-8-sig", errors="surrogateescape") as file:
            yield from _listed(line.rstrip("\r\n") for line in file)
    elif os.path.lexists(argument) or not glob.has_magic(argument):
        yield Input(argument, prefix)
    else:
        for path in sorted(glob.glob(argument, recursive=True)):
            if not os.path.isdir(path):
                yield Input(path, _anchored(path))


def _listed(lines: Iterable[str]) -> Iterator[Input]:
    return (Input(line, _anchored(line)) for line in lines if line.strip())


def _in_folder(folder: str, prefix: str, skip: Path | None) -> Iterator[Input]:
    skipped = None if skip is None else skip.resolve()
    errors: list[OSError] = []
    for current, folders, files in os.walk(folder, onerror=errors.append):
        folders[:] = sorted(
            name for name in folders if skipped is None or Path(current, name).resolve() != skipped
        )
        for name in sorted(files):
            if Path(name).suffix.lower() in FOUND_IN_FOLDERS:
                path = os.path.join(current, name)
                below = os.path.relpath(path, folder)
                yield Input(path, os.path.join(prefix, below))
        while errors:
            yield _unlisted(errors.pop())
    while errors:
        yield _unlisted(errors.pop())


def _unlisted(error: OSError) -> Input:
    return Input(str(error.filename), "", f"the folder cannot be listed: {error.strerror}")


def _prefixes(arguments: Sequence[str]) -> list[str]:
    """Return what the drawings of each argument are named after; different for each.

    The drawings of a single folder lie below the output as the pictures do below that folder.
    """
    if len(arguments) == 1 and os.path.isdir(arguments[0]):
        return [""]
    names: list[str] = []
    for argument in arguments:
        stem, suffix = os.path.splitext(os.path.basename(os.path.abspath(argument)))
        name, number = stem + suffix, 1
        while name in names:
            number += 1
            name = f"{stem}-{number}{suffix}"
        names.append(name)
    return names


def _anchored(path: str) -> str:
    """Return a path as a relative one that does not leave the folder it is joined to."""
    parts = (part for part in Path(path).parts if part != os.sep)
    return os.path.join(*("_up" if part == ".." else part for part in parts))
