"""The ``keypoints`` lists of COCO files, from JSON text to arrays, many records at once.

S = 294 slots, K = the landmarks of a category. Most files write 0 into the slots of the other
categories. There the text between two known runs of zeros is all that has to be parsed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import msgspec
import numpy as np
from numpy.typing import NDArray

from df2_landmarks.taxonomy import LAYOUT

_ZEROS = (b"0,", b"0, ", b"0.0,", b"0.0, ")
_NUMBERS = msgspec.json.Decoder(list[float])
_FULL_BATCH = 256


class RecordError(ValueError):
    """A record is wrong. ``row`` is its place in the batch, the message says what is wrong."""

    def __init__(self, row: int, message: str) -> None:
        super().__init__(message)
        self.row = row


@dataclass(frozen=True)
class ParsedSlots:
    """Records of one class.

    Attributes:
        class_index: 0-based class.
        rows: (n,) places in the batch, ascending.
        own: (n, K, 3) x, y, v of the class's own slots, as in the file.
        full: (n, S, 3) all slots; None where the foreign slots of every record are zero.
    """

    class_index: int
    rows: NDArray[np.int64]
    own: NDArray[np.float64]
    full: NDArray[np.float64] | None


def parse_slots(texts: Sequence[bytes], classes: Sequence[int]) -> Iterator[ParsedSlots]:
    """Parses the ``keypoints`` texts of records.

    Args:
        texts: JSON list of 3 * S numbers each.
        classes: 0-based class of each.

    Raises:
        RecordError: a record has another number of numbers, or something that is no finite number.
    """
    short: dict[int, tuple[list[int], list[bytes]]] = {}
    long: dict[int, tuple[list[int], list[bytes]]] = {}
    for row, (text, class_index) in enumerate(zip(texts, classes, strict=True)):
        if not text.startswith(b"["):
            got = text[:20].decode("utf-8", "replace")
            raise RecordError(row, f"keypoints: must be a list of numbers, but got {got}")
        middle = _own_text(text, class_index)
        rows, parts = (long if middle is None else short).setdefault(class_index, ([], []))
        rows.append(row)
        parts.append(text[1:-1] if middle is None else middle)
    for class_index, (rows, parts) in short.items():
        own = _numbers(rows, parts, LAYOUT.counts[class_index])
        yield ParsedSlots(class_index, np.asarray(rows), own, None)
    for class_index, (rows, parts) in long.items():
        for start in range(0, len(rows), _FULL_BATCH):
            some = slice(start, start + _FULL_BATCH)
            full = _numbers(rows[some], parts[some], LAYOUT.num_slots)
            own = full[:, LAYOUT.slots(class_index)].copy()
            yield ParsedSlots(class_index, np.asarray(rows[some]), own, full)


@cache
def _zero_runs(class_index: int) -> tuple[tuple[bytes, bytes], ...]:
    """Text before and after the own slots, in each way of writing zeros."""
    own = LAYOUT.slots(class_index)
    runs = []
    for zero in _ZEROS:
        number, separator = zero.rstrip(b", "), zero.lstrip(b"0.")
        after = (separator + number) * (3 * (LAYOUT.num_slots - own.stop))
        runs.append((b"[" + zero * (3 * own.start), after + b"]"))
    return tuple(runs)


def _own_text(text: bytes, class_index: int) -> bytes | None:
    """Text of the own numbers, None where the zeros around them are not found."""
    for before, after in _zero_runs(class_index):
        if text.startswith(before) and text.endswith(after):
            middle = text[len(before) : len(text) - len(after)]
            if middle.count(b",") == 3 * LAYOUT.counts[class_index] - 1:
                return middle
    return None


def _numbers(rows: Sequence[int], parts: Sequence[bytes], count: int) -> NDArray[np.float64]:
    """(n, count, 3) numbers of n comma-separated texts."""
    for row, part in zip(rows, parts, strict=True):
        got = part.count(b",") + 1 if part.strip() else 0
        if got != 3 * count:
            raise RecordError(
                row, f"keypoints: needs {count} landmarks = {3 * count} numbers, got {got}"
            )
    try:
        values = np.asarray(_NUMBERS.decode(b"[" + b",".join(parts) + b"]"), dtype=np.float64)
    except (msgspec.DecodeError, OverflowError):
        raise _first_error(rows, parts) from None
    return values.reshape(len(rows), count, 3)


def _first_error(rows: Sequence[int], parts: Sequence[bytes]) -> RecordError:
    for row, part in zip(rows, parts, strict=True):
        for index, number in enumerate(part.split(b",")):
            try:
                msgspec.json.decode(number, type=float)
            except msgspec.DecodeError:
                got = number.strip()[:20].decode("utf-8", "replace")
                return RecordError(
                    row, f"keypoints[{index}]: must be a finite number, but got {got}"
                )
    raise AssertionError("no record is wrong by itself")
