"""Records of large JSON files, a block of whole records at a time, in bounded memory."""

from __future__ import annotations

import contextlib
import gzip
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

CHUNK_BYTES = 1 << 20
MAX_RECORD_BYTES = 16 << 20
"""A record has about 2 kB, 20 kB at worst; more than this is not a file of this format."""
MAX_ZIP_RATIO = 250
"""Real submissions deflate 10 to 60 times; deflate cannot do more than 1,032."""
MAX_UNCHECKED_ZIP_BYTES = 64 << 20


class DataError(ValueError):
    """A file is not what it should be; the message says where, expected, got, what to do."""


@contextlib.contextmanager
def open_json(path: str | Path) -> Iterator[tuple[BinaryIO, str]]:
    """Opens a JSON file, plain, gzipped, or the only member of a zip.

    Yields:
        The stream of JSON bytes and its name for messages ("results.zip:val_keypoints.json").

    Raises:
        FileNotFoundError: there is no such file.
        DataError: the zip is unreadable, has not exactly one member, or looks like a zip bomb.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    with path.open("rb") as file:
        magic = file.read(4)
        file.seek(0)
        try:
            if magic[:2] == b"\x1f\x8b":
                with gzip.open(file) as stream:
                    yield cast(BinaryIO, stream), path.name
            elif magic[:2] == b"PK":
                with open_only_member(path) as (member, info):
                    yield member, f"{path.name}:{info.filename}"
            else:
                yield file, path.name
        except (EOFError, gzip.BadGzipFile, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(f"{path.name}: the compressed file is damaged: {error}") from None


@contextlib.contextmanager
def open_only_member(path: Path) -> Iterator[tuple[BinaryIO, zipfile.ZipInfo]]:
    """Opens the only member of a zip; nothing is written to disk, so its name can do no harm."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) != 1:
            listed = ", ".join(member.filename for member in members[:3])
            raise DataError(
                f"{path.name}: must hold exactly one file, but holds {len(members)} ({listed})"
            )
        info = members[0]
        if info.flag_bits & 1:
            raise DataError(f"{path.name}:{info.filename}: must not be encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DataError(f"{path.name}:{info.filename}: must be stored or deflated")
        ratio = info.file_size / max(info.compress_size, 1)
        if info.file_size > MAX_UNCHECKED_ZIP_BYTES and ratio > MAX_ZIP_RATIO:
            raise DataError(
                f"{path.name}:{info.filename}: looks like a zip bomb: {info.file_size} bytes, "
                f"{ratio:.0f} times as many as packed (results have 10 to 60 times)"
            )
        with archive.open(info) as member:
            yield cast(BinaryIO, member), info


def record_blocks(stream: BinaryIO, name: str) -> Iterator[bytes]:
    """The records of a JSON list of objects as JSON lists of up to about 1 MiB each.

    Raises:
        DataError: the file is not a list of objects, or ends too early.
    """
    reader = _Reader(stream, name)
    if reader.peek() != b"[":
        raise DataError(
            f"{name}: must be a JSON list of records, but starts with {reader.around(0)}"
        )
    yield from _array_blocks(reader)
    if reader.peek():
        raise DataError(f"{name}: must end after the list of records: {reader.around(0)} follows")


def member_blocks(stream: BinaryIO, name: str) -> Iterator[tuple[str, bytes]]:
    """The lists of objects in a JSON object, as (key, JSON list of up to about 1 MiB).

    A key that holds a list yields at least one block. Other values are skipped.

    Raises:
        DataError: the file is not a JSON object, or ends too early.
    """
    reader = _Reader(stream, name)
    if reader.peek() != b"{":
        raise DataError(f"{name}: must be a JSON object, but starts with {reader.around(0)}")
    reader.advance(1)
    while reader.peek() != b"}":
        key = reader.key()
        start = reader.peek()
        if start == b"[" and reader.peek(1) in (b"{", b"]"):
            yield key, b"[]"
            for block in _array_blocks(reader):
                yield key, block
        else:
            reader.skip_value()
        if reader.peek() == b",":
            reader.advance(1)
        elif reader.peek() != b"}":
            raise DataError(f"{name}: expected ',' or '}}' after {key!r}, got {reader.around(0)}")


class _Reader:
    """A growing window on a stream."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.stream = stream
        self.name = name
        self.data = b""

    def more(self) -> bool:
        """Reads a chunk; False at the end of the file."""
        if len(self.data) > MAX_RECORD_BYTES:
            raise DataError(
                f"{self.name}: no record ends within {len(self.data)} bytes: not a file of "
                f"landmark records? It goes on with {self.around(0)}"
            )
        chunk = self.stream.read(CHUNK_BYTES)
        self.data += chunk
        return bool(chunk)

    def need_more(self) -> None:
        if not self.more():
            raise DataError(
                f"{self.name}: the file ends in the middle of a record or list; was the copy or "
                "the run that wrote it interrupted?"
            )

    def advance(self, count: int) -> None:
        self.data = self.data[count:]

    def peek(self, index: int = 0) -> bytes:
        """The next byte but ``index`` that is no white space, b"" at the end; drops white space
        in front."""
        while True:
            self.data = self.data.lstrip(b" \t\r\n")
            rest = self.data[:1] + self.data[1:].lstrip(b" \t\r\n")[:1] if index else self.data[:1]
            if len(rest) > index:
                return rest[index : index + 1]
            if not self.more():
                return b""

    def around(self, index: int) -> str:
        """A short piece of the file for messages."""
        piece = self.data[index : index + 24].decode("utf-8", "replace")
        return repr(piece) if piece else "the end of the file"

    def key(self) -> str:
        while not (found := re.match(rb'\s*"((?:[^"\\]|\\.)*)"\s*:', self.data)):
            if len(self.data) > 4096:
                raise DataError(f"{self.name}: expected a key, got {self.around(0)}")
            self.need_more()
        self.advance(found.end())
        return found[1].decode("utf-8", "replace")

    def skip_value(self) -> None:
        """Skips a scalar, an object, or a list of anything."""
        depth = 0
        while True:
            for found in re.finditer(rb'"(?:[^"\\]|\\.)*"|[\[\]{},]', self.data):
                byte = found[0][:1]
                if depth == 0 and byte in b",}]":
                    return self.advance(found.start())
                depth += (byte in b"[{") - (byte in b"]}")
                if depth == 0 and byte in b"]}":
                    return self.advance(found.end())
            depth = 0
            self.need_more()


def _array_blocks(reader: _Reader) -> Iterator[bytes]:
    """Blocks of the list that starts at the reader's position; consumes the list."""
    reader.advance(1)
    separator = b""
    while (byte := reader.peek()) != b"]":
        if byte != separator and separator:
            raise DataError(f"{reader.name}: expected ',' or ']', got {reader.around(0)}")
        reader.advance(len(separator))
        while not (end := _last_record_end(reader.data)):
            if reader.peek() not in (b"{", b""):
                raise DataError(
                    f"{reader.name}: expected a record like {{...}}, got {reader.around(0)}"
                )
            reader.need_more()
        yield b"[" + reader.data[:end] + b"]"
        reader.advance(end)
        separator = b","
    reader.advance(1)


def _last_record_end(data: bytes) -> int:
    """End of the last whole record of the list in ``data``, which starts outside a string."""
    if b"\\" in data:
        data = re.sub(rb"\\.", b"__", data, flags=re.DOTALL)
    codes = np.frombuffer(data, dtype=np.uint8)
    quotes = np.flatnonzero(codes == ord('"'))
    marks = np.flatnonzero((codes == ord("{")) | (codes == ord("}")) | (codes == ord("]")))
    marks = marks[np.searchsorted(quotes, marks) % 2 == 0]
    kinds = codes[marks]
    closes = kinds == ord("}")
    depth = np.cumsum((kinds == ord("{")).astype(np.int64) - closes)
    over = np.flatnonzero((depth < 0) | ((depth == 0) & (kinds == ord("]"))))
    stop = over[0] if over.size else len(marks)
    ends = np.flatnonzero((depth[:stop] == 0) & closes[:stop])
    return int(marks[ends[-1]]) + 1 if ends.size else 0
