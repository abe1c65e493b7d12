"""Records of large JSON files, a block of whole records at a time, in bounded memory."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, TypeVar

import msgspec
import numpy as np

from df2_landmarks.common import UserError
from df2_landmarks.formats.record_errors import ListDecoder, decode_block

CHUNK_BYTES = 1 << 17
MAX_RECORD_BYTES = 2 << 20
"""A record has about 2 kB, 20 kB at worst, more with a mask; more than this is not a file of this
format, and looking for its end would take long."""

T = TypeVar("T")
_OUTSIDE_STRING = re.compile(rb'[\[\]{},"]')
_INSIDE_STRING = re.compile(rb'"|\\.', re.DOTALL)


def read_records(
    stream: BinaryIO, name: str, decoder: ListDecoder[T]
) -> Iterator[tuple[int, list[T]]]:
    """The records of a JSON list of objects, about 128 kiB at a time.

    Args:
        stream: JSON bytes.
        name: name of the file, for messages.
        decoder: decoder of a list of records.

    Yields:
        Number of the first record, and some records.

    Raises:
        UserError: the file is not a list of objects, ends too early, or a record is wrong.
    """
    reader = _Reader(stream, name)
    if reader.peek() != b"[":
        raise UserError(
            f"{name}: must be a JSON list of records, but starts with {reader.around()}"
        )
    yield from _array(reader, name, decoder)
    if reader.peek():
        raise UserError(f"{name}: must end after the list of records: {reader.around()} follows")


def read_members(
    stream: BinaryIO, name: str, decoders: Mapping[str, ListDecoder[Any]]
) -> Iterator[tuple[str, int, list[Any]]]:
    """The lists of objects in a JSON object, about 128 kiB at a time.

    Args:
        stream: JSON bytes.
        name: name of the file, for messages.
        decoders: key -> decoder of the list under it; other keys are skipped.

    Yields:
        Key, number of the first record, and some records; at least one such triple for a key that
        is there, if with no records.

    Raises:
        UserError: the file is not a JSON object, ends too early, or a record is wrong.
    """
    reader = _Reader(stream, name)
    if reader.peek() != b"{":
        raise UserError(f"{name}: must be a JSON object, but starts with {reader.around()}")
    reader.advance(1)
    key = ""
    seen: set[str] = set()
    while (byte := reader.peek()) != b"}":
        if seen:
            if byte != b",":
                raise UserError(
                    f"{name}: expected ',' or '}}' after {key[:40]!r}, got {reader.around()}"
                )
            reader.advance(1)
        key = reader.key()
        if key in seen:
            raise UserError(f"{name}: {key[:40]!r} must occur once, but occurs again")
        seen.add(key)
        if (byte := reader.peek()) in b",:}]":
            raise UserError(f"{name}: expected the value of {key[:40]!r}, got {reader.around()}")
        if byte == b"[" and key in decoders:
            yield key, 0, []
            for first, records in _array(reader, f"{name}, {key}", decoders[key]):
                yield key, first, records
        else:
            reader.skip_value()
    reader.advance(1)
    if reader.peek():
        raise UserError(f"{name}: must end after the JSON object: {reader.around()} follows")


class _Reader:
    """A growing window on a stream."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.stream = stream
        self.name = name
        self.data = b""

    def more(self) -> bool:
        """Reads a chunk; False at the end of the file."""
        if len(self.data) > MAX_RECORD_BYTES:
            raise UserError(
                f"{self.name}: no record ends within {len(self.data)} bytes: not a file of "
                f"landmark records? It goes on with {self.around()}"
            )
        chunk = self.stream.read(CHUNK_BYTES)
        self.data += chunk
        return bool(chunk)

    def need_more(self) -> None:
        if not self.more():
            raise UserError(
                f"{self.name}: the file ends in the middle of a record or list; was the copy or "
                "the run that wrote it interrupted?"
            )

    def advance(self, count: int) -> None:
        self.data = self.data[count:]

    def peek(self) -> bytes:
        """The next byte that is no white space, b"" at the end; drops the white space."""
        while True:
            self.data = self.data.lstrip(b" \t\r\n")
            if self.data or not self.more():
                return self.data[:1]

    def around(self) -> str:
        """A short piece of the file for messages."""
        piece = self.data[:24].decode("utf-8", "replace")
        return repr(piece) if piece else "the end of the file"

    def key(self) -> str:
        """The key that comes next; consumes it and the colon."""
        while not (found := re.match(rb'\s*("(?:[^"\\]|\\.)*")\s*:', self.data)):
            if self.peek() not in (b'"', b"") or len(self.data) > 4096:
                raise UserError(f"{self.name}: expected a key, got {self.around()}")
            self.need_more()
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
            key = msgspec.json.decode(found[1], type=str)
            self.advance(found.end())
            return key
        raise UserError(f"{self.name}: expected a key, got {self.around()}")

    def skip_value(self) -> None:
        """Skips a scalar, an object, or a list of anything; forgets it on the way."""
        depth = 0
        in_string = False
        while True:
            done = 0
            while found := (_INSIDE_STRING if in_string else _OUTSIDE_STRING).search(
                self.data, done
            ):
                byte = found[0]
                if depth == 0 and not in_string and byte in b",}]":
                    return self.advance(found.start())
                done = found.end()
                if byte == b'"':
                    in_string = not in_string
                elif not in_string:
                    depth += (byte in b"[{") - (byte in b"]}")
                    if depth == 0 and byte in b"]}":
                        return self.advance(done)
            cut_escape = in_string and self.data.endswith(b"\\", done)
            self.advance(len(self.data) - cut_escape)
            self.need_more()


def _array(reader: _Reader, name: str, decoder: ListDecoder[T]) -> Iterator[tuple[int, list[T]]]:
    """Records of the list that starts at the reader's position; consumes the list."""
    reader.advance(1)
    separator = b""
    count = 0
    while (byte := reader.peek()) != b"]":
        if byte != separator and separator:
            raise UserError(f"{name}: expected ',' or ']', got {reader.around()}")
        reader.advance(len(separator))
        records, end = _some_records(reader, name, decoder, count)
        yield count, records
        count += len(records)
        reader.advance(end)
        separator = b","
    reader.advance(1)


def _some_records(
    reader: _Reader, name: str, decoder: ListDecoder[T], first: int
) -> tuple[list[T], int]:
    """Whole records from the reader's window, at least one, and where they end."""
    if len(reader.data) < CHUNK_BYTES:
        reader.more()
    # Mostly the last brace ends a record. If it does not, what stands before it is no JSON list.
    if end := reader.data.rfind(b"}") + 1:
        with contextlib.suppress(msgspec.DecodeError, RecursionError):
            block = b"".join((b"[", memoryview(reader.data)[:end], b"]"))
            if records := decoder.decode(block):
                return records, end
    while not (end := _last_record_end(reader.data)):
        if reader.peek() not in (b"{", b""):
            raise UserError(f"{name}: expected a record like {{...}}, got {reader.around()}")
        reader.need_more()
    block = b"[" + reader.data[:end] + b"]"
    return decode_block(decoder, block, name=name, first=first), end


def _last_record_end(data: bytes) -> int:
    """End of the last whole record of the list in ``data``, which starts outside a string."""
    data = data.replace(rb"\\", b"__").replace(rb"\"", b"__")
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
