"""The ``keypoints`` lists of COCO files, from JSON text to arrays, many records at once.

S = 294 slots, K = the landmarks of a category. Most files write 0 into the slots of the other
categories. There the text between two known runs of zeros is all that has to be parsed. Where the
other slots hold something that nobody wants, the own numbers are found by counting commas.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from df2_landmarks.formats.plain_numbers import cut_plain, parse_plain
from df2_landmarks.taxonomy import LAYOUT

_ZEROS = (b"0,", b"0, ", b"0.0,", b"0.0, ")
_STARTS = tuple(b"[" + zero for zero in (b"0,", b"0.0,"))
_ENDS = tuple(separator + zero + b"]" for zero in (b"0", b"0.0") for separator in (b",", b" "))
_NUMBERS = msgspec.json.Decoder(list[float])
_FULL_BATCH = 64
_MAX_FILLED_BYTES = 32 * 3 * LAYOUT.num_slots
_MAX_BATCH_BYTES = 2 << 20
"""Of text that is kept; a full batch has less, unless somebody fills it up with white space."""
_AT_ONCE = 16 * 3 * LAYOUT.num_slots
"""Numbers that are handled at once: their arrays stay in the processor's cache."""


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
        own: (n, K, 3) x, y, v of the class's own slots, as in the file; (n, K, 2) without v.
        full: (n, S, 3 or 2) all slots; None where the foreign slots are zero or not wanted.
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
        with_v: whether v is wanted; it is checked anyway.
    """

    def __init__(self, class_index: int, *, batch_size: int = 1024, with_v: bool = True) -> None:
        self._with_v = with_v
        self._class_index = class_index
        self._batch_size = batch_size
        self._short: _Texts = ([], [], [])
        self._long: _Texts = ([], [], [])
        self._filled: _Texts = ([], [], [])
        self._num_bytes = 0
        self._starts_foreign = LAYOUT.slots(class_index).start > 0
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
        if not text.startswith(b"["):
            got = text[:20].decode("utf-8", "replace")
            raise RecordError(row, f"keypoints: must be a list of numbers, but got {got}")
        middle = self._between_zeros(text)
        self._num_bytes += len(text if middle is None else middle)
        if middle is not None:
            _append(self._short, row, middle, extra)
        elif all_slots or len(text) > _MAX_FILLED_BYTES:
            _append(self._long, row, text[1:-1], extra)
        else:
            _append(self._filled, row, text[1:-1], extra)
            if len(self._filled[0]) * 3 * LAYOUT.num_slots >= _AT_ONCE:
                self._cut_filled()
        return (
            len(self._short[0]) >= self._batch_size
            or len(self._long[0]) >= _FULL_BATCH
            or self._num_bytes >= _MAX_BATCH_BYTES
        )

    def parse(self) -> Iterator[ParsedSlots]:
        """Parses and forgets all that was added.

        Raises:
            RecordError: a record has another number of numbers, or something that is no finite
                number.
        """
        self._cut_filled()
        self._num_bytes = 0
        (rows, parts, extras), self._short = self._short, ([], [], [])
        if rows:
            own = self._numbers(rows, parts, LAYOUT.counts[self._class_index])
            yield ParsedSlots(np.asarray(rows), extras, own, None)
        (rows, parts, extras), self._long = self._long, ([], [], [])
        if rows:
            full = self._numbers(rows, parts, LAYOUT.num_slots)
            own = full[:, LAYOUT.slots(self._class_index)].copy()
            yield ParsedSlots(np.asarray(rows), extras, own, full)

    def _between_zeros(self, text: bytes) -> bytes | None:
        """Text of the own numbers, None where the zeros around them are not found."""
        if not (text.startswith(_STARTS) if self._starts_foreign else text.endswith(_ENDS)):
            return None  # mostly enough to tell
        for place, (before, after) in enumerate(self._runs):
            if text.startswith(before) and text.endswith(after):
                middle = text[len(before) : len(text) - len(after)]
                if middle.count(b",") == 3 * LAYOUT.counts[self._class_index] - 1:
                    if place:  # the next record is probably written in the same way
                        self._runs.insert(0, self._runs.pop(place))
                    return middle
        return None

    def _cut_filled(self) -> None:
        """Keeps the own numbers of the filled texts; all where something is odd."""
        (rows, texts, extras), self._filled = self._filled, ([], [], [])
        own = LAYOUT.slots(self._class_index)
        cut = _cut(texts, 3 * own.start, 3 * own.stop)
        for row, text, middle, extra in zip(rows, texts, cut, extras, strict=True):
            if middle is None:
                _append(self._long, row, text, extra)
            else:
                _append(self._short, row, middle, extra)

    def _numbers(
        self, rows: Sequence[int], parts: Sequence[bytes], count: int
    ) -> NDArray[np.float64]:
        """(n, count, 3 or 2) numbers of n comma-separated texts; in memory x, y and v lie apart."""
        values = np.empty((3 if self._with_v else 2, len(rows), count))
        step = max(1, _AT_ONCE // (3 * count))
        for start in range(0, len(rows), step):
            some = slice(start, start + step)
            plain = parse_plain(parts[some], count, with_v=self._with_v)
            if plain is None:
                plain = _any_numbers(rows[some], parts[some], count)[: len(values)]
            values[:, some] = plain
        return values.transpose(1, 2, 0)


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


def _append(texts: _Texts, row: int, text: bytes, extra: Any) -> None:
    rows, parts, extras = texts
    rows.append(row)
    parts.append(text)
    extras.append(extra)


def _cut(texts: Sequence[bytes], start: int, stop: int) -> Sequence[bytes | None]:
    """Texts of some of the numbers of all slots, None where something is odd."""
    if not texts:
        return []
    if (cut := cut_plain(texts, 3 * LAYOUT.num_slots, start, stop)) is not None:
        return cut
    if len(texts) == 1:
        return [None]
    return [middle for text in texts for middle in _cut([text], start, stop)]


def _any_numbers(rows: Sequence[int], parts: Sequence[bytes], count: int) -> NDArray[np.float64]:
    """(3, n, count) x, y, v of n comma-separated texts, in any notation."""
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
    return values.reshape(len(rows), count, 3).transpose(2, 0, 1)


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
