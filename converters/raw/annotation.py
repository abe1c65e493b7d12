"""Parse one raw DeepFashion2 annotation file into typed records.

A file is an object with the keys ``source``, ``pair_id`` and ``item1``, ``item2``... in any order;
its layout is described in the README of https://github.com/switchablenorms/DeepFashion2.
Types and ranges are checked here, by msgspec while it parses. What needs the taxonomy or the size
of the image is checked in ``item_rules.py``.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, NamedTuple

import msgspec

from converters.raw.problems import DataError, Problem

# Far outside of any image (a JPEG has at most 65,535 pixels a side), but safe to calculate with.
MAX_COORDINATE = 1_000_000
MAX_ID = 2**53 - 1  # the largest integer that every JSON reader keeps

Coordinate = (
    Annotated[int, msgspec.Meta(ge=-MAX_COORDINATE, le=MAX_COORDINATE)]
    | Annotated[float, msgspec.Meta(ge=-MAX_COORDINATE, le=MAX_COORDINATE)]
)
Identifier = Annotated[int, msgspec.Meta(ge=-MAX_ID, le=MAX_ID)]


class RawItem(msgspec.Struct, gc=False):
    """One garment as written in the file. Fields that are not listed here are ignored.

    Attributes:
        bounding_box: x1, y1, x2, y2 in pixels, y down.
        landmarks: x, y, v for each landmark of the category; v: 0 not labelled, 1 occluded,
            2 visible.
        segmentation: polygons, each x, y, x, y...
        style: items of one ``pair_id`` and one style above 0 show the same garment.
        scale, occlusion, zoom_in, viewpoint: 1..3, as the data set's README describes them.
    """

    category_id: Identifier
    category_name: str
    style: Identifier
    bounding_box: list[Coordinate]
    landmarks: list[Coordinate]
    segmentation: list[list[Coordinate]]
    scale: Identifier
    occlusion: Identifier
    zoom_in: Identifier
    viewpoint: Identifier


class RawAnnotation(NamedTuple):
    """The content of one annotation file.

    Attributes:
        source: "shop" or "user".
        pair_id: images with one pair id belong together.
        items: (key, record) of each well-formed item, by item number.
        problems: one for each item that is not well-formed, by item number.
    """

    source: str
    pair_id: int
    items: list[tuple[str, RawItem]]
    problems: list[Problem]


_FILE = msgspec.json.Decoder(dict[str, RawItem | Identifier | str])
_ITEM = msgspec.json.Decoder(RawItem)
_PAIR_ID = msgspec.json.Decoder(Identifier)
_SOURCE = msgspec.json.Decoder(str)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ITEM_KEY = re.compile(r"item([0-9]{1,9})\Z")
_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def parse_annotation(data: bytes, file: str) -> RawAnnotation:
    """Parse the bytes of one annotation file.

    Args:
        data: the content.
        file: its path, for messages.

    Returns:
        Its items by item number. Items of a wrong form are reported in ``problems``.

    Raises:
        DataError: nothing in the file can be used: it is not JSON, not an object, has no
            ``source`` or ``pair_id``, has a key of no known meaning, or has an item twice.
    """
    try:
        content = _FILE.decode(data)
    except _NOT_JSON:
        return _parse_carefully(data, file)
    source = content.pop("source", None)
    pair_id = content.pop("pair_id", None)
    items = [(key, value) for key, value in content.items() if isinstance(value, RawItem)]
    if (
        not isinstance(source, str)
        or not isinstance(pair_id, int)
        or len(items) != len(content)
        # A repeated key would hide an item, and a decoder keeps only the last one. With an escape
        # in it ("\u0069tem1") the key would not be counted.
        or len(items) != data.count(b'"item')
        or b"\\" in data
        or not all(map(_ITEM_KEY.match, content))
    ):
        return _parse_carefully(data, file)
    if len(items) > 1:
        items.sort(key=_item_number)
        if len({_item_number(item) for item in items}) < len(items):
            return _parse_carefully(data, file)
    return RawAnnotation(source, pair_id, items, [])


def _parse_carefully(data: bytes, file: str) -> RawAnnotation:
    """The same, key by key: slower, but it can tell where a mistake is."""

    def reject(reason: str, message: str) -> DataError:
        return DataError(Problem(reason, file, None, message))

    try:
        fields = _OBJECT.decode(data)
        keys = [key for key, _ in json.loads(data, object_pairs_hook=list)]
    except msgspec.ValidationError as error:
        raise reject("malformed_json", f"must be a JSON object: {_lower(error)}") from None
    except (*_NOT_JSON, ValueError) as error:
        raise reject("malformed_json", f"is not valid JSON: {_lower(error)}") from None
    for key in ("source", "pair_id"):
        if key not in fields:
            raise reject("missing_field", f"{key}: missing")
    numbers: dict[int, str] = {}
    for key in keys:
        match = _ITEM_KEY.match(key)
        if match and int(match[1]) in numbers:
            raise reject(
                "duplicate_item", f"item {int(match[1])} is there twice; remove one of the two"
            )
        if match:
            numbers[int(match[1])] = key
        elif key not in ("source", "pair_id"):
            raise reject(
                "unknown_key", f"expected the keys source, pair_id, item1, item2..., got {key!r}"
            )
    try:
        source = _SOURCE.decode(fields["source"])
    except _NOT_JSON as error:
        raise reject("wrong_type", f"source: {_lower(error)}") from None
    try:
        pair_id = _PAIR_ID.decode(fields["pair_id"])
    except _NOT_JSON as error:
        raise reject("wrong_type", f"pair_id: {_lower(error)}") from None
    items, problems = [], []
    for key in (numbers[number] for number in sorted(numbers)):
        try:
            items.append((key, _ITEM.decode(fields[key])))
        except _NOT_JSON as error:
            problems.append(_item_problem(error, file, key))
    return RawAnnotation(source, pair_id, items, problems)


def _item_problem(error: Exception, file: str, key: str) -> Problem:
    """Turn a decoder's message "Expected `int`, got `str` - at `$.style`" into a problem."""
    what, _, path = str(error).partition(" - at ")
    field = path.strip("`").removeprefix("$").lstrip(".")
    what = what[:1].lower() + what[1:]
    missing = re.match(r"object missing required field `(\w+)`", what)
    if missing:
        return Problem("missing_field", file, key, f"{missing[1]}: missing")
    reason = "out_of_range" if "range" in what or "<=" in what or ">=" in what else "wrong_type"
    return Problem(reason, file, key, f"{field}: {what}" if field else what)


def _item_number(item: tuple[str, RawItem]) -> int:
    return int(item[0][len("item") :])


def _lower(error: Exception) -> str:
    text = str(error)
    return text[:1].lower() + text[1:]
