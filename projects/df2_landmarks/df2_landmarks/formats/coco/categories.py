"""The ``categories`` of a COCO file: which of its ids stands for which category of the taxonomy."""

from __future__ import annotations

import difflib
import io
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import msgspec

from df2_landmarks.common import UserError, open_input
from df2_landmarks.formats.coco.records import CocoCategory, RecordDecoder
from df2_landmarks.formats.json_stream import read_members
from df2_landmarks.taxonomy import DEEPFASHION2, Taxonomy

TAIL_BYTES = 1 << 22
"""How much of the end of a file is searched for ``categories``; DeepFashion2's have 30 kB."""


@dataclass(frozen=True)
class CategoryIds:
    """The category ids of a file.

    Attributes:
        classes: id -> class index (0-based) of the taxonomy.
        unknown: id -> name of the categories that the taxonomy does not have.
        taxonomy: the categories.
    """

    classes: Mapping[int, int]
    unknown: Mapping[int, str] = field(default_factory=dict)
    taxonomy: Taxonomy = DEEPFASHION2

    @property
    def are_ours(self) -> bool:
        """True where every id is the one that this project writes: 1 for the first category."""
        return all(c + 1 == category_id for category_id, c in self.classes.items())

    @property
    def every_id(self) -> tuple[int, ...]:
        """The id of each class; a class that the file does not have gets one that is free."""
        id_of_class = {c: category_id for category_id, c in self.classes.items()}
        free = max([0, *self.classes, *self.unknown]) + 1
        return tuple(id_of_class.get(c, free + c) for c in range(self.taxonomy.num_categories))

    def problem(self, category_id: int) -> str:
        """Return what is wrong with an id that is not in ``classes``."""
        if category_id not in self.unknown:
            return f"must be {listed_ids(sorted(self.classes))}, but got {category_id}"
        name = self.unknown[category_id]
        known = {plain_name(c.official_name): c.official_name for c in self.taxonomy.categories}
        known |= {plain_name(c.name): c.name for c in self.taxonomy.categories}
        close = difflib.get_close_matches(plain_name(name), known, n=1)
        hint = f"did you mean {known[close[0]]!r}?" if close else f"known: {', '.join(known)}"
        whose = f"a category of {self.taxonomy.name}"
        own = "for categories of your own see `df2 taxonomy --help`"
        return f"{category_id} is {name[:40]!r}, which is not {whose}; {hint}; {own}"

    def mapping_text(self) -> str:
        """Return ``0 -> short_sleeved_shirt, ...`` for people."""
        names = [category.official_name for category in self.taxonomy.categories]
        return ", ".join(f"{i} is {names[c]}" for i, c in sorted(self.classes.items()))


def own_ids(taxonomy: Taxonomy = DEEPFASHION2) -> CategoryIds:
    """Return the ids that this project writes, for files that have no ``categories``."""
    return CategoryIds({c.id: i for i, c in enumerate(taxonomy.categories)}, taxonomy=taxonomy)


def category_ids(
    categories: Sequence[CocoCategory], name: str, taxonomy: Taxonomy = DEEPFASHION2
) -> CategoryIds:
    """Map the ids of a file by the names in its ``categories``.

    Official names, raw names and any spelling of case, spaces, hyphens and underscores are known.

    Args:
        categories: of the file; an empty list counts as none.
        name: name of the file, for messages.
        taxonomy: the categories.

    Raises:
        UserError: two categories have one id or mean the same, or their landmarks have the names
            of the taxonomy in another order.
    """
    if not categories:
        return own_ids(taxonomy)
    index_of_name = {
        plain_name(spelling): index
        for index, category in enumerate(taxonomy.categories)
        for spelling in (category.name, category.official_name)
    }
    classes: dict[int, int] = {}
    unknown: dict[int, str] = {}
    for record in categories:
        if record.id in classes or record.id in unknown:
            raise UserError(f"{name}, categories: id {record.id} must occur once, but occurs again")
        class_index = index_of_name.get(plain_name(record.name))
        if class_index is None:
            unknown[record.id] = record.name
            continue
        if class_index in classes.values():
            raise UserError(
                f"{name}, categories: {record.name!r} must occur once, but ids "
                f"{_id_of(classes, class_index)} and {record.id} both mean it"
            )
        _check_landmark_names(record, taxonomy, class_index, name)
        classes[record.id] = class_index
    return CategoryIds(classes, unknown, taxonomy)


def plain_name(name: str) -> str:
    """Return a name without the differences that do not count: ``"Short-Sleeve_Top "``."""
    return re.sub(r"[\s_-]+", " ", name).strip().lower()


def find_categories(path: str | Path) -> list[CocoCategory]:
    """Read the ``categories`` of a file, wherever they stand; an empty list if it has none.

    At the end of a plain file, as in COCO's own files, they are found without reading the rest.
    Elsewhere, all that stands before them is skipped, which adds a fifth to the time of reading.
    """
    with open_input(path) as (stream, name):
        if isinstance(stream, io.BufferedReader):  # a packed stream has to be read to its end
            categories = _last_member(stream)
            if categories is not None:
                return categories
            stream.seek(0)
        decoders = {"categories": RecordDecoder(CocoCategory)}
        blocks = read_members(stream, name, decoders, stop_after="categories")
        return [record for _, _, records in blocks for record in records]


def _last_member(stream: BinaryIO) -> list[CocoCategory] | None:
    """Return the ``categories`` if they are the last member of the file's object, else None.

    Only the brace of the file's object may follow the list: so it is not a member of an object
    deeper in the file, and not text within a string.
    """
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - TAIL_BYTES))
    tail = stream.read()
    match = _LAST_MEMBER.match(tail, max(0, tail.rfind(b'"categories"')))
    if match is None:
        return None
    try:
        return RecordDecoder(CocoCategory).decode(match[1])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _check_landmark_names(
    record: CocoCategory, taxonomy: Taxonomy, class_index: int, name: str
) -> None:
    own_names = taxonomy.categories[class_index].landmark_names
    expected = [plain_name(n) for n in own_names]
    got = [str(n) for n in record.keypoints or ()]
    names = [plain_name(n) for n in got]
    if names != expected and sorted(names) == sorted(expected):
        place = next(i for i, n in enumerate(names) if n != expected[i])
        raise UserError(
            f"{name}, categories: the landmarks of {record.name!r} must be in the order of the "
            f"taxonomy, with {own_names[place]!r} as number {place + 1}, but got "
            f"{got[place]!r}; reorder keypoints and names"
        )


def _id_of(classes: Mapping[int, int], class_index: int) -> int:
    return next(i for i, c in classes.items() if c == class_index)


def listed_ids(ids: Sequence[int]) -> str:
    """Return ids for people: ``1..13``, ``one of 3, 5``."""
    if len(ids) > 1 and list(ids) == list(range(ids[0], ids[-1] + 1)):
        return f"{ids[0]}..{ids[-1]}"
    return "one of " + ", ".join(map(str, ids[:20])) if ids else "an id of 'categories'"


_LAST_MEMBER = re.compile(rb'"categories"\s*:\s*(\[.*\])\s*\}\s*\Z', re.DOTALL)
