"""The ``keypoints`` lists of COCO files, from JSON text to arrays, many records at once.

S = 294 slots, K = the landmarks of a category. Most files write 0 into the slots of the other
categories. There the text between two known runs of zeros is all that has to be parsed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from df2_landmarks.taxonomy import LAYOUT

_ZEROS = (b"0,", b"0, ", b"0.0,", b"0.0, ")
_NUMBERS = msgspec.json.Decoder(list[float])
_FULL_BATCH = 64
_PLAIN = b"0123456789-., "
_MAX_PLAIN_BYTES = 32 * 3 * LAYOUT.num_slots


class RecordError(ValueError):
    """A record is wrong. ``row`` is its number, the message says what is wrong."""

    def __init__(self, row: int, message: str) -> None:
        super().__init__(message)
        self.row = row


@dataclass(frozen=True)
class ParsedSlots:
    """Records of one class.

    Attributes:
        rows: (n,) numbers of the records, ascending.
        extras: what the caller gave along, n of it.
        own: (n, K, 3) x, y, v of the class's own slots, as in the file.
        full: (n, S, 3) all slots; None where the foreign slots are zero or not wanted.
    """

    rows: NDArray[np.int64]
    extras: list[Any]
    own: NDArray[np.float64]
    full: NDArray[np.float64] | None


class SlotTexts:
    """Collects the ``keypoints`` texts of one class and parses many at once.

    Only the text of the own slots is kept where the others are zero, so that the texts of many
    records fit in little memory.

    Args:
        class_index: 0-based class.
        batch_size: records after which ``add`` says that it is time to parse.
    """

    def __init__(self, class_index: int, *, batch_size: int = 1024) -> None:
        self._class_index = class_index
        self._batch_size = batch_size
        self._short: _Texts = ([], [], [])
        self._long: _Texts = ([], [], [])
        self._runs = _zero_runs(class_index)

    def add(self, row: int, text: bytes, extra: Any, *, all_slots: bool = True) -> bool:
        """Adds a record.

        Args:
            row: number of the record in the file.
            text: its ``keypoints``, a JSON list of 3 * S numbers.
            extra: handed back with the parsed numbers.
            all_slots: whether the numbers of the foreign slots are wanted where they are not zero.

        Returns:
            True when enough is there to be parsed.

        Raises:
            RecordError: this is no list.
        """
        middle = self._between_zeros(text)
        if middle is None and not all_slots:
            middle = self._between_commas(text)
        if middle is None and not text.startswith(b"["):
            got = text[:20].decode("utf-8", "replace")
            raise RecordError(row, f"keypoints: must be a list of numbers, but got {got}")
        rows, parts, extras = self._long if middle is None else self._short
        rows.append(row)
        parts.append(text[1:-1] if middle is None else middle)
        extras.append(extra)
        return len(rows) >= (_FULL_BATCH if middle is None else self._batch_size)

    def parse(self) -> Iterator[ParsedSlots]:
        """Parses and forgets all that was added.

        Raises:
            RecordError: a record has another number of numbers, or something that is no finite
                number.
        """
        (rows, parts, extras), self._short = self._short, ([], [], [])
        if rows:
            own = _numbers(rows, parts, LAYOUT.counts[self._class_index])
            yield ParsedSlots(np.asarray(rows), extras, own, None)
        (rows, parts, extras), self._long = self._long, ([], [], [])
        if rows:
            full = _numbers(rows, parts, LAYOUT.num_slots)
            own = full[:, LAYOUT.slots(self._class_index)].copy()
            yield ParsedSlots(np.asarray(rows), extras, own, full)

    def _between_zeros(self, text: bytes) -> bytes | None:
        """Text of the own numbers, None where the zeros around them are not found."""
        for place, (before, after) in enumerate(self._runs):
            if text.startswith(before) and text.endswith(after):
                middle = text[len(before) : len(text) - len(after)]
                if middle.count(b",") == 3 * LAYOUT.counts[self._class_index] - 1:
                    if place:  # the next record is probably written in the same way
                        self._runs.insert(0, self._runs.pop(place))
                    return middle
        return None

    def _between_commas(self, text: bytes) -> bytes | None:
        """Text of the own numbers, None where something is odd and has to be parsed.

        That every element is a JSON number follows from its characters, as the text is JSON.
        """
        if len(text) > _MAX_PLAIN_BYTES or text.translate(None, _PLAIN) != b"[]":
            return None
        commas = np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == ord(","))
        if len(commas) != 3 * LAYOUT.num_slots - 1:
            return None
        own = LAYOUT.slots(self._class_index)
        start = commas[3 * own.start - 1] + 1 if own.start else 1
        stop = commas[3 * own.stop - 1] if own.stop < LAYOUT.num_slots else len(text) - 1
        return text[start:stop]


_Texts: TypeAlias = "tuple[list[int], list[bytes], list[Any]]"


def _zero_runs(class_index: int) -> list[tuple[bytes, bytes]]:
    """Text before and after the own slots, in each way of writing zeros."""
    own = LAYOUT.slots(class_index)
    runs = []
    for zero in _ZEROS:
        number, separator = zero.rstrip(b", "), zero.lstrip(b"0.")
        after = (separator + number) * (3 * (LAYOUT.num_slots - own.stop))
        runs.append((b"[" + zero * (3 * own.start), after + b"]"))
    return runs


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
