"""Records of a COCO file as Python objects, read strictly first and forgivingly where that fails.

Tools write ids as text, sizes as ``80.0`` and ``iscrowd`` as ``false``. Such a block of records is
decoded once more, its fields repaired by `_REPAIRS`, and each kind of repair counted.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from df2_landmarks.formats.json_stream import Integer

MISSING = -(1 << 63)
"""An integer that the file does not give."""

NOT_READ = "not read, no attribute of DeepFashion2"

Rle = dict[str, Any]


class CocoCategory(msgspec.Struct, gc=False):
    """A record of ``categories``."""

    id: Integer
    name: str
    keypoints: list[Any] | None = None
    skeleton: Any = None
    flip_pairs: Any = None
    sigmas: Any = None
    color: Any = None
    official_name: Any = None
    supercategory: Any = None


class CocoImage(msgspec.Struct, gc=False):
    """A record of ``images``. The score needs the id only, loading needs all."""

    id: Integer
    file_name: str = ""
    width: Integer = 0
    height: Integer = 0


class CocoAnnotation(msgspec.Struct, gc=False):
    """A record of ``annotations``. `read_coco` fills in ``area`` and ``iscrowd`` where missing."""

    id: Integer
    image_id: Integer
    category_id: Integer
    bbox: tuple[float, float, float, float]
    keypoints: msgspec.Raw = msgspec.Raw()
    area: float = math.nan
    num_keypoints: Integer | None = None
    iscrowd: Integer = MISSING
    segmentation: list[list[float]] | Rle = []
    pair_id: Integer | None = None
    style: Integer | None = None
    source: str | None = None
    scale: Integer | None = None
    occlusion: Integer | None = None
    zoom_in: Integer | None = None
    viewpoint: Integer | None = None


class CocoItem(NamedTuple):
    """A checked annotation.

    Attributes:
        annotation: its fields; ``keypoints`` is not to be kept.
        class_index: 0-based class, which the file's ``categories`` give to its ``category_id``.
        landmarks: (K, 3) x, y, v of its own landmarks, in pixel indices.
    """

    annotation: CocoAnnotation
    class_index: int
    landmarks: NDArray[np.float64]


T = TypeVar("T")


class RecordDecoder(Generic[T]):
    """Decode JSON lists of records of one type.

    Attributes:
        repairs: how often each kind of repair was made.
    """

    def __init__(self, record_type: type[T]) -> None:
        self._record_type = record_type
        self._strict: Any = msgspec.json.Decoder(list[record_type])  # type: ignore[valid-type]
        self._loose = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
        self.repairs: Counter[str] = Counter()

    def decode(self, block: bytes) -> list[T]:
        """Return the records.

        Raises:
            msgspec.DecodeError: this is not a list of such records; the message names the place.
        """
        try:
            records: list[T] = self._strict.decode(block)
            return records
        except msgspec.ValidationError:
            repairs: Counter[str] = Counter()
            rows = [_repaired(row, repairs) for row in self._loose.decode(block)]
            records = msgspec.convert(rows, list[self._record_type])  # type: ignore[name-defined]
            self.repairs += repairs
            return records


def _repaired(row: Mapping[str, msgspec.Raw], repairs: Counter[str]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, raw in row.items():
        if name == "keypoints":
            fields[name] = raw
            continue
        value = msgspec.json.decode(raw)
        if name in _REPAIRS:
            repaired = _REPAIRS[name](value)
            if repaired is not value:
                outcome = NOT_READ if repaired is None else "understood"
                repairs[f"{name} as {_kind(value)}: {outcome}"] += 1
            value = repaired
        if value is not None:
            fields[name] = value
    return fields


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "something else")


_KINDS: dict[type, str] = {
    str: "text",
    float: "a decimal number",
    bool: "true or false",
    type(None): "null",
    list: "one flat list",
    int: "a whole number",
}


def _whole(value: Any) -> Any:
    """``80.0`` and ``"80"`` -> ``80``; anything else stays what it is."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"\s*-?[0-9]{1,18}(\.0*)?\s*", value):
        return int(value.partition(".")[0])
    return value


def _flag(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else _whole(value)


def _polygons(value: Any) -> Any:
    """One flat list of numbers -> a list with this polygon."""
    if isinstance(value, list) and value and not isinstance(value[0], list | dict | str):
        return [value]
    return value


def _attribute(value: Any) -> Any:
    """Return a whole number, or None: another data set means something else by this name."""
    whole = _whole(value)
    return whole if type(whole) is int and abs(whole) < 1 << 62 else None


_REPAIRS: dict[str, Callable[[Any], Any]] = {
    "id": _whole,
    "image_id": _whole,
    "category_id": _whole,
    "width": _whole,
    "height": _whole,
    "num_keypoints": _whole,
    "iscrowd": _flag,
    "segmentation": _polygons,
    **dict.fromkeys(("pair_id", "style", "scale", "occlusion", "zoom_in", "viewpoint"), _attribute),
    "source": lambda value: value if isinstance(value, str) else None,
}
"""Field -> what makes the expected type of what tools write; ``null`` counts as missing."""
