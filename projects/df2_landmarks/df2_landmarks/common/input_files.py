"""Opening of input files: plain, gzipped, or the only member of a zip."""

from __future__ import annotations

import contextlib
import gzip
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from df2_landmarks.common.errors import UserError

MAX_RATIO = 250
"""Real submissions deflate 10 to 60 times; deflate cannot do more than 1,032."""
MAX_UNCHECKED_BYTES = 64 << 20


@contextlib.contextmanager
def open_input(path: str | Path) -> Iterator[tuple[BinaryIO, str]]:
    """Open a file for reading bytes: plain, gzipped, or the only member of a zip.

    Yields:
        The stream of unpacked bytes and its name for messages ("results.zip:val_keypoints.json").

    Raises:
        UserError: the file does not exist, is not a regular file, is damaged, or is a zip that
            `open_only_member` refuses.
    """
    path = Path(path)
    check_input_file(path)
    with path.open("rb") as file:
        magic = file.read(4)
        file.seek(0)
        if magic[:2] == b"\x1f\x8b":
            with _damage_named(path, "gzip file"), _BoundedGzip(path, file) as stream:
                yield cast(BinaryIO, stream), path.name
        elif magic[:2] == b"PK":
            with open_only_member(path) as (member, info):
                yield member, member_name(path, info)
        else:
            yield file, path.name


class _BoundedGzip(gzip.GzipFile):
    """A gzip stream that ends where it looks like a bomb."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        super().__init__(fileobj=file)
        self._name = path.name
        self._limit = max(MAX_UNCHECKED_BYTES, MAX_RATIO * path.stat().st_size)

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(self._limit + 1 if size is None or size < 0 else size)
        if self.tell() > self._limit:
            raise UserError(
                f"{self._name}: looks like a gzip bomb: over {self._limit} bytes, {MAX_RATIO} "
                "times as many as packed (annotations have 4 to 30 times)"
            )
        return data


@contextlib.contextmanager
def open_only_member(path: Path) -> Iterator[tuple[BinaryIO, zipfile.ZipInfo]]:
    """Open the only member of a zip. Nothing is unpacked to disk, so its name can do no harm.

    Raises:
        UserError: the zip is unreadable, does not have exactly one member, or looks like a bomb.
    """
    with path.open("rb") as file, _damage_named(path, "zip"), _opened_zip(file) as archive:
        file.seek(0)
        if file.read(2) != b"PK":
            raise UserError(f"{path.name}: must be a zip from its first byte on")
        members = archive.infolist()
        if len(members) != 1:
            listed = ", ".join(_shown(member) for member in members[:3])
            raise UserError(
                f"{path.name}: must hold exactly one file, but holds {len(members)} ({listed})"
            )
        info = members[0]
        name = member_name(path, info)
        if info.flag_bits & 1:
            raise UserError(f"{name}: must not be encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise UserError(f"{name}: must be stored or deflated")
        ratio = info.file_size / max(info.compress_size, 1)
        if info.file_size > MAX_UNCHECKED_BYTES and ratio > MAX_RATIO:
            raise UserError(
                f"{name}: looks like a zip bomb: {info.file_size} bytes, {ratio:.0f} "
                "times as many as packed (results have 10 to 60 times)"
            )
        with archive.open(info) as member:
            yield cast(BinaryIO, member), info


def _opened_zip(file: BinaryIO) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except (UnicodeDecodeError, ValueError, struct.error) as error:  # a damaged name, or place
        raise zipfile.BadZipFile(str(error)) from None


def member_name(path: Path, info: zipfile.ZipInfo) -> str:
    """Return the name of a zip's member for messages, on one line whatever it is."""
    return f"{path.name}:{_shown(info)}"


def _shown(info: zipfile.ZipInfo) -> str:
    return repr(info.filename[:60])[1:-1]


def check_input_file(path: Path) -> None:
    """Check that a path is a file that can be read twice.

    Raises:
        UserError: it does not exist, or is a folder, a pipe or a device.
    """
    if path.is_file():
        return
    if path.is_dir():
        raise UserError(f"{path}: must be a file, but is a folder")
    if path.exists():
        raise UserError(f"{path}: must be a regular file; write what comes from a pipe to a file")
    raise UserError(f"{path}: there is no such file")


@contextlib.contextmanager
def _damage_named(path: Path, kind: str) -> Iterator[None]:
    """Turn what the standard library raises on a damaged file of this kind into a UserError."""
    try:
        yield
    except (EOFError, NotImplementedError, OSError, zipfile.BadZipFile, zlib.error) as error:
        reason = str(error)[:80] or "it ends too early"
        raise UserError(f"{path.name}: must be a whole {kind}, but: {reason}") from None
