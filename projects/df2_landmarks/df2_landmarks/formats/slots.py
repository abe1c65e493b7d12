"""COCO ``keypoints`` as JSON text: the only place that writes and reads them.

K = landmarks of a category, S = those of all categories, 294 in DeepFashion2. A list has x, y, v of
every slot, 3 * S numbers, where most files write 0 into the slots of the other categories; or the
3 * K numbers of the record's own category.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

import msgspec

from df2_landmarks.formats.json_stream import fail_record
from df2_landmarks.taxonomy import Taxonomy

_NUMBERS = msgspec.json.Decoder(list[float])
_ZERO_AND_SEPARATOR = ((b"0", b","), (b"0", b", "), (b"0.0", b","), (b"0.0", b", "))


class Slots(NamedTuple):
    """The ``keypoints`` of one record.

    Attributes:
        class_index: 0-based class.
        own: 3 * K numbers x, y, v of the category's own landmarks, as in the file.
        every: all 3 * S numbers; None where the foreign slots are known to be zero, or not there.
        are_alone: the list has no foreign slots.
    """

    class_index: int
    own: list[float]
    every: list[float] | None
    are_alone: bool = False


def slot_text(taxonomy: Taxonomy, class_index: int, own_numbers: bytes) -> bytes:
    """Return the JSON list of all slots, with 0 in the slots of the other categories.

    Args:
        taxonomy: the categories.
        class_index: 0-based class.
        own_numbers: comma-separated text of the 3 * K numbers of the class's own landmarks.
    """
    before, after = _zeros(taxonomy, class_index)[0]
    return before + own_numbers + after


def read_slots(
    taxonomy: Taxonomy, class_index: int, text: bytes, *, name: str, record: int
) -> Slots:
    """Parse the ``keypoints`` of a record.

    Args:
        taxonomy: the categories.
        class_index: 0-based class of the record.
        text: valid JSON.
        name: name of the file, for messages.
        record: 0-based number of the record, for messages.

    Raises:
        UserError: the text is not a list of 3 * K or 3 * S finite numbers.
    """
    own = _between_zeros(taxonomy, class_index, text)
    if own is not None:
        return Slots(class_index, own, None)
    try:
        every = _NUMBERS.decode(text)
    except msgspec.ValidationError as error:
        fail_record(name, record, _message(text, error))
    if len(every) == 3 * taxonomy.counts[class_index]:
        return Slots(class_index, every, None, are_alone=True)
    if len(every) != 3 * taxonomy.num_slots:
        fail_record(name, record, f"keypoints: {_expected(taxonomy, class_index, len(every))}")
    slots = taxonomy.slots(class_index)
    return Slots(class_index, every[3 * slots.start : 3 * slots.stop], every)


def _expected(taxonomy: Taxonomy, class_index: int, got: int) -> str:
    count, category = taxonomy.counts[class_index], taxonomy.categories[class_index]
    return (
        f"needs {taxonomy.num_slots} landmarks = {3 * taxonomy.num_slots} numbers, got {got} "
        f"({3 * count} would be the {count} of {category.official_name} alone)"
    )


def _between_zeros(taxonomy: Taxonomy, class_index: int, text: bytes) -> list[float] | None:
    """Parse the own numbers alone, which saves 15 us a record; None if that is not possible."""
    for before, after in _zeros(taxonomy, class_index):
        if text.startswith(before) and text.endswith(after):
            try:
                own = _NUMBERS.decode(b"[" + text[len(before) : -len(after)] + b"]")
            except msgspec.DecodeError:
                return None
            return own if len(own) == 3 * taxonomy.counts[class_index] else None
    return None


@cache
def _zeros(taxonomy: Taxonomy, class_index: int) -> tuple[tuple[bytes, bytes], ...]:
    """Text before and after the own slots, in each way of writing zeros; the shortest first."""
    slots = taxonomy.slots(class_index)
    num_before, num_after = 3 * slots.start, 3 * (taxonomy.num_slots - slots.stop)
    return tuple(
        (b"[" + (zero + separator) * num_before, (separator + zero) * num_after + b"]")
        for zero, separator in _ZERO_AND_SEPARATOR
    )


def _message(text: bytes, error: msgspec.ValidationError) -> str:
    place = re.search(r"\$\[(\d+)\]", str(error))
    piece = text[1:-1].split(b",")[int(place[1])].strip() if place else text
    got = piece[:20].decode("utf-8", "replace")
    if place is None:
        return f"keypoints: must be a list of numbers, but got {got}"
    return f"keypoints[{place[1]}]: must be a finite number, but got {got}"
