"""Parse one raw DeepFashion2 annotation file into typed records.

A file is an object with the keys ``source``, ``pair_id`` and ``item1``, ``item2``... in any order;
its layout is described in the README of https://github.com/switchablenorms/DeepFashion2.
Types and ranges are checked here, by msgspec while it parses. What needs the taxonomy or the size
of the image is checked in ``rules.py``.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, NamedTuple

import msgspec

from converters.raw.problems import Problem, RawFileError

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
        file: its path.
        source: "shop" or "user".
        pair_id: images with one pair id belong together.
        items: (key, record) of each well-formed item, by item number.
        problems: one for each item that is not well-formed, by item number.
    """

    file: str
    source: str
    pair_id: int
    items: list[tuple[str, RawItem]]
    problems: list[Problem]


_HEADER: dict[str, msgspec.json.Decoder] = {
    "source": msgspec.json.Decoder(str),
    "pair_id": msgspec.json.Decoder(Identifier),
}
_ITEM = msgspec.json.Decoder(RawItem)
_FILE = msgspec.json.Decoder(dict[str, RawItem | Identifier | str])
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ITEM_KEY = re.compile(r"item([0-9]{1,9})\Z")
_PLAIN_KEY = re.compile(r"item[1-9][0-9]{0,8}\Z")
_NOT_JSON = (msgspec.DecodeError, ValueError, RecursionError)


def read_annotation(file: str) -> RawAnnotation:
    """Read and parse an annotation file.

    Raises:
        RawFileError: it cannot be read, or nothing in it can be used.
    """
    try:
        with open(file, "rb", buffering=0) as stream:
            data = stream.read()
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise RawFileError(Problem("unreadable_annotation", file, None, message)) from None
    return parse_annotation(data, file)


def parse_annotation(data: bytes, file: str) -> RawAnnotation:
    """Parse the bytes of one annotation file.

    Args:
        data: the content.
        file: its path, for messages.

    Returns:
        Its items by item number. Items of a wrong form are reported in ``problems``.

    Raises:
        RawFileError: nothing in the file can be used: it is not JSON, not an object, has no
            ``source`` or ``pair_id``, has a key of no known meaning, or has an item twice.
    """
    return _parse_at_once(data, file) or _parse_by_key(data, file)


def _parse_at_once(data: bytes, file: str) -> RawAnnotation | None:
    """Parse a file without any mistake. Return None for any other: this does not say what is wrong.

    It takes half the time of `_parse_by_key`.
    """
    try:
        content = _FILE.decode(data)
    except _NOT_JSON:
        return None
    source, pair_id = content.pop("source", None), content.pop("pair_id", None)
    items = [
        (key, item)
        for key, item in content.items()
        if _PLAIN_KEY.match(key) and isinstance(item, RawItem)
    ]
    if not (isinstance(source, str) and isinstance(pair_id, int) and len(items) == len(content)):
        return None
    # A repeated key would hide an item, and an escape ("\\u0069tem1") would hide the repetition.
    if data.count(b'"item') != len(items) or b"\\" in data:
        return None
    items.sort(key=lambda item: int(item[0].removeprefix("item")))
    return RawAnnotation(file, source, pair_id, items, [])


def _parse_by_key(data: bytes, file: str) -> RawAnnotation:
    """Parse a file key by key, and say what is wrong with it or with its items."""

    def reject(reason: str, message: str) -> RawFileError:
        return RawFileError(Problem(reason, file, None, message))

    try:
        fields = _OBJECT.decode(data)
        keys = [key for key, _ in json.loads(data, object_pairs_hook=list)]
    except msgspec.ValidationError as error:
        raise reject("malformed_json", f"must be a JSON object: {_lower(error)}") from None
    except _NOT_JSON as error:
        raise reject("malformed_json", f"is not valid JSON: {_lower(error)}") from None
    header = {}
    for key, decoder in _HEADER.items():
        if key not in fields:
            raise reject("missing_field", f"{key}: missing")
        try:
            header[key] = decoder.decode(fields[key])
        except _NOT_JSON as error:
            raise reject("wrong_type", f"{key}: {_lower(error)}") from None
    key_of_number: dict[int, str] = {}
    for key in keys:
        if key in _HEADER:
            continue
        match = _ITEM_KEY.match(key)
        if not match:
            expected = "expected the keys source, pair_id, item1, item2..."
            raise reject("unknown_key", f"{expected}, got {key!r}")
        number = int(match[1])
        if number in key_of_number:
            raise reject("duplicate_item", f"item {number} is there twice; remove one of the two")
        key_of_number[number] = key
    items, problems = [], []
    for _, key in sorted(key_of_number.items()):
        try:
            items.append((key, _ITEM.decode(fields[key])))
        except msgspec.ValidationError as error:
            problems.append(_item_problem(error, file, key))
        except _NOT_JSON as error:
            raise reject("malformed_json", f"is not valid JSON: {_lower(error)}") from None
    return RawAnnotation(file, header["source"], header["pair_id"], items, problems)


def _item_problem(error: msgspec.ValidationError, file: str, key: str) -> Problem:
    """Turn a decoder's message "Expected `int`, got `str` - at `$.style`" into a problem."""
    what, _, path = str(error).partition(" - at ")
    field = path.strip("`").removeprefix("$").lstrip(".")
    what = what[:1].lower() + what[1:]
    missing = re.match(r"object missing required field `(\w+)`", what)
    if missing:
        return Problem("missing_field", file, key, f"{missing[1]}: missing")
    reason = "out_of_range" if "range" in what or "<=" in what or ">=" in what else "wrong_type"
    return Problem(reason, file, key, f"{field}: {what}" if field else what)


def _lower(error: Exception) -> str:
    text = str(error)
    return text[:1].lower() + text[1:]
