"""Messages that name the record and the field that is wrong."""

from __future__ import annotations

import re
from typing import Annotated, NoReturn, TypeAlias, TypeVar

import msgspec

from df2_landmarks.common import UserError
from df2_landmarks.taxonomy import LAYOUT

T = TypeVar("T")
ListDecoder: TypeAlias = "msgspec.json.Decoder[list[T]]"
Integer: TypeAlias = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
"""What an array of 64-bit integers can hold; ids may be hashes of that size."""


def decode_block(decoder: ListDecoder[T], block: bytes, *, name: str, first: int) -> list[T]:
    """Decodes a JSON list of records.

    Args:
        decoder: a decoder of the list.
        block: JSON list.
        name: name of the file, for messages.
        first: 0-based number of the block's first record in the file, for messages.

    Raises:
        UserError: a record is no JSON or has a wrong field.
    """
    try:
        return decoder.decode(block)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `$")
        found = re.match(r"\[(\d+)\]\.?([^`]*)", place)
        row, field = (int(found[1]), found[2]) if found else (0, "")
        fail(name, first + row, f"{field}: {text}" if field else text)
    except (msgspec.DecodeError, RecursionError) as error:
        byte = re.search(r"\(byte (\d+)\)", str(error))
        if byte is None:
            raise UserError(
                f"{name}, record {first} or a later one: not valid JSON ({error})"
            ) from None
        at = int(byte[1])
        fail(name, first + _row_at(block, at), _syntax(block, at, error))


def fail(name: str, record: int, message: str) -> NoReturn:
    """Raises a UserError about a record (0-based number)."""
    raise UserError(f"{name}, record {record}: {message}")


def check_category(category_id: int, *, name: str, record: int) -> int:
    """0-based class of a category id; UserError if there is no such category."""
    if not 1 <= category_id <= LAYOUT.num_categories:
        fail(
            name,
            record,
            f"category_id: must be 1..{LAYOUT.num_categories}, but got {category_id}",
        )
    return category_id - 1


def _row_at(block: bytes, at: int) -> int:
    """Number of the record in the block that holds a byte."""
    no_escapes = block[:at].replace(rb"\\", b"").replace(rb"\"", b"")
    depth = row = 0
    for brace in re.findall(rb"[{}]", b"".join(no_escapes.split(b'"')[::2])):  # outside strings
        depth += 1 if brace == b"{" else -1
        row += brace == b"}" and depth == 0
    return row


def _syntax(block: bytes, at: int, error: Exception) -> str:
    piece = block[at : at + 16].decode("utf-8", "replace")
    if word := re.match(r"-?(N|I|nan|inf)\w*", piece):
        return f"numbers must be finite, but got {word[0]}"
    return f"not valid JSON at {piece!r} ({str(error).partition(' (')[0]})"
