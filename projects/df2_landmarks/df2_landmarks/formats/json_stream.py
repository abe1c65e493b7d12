"""Read records of large JSON files, a block of whole records at a time, in bounded memory."""

from __future__ import annotations

import codecs
import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, BinaryIO, NoReturn, Protocol, TypeAlias, TypeVar

import msgspec

from df2_landmarks.common import UserError

CHUNK_BYTES = 1 << 17
MAX_RECORD_BYTES = 2 << 20
"""A record has about 2 kB, 20 kB at most, more with a mask. Looking further for its end would cost
memory and time for a file that is not of this format."""

T = TypeVar("T")
Integer: TypeAlias = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
"""What an array of 64-bit integers can hold; ids may be hashes of that size."""


class ListDecoder(Protocol[T]):
    """What decodes a JSON list of records, such as ``msgspec.json.Decoder(list[T])``."""

    def decode(self, block: bytes, /) -> list[T]:
        """Return the records, or raise a msgspec.DecodeError that names the place."""


_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, b"{\0", b"\0{", b"[\0", b"\0[")
_INVALID = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_KEY = re.compile(rb'("(?:[^"\\]|\\.)*")\s*:', re.DOTALL)
_MAX_KEY_BYTES = 4096
_MARK = re.compile(rb'\\.|[][{},"]', re.DOTALL)
_CLOSED_MARK = re.compile(rb'\\.|[][{}"]', re.DOTALL)
"""`_MARK` for a list, object or string, whose end is a mark: a list of numbers has many commas."""
_QUOTE = ord('"')
_NO_MARKS = bytes(byte for byte in range(256) if byte not in b'[]{}"\\')
_STRING_OR_BRACE = re.compile(rb'"[^"]*"?|[{}\]]')


def read_records(
    stream: BinaryIO, name: str, decoder: ListDecoder[T]
) -> Iterator[tuple[int, list[T]]]:
    """Read a JSON list of objects, about 128 KiB at a time.

    Args:
        stream: JSON bytes.
        name: name of the file, for messages.
        decoder: decodes a list of records.

    Yields:
        The number of the first record, and the records of a block.

    Raises:
        UserError: the file is not a list of objects, ends too early, or a record is wrong.
    """
    window = _Window(stream, name)
    window.check_encoding()
    yield from window.read_list(name, decoder)
    if window.peek():
        window.fail("the end of the file")


def read_members(
    stream: BinaryIO,
    name: str,
    decoders: Mapping[str, ListDecoder[Any]],
    *,
    stop_after: str | None = None,
) -> Iterator[tuple[str, int, list[Any]]]:
    """Read the lists of objects in a JSON object, about 128 KiB at a time.

    Args:
        stream: JSON bytes.
        name: name of the file, for messages.
        decoders: key -> decoder of the list under it. The values of other keys are skipped.
        stop_after: a key behind which the rest of the file is not read.

    Yields:
        The key, the number of the first record, and the records of a block.

    Raises:
        UserError: the file is not a JSON object, ends too early, or a record is wrong.
    """
    window = _Window(stream, name)
    window.check_encoding()
    window.take(b"{", "a JSON object")
    seen: list[str] = []
    while window.peek() != b"}":
        if seen:
            window.take(b",", f"',' or '}}' after {seen[-1][:40]!r}")
        key = window.read_key()
        if key in seen:
            raise UserError(f"{name}: {key[:40]!r} must occur once, but occurs again")
        seen.append(key)
        if key in decoders:
            for first, records in window.read_list(f"{name}, {key}", decoders[key]):
                yield key, first, records
        else:
            window.skip_value(f"the value of {key[:40]!r}")
        if key == stop_after:
            return
    window.advance(1)
    if window.peek():
        window.fail("the end of the file")


def fail_record(name: str, record: int, message: str) -> NoReturn:
    """Raise a UserError about a record (0-based number)."""
    raise UserError(f"{name}, record {record}: {message}")


class _Window:
    """A piece of a stream that grows at its end and is consumed from its start."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.stream = stream
        self.name = name
        self.data = b""

    def fail(self, expected: str) -> NoReturn:
        piece = self.data[:24].decode("utf-8", "replace")
        got = repr(piece) if piece else "the end of the file"
        raise UserError(f"{self.name}: expected {expected}, got {got}")

    def read_more(self) -> bool:
        """Double the window, or read a chunk; return False at the end of the file."""
        if len(self.data) > MAX_RECORD_BYTES:
            self.fail(f"the end of a landmark record within {len(self.data)} bytes")
        chunk = self.stream.read(max(CHUNK_BYTES, len(self.data)))
        self.data += chunk
        return bool(chunk)

    def check_encoding(self) -> None:
        """Drop the byte-order mark of UTF-8 at the start of the file; refuse other encodings."""
        self.read_more()
        if self.data.startswith(codecs.BOM_UTF8):
            self.advance(len(codecs.BOM_UTF8))
        elif self.data.startswith(_UTF_16):
            raise UserError(
                f"{self.name}: must be UTF-8, but was saved as UTF-16; save it as UTF-8"
            )

    def need_more(self) -> None:
        if not self.read_more():
            raise UserError(
                f"{self.name}: the file ends in the middle of a record or list; was the copy or "
                "the run that wrote it interrupted?"
            )

    def advance(self, count: int) -> None:
        self.data = self.data[count:]

    def peek(self) -> bytes:
        """Drop white space; return the next byte, b"" at the end of the file."""
        while True:
            self.data = self.data.lstrip(b" \t\r\n")
            if self.data or not self.read_more():
                return self.data[:1]

    def take(self, byte: bytes, expected: str) -> None:
        if self.peek() != byte:
            self.fail(expected)
        self.advance(1)

    def read_key(self) -> str:
        """Consume a key and the colon behind it; return the key."""
        self.peek()
        while not (match := _KEY.match(self.data)):
            if self.data[:1] != b'"' or len(self.data) > _MAX_KEY_BYTES:
                self.fail("a key")
            self.need_more()
        try:
            key = msgspec.json.decode(match[1], type=str)
        except _INVALID:
            self.fail("a key")
        self.advance(match.end())
        return key

    def skip_value(self, expected: str) -> None:
        """Consume a value, however long it is."""
        first = self.peek()
        if first in b",:}]":
            self.fail(expected)
        marks = _CLOSED_MARK if first in b'[{"' else _MARK
        depth, in_string = 0, False
        while True:
            if depth and (after := _depth_after(self.data, depth, in_string)):
                depth, in_string = after
                self.data = b""
                self.need_more()
                continue
            end = 0
            for mark in marks.finditer(self.data):
                end = mark.end()
                if mark[0] == b'"':
                    in_string = not in_string
                elif not in_string and mark[0] in b"[{":
                    depth += 1
                elif not in_string and depth == 0:  # what follows a number or a word
                    return self.advance(mark.start())
                elif not in_string and mark[0] in b"]}":
                    depth -= 1
                else:
                    continue
                if depth == 0 and not in_string:
                    return self.advance(end)
            # A lone backslash at the end belongs to an escape that the chunk cuts in two.
            self.data = b"\\" if self.data.endswith(b"\\", end) else b""
            self.need_more()

    def read_list(self, name: str, decoder: ListDecoder[T]) -> Iterator[tuple[int, list[T]]]:
        """Consume a list of records; yield the number of the first one, and those of a block."""
        self.name = name
        self.take(b"[", "a JSON list of records")
        count = 0
        while self.peek() != b"]":
            if count:
                self.take(b",", "',' or ']'")
            records, end = self._whole_records(decoder, count)
            yield count, records
            count += len(records)
            self.advance(end)
        self.advance(1)

    def _whole_records(self, decoder: ListDecoder[T], first: int) -> tuple[list[T], int]:
        """Return the whole records in the window, at least one, and where they end."""
        if len(self.data) < CHUNK_BYTES:
            self.read_more()
        # Mostly the last brace ends a record. If it does not, this is not a valid list.
        if end := self.data.rfind(b"}") + 1:
            with contextlib.suppress(*_INVALID):
                if records := decoder.decode(b"[" + self.data[:end] + b"]"):
                    return records, end
        while not (ends := _record_ends(self.data)):
            if self.peek() not in (b"{", b""):
                self.fail("a record like {...}")
            self.need_more()
        return _decode(decoder, b"[" + self.data[: ends[-1]] + b"]", self.name, first), ends[-1]


def _depth_after(data: bytes, depth: int, in_string: bool) -> tuple[int, bool] | None:
    """Return depth and ``in_string`` at the end of a piece of a list or object.

    Ten times as fast as looking at each mark in its place. None if the piece needs that: because
    the list or object may end in it, or because it has escapes.
    """
    marks = data.translate(None, _NO_MARKS)
    if b"\\" in marks:
        return None
    for mark in marks:
        if mark == _QUOTE:
            in_string = not in_string
        elif not in_string:
            depth += 1 if mark in b"[{" else -1
            if depth == 0:
                return None
    return depth, in_string


def _record_ends(data: bytes) -> list[int]:
    """Return where each whole record of a list ends; ``data`` starts outside a string."""
    ends, depth = [], 0
    for match in _STRING_OR_BRACE.finditer(data.replace(rb"\\", b"__").replace(rb"\"", b"__")):
        depth += {b"{": 1, b"}": -1}.get(match[0], 0)
        if depth < 0 or (depth == 0 and match[0] == b"]"):
            break  # the end of the list
        if depth == 0 and match[0] == b"}":
            ends.append(match.end())
    return ends


def _decode(decoder: ListDecoder[T], block: bytes, name: str, first: int) -> list[T]:
    """Decode a JSON list of records; ``first`` is the number of its first one in the file.

    Raises:
        UserError: a record is not valid JSON or has a wrong field; the message names it.
    """
    try:
        return decoder.decode(block)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `$")
        match = re.match(r"\[(\d+)\]\.?([^`]*)", place)
        row, field = (int(match[1]), match[2]) if match else (0, "")
        fail_record(name, first + row, f"{field}: {text}" if field else text)
    except _INVALID as error:
        byte = re.search(r"\(byte (\d+)\)", str(error))
        if byte is None:
            message = f"record {first} or a later one: not valid JSON ({error})"
            raise UserError(f"{name}, {message}") from None
        at = int(byte[1])
        row = sum(end < at for end in _record_ends(block[1:]))
        piece = block[at : at + 16].decode("utf-8", "replace")
        if word := re.match(r"-?(N|I|nan|inf)\w*", piece):
            fail_record(name, first + row, f"numbers must be finite, but got {word[0]}")
        reason = str(error).partition(" (")[0]
        fail_record(name, first + row, f"not valid JSON at {piece!r} ({reason})")
