"""The oddities of the real annotation files, put into drawn ones on request.

Each was seen in the data set's published files or reported by its users; none of them breaks the
format. Picture *i* gets the quirk ``QUIRKS[i % len(QUIRKS)]``, where it applies.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

Record = dict[str, Any]
Size = tuple[int, int]


def with_quirk(record: Record, index: int, size: Size) -> Record:
    """A copy of an annotation with the quirk of picture ``index`` (0-based).

    Args:
        size: (height, width) of the picture.
    """
    out = copy.deepcopy(record)
    list(QUIRKS.values())[index % len(QUIRKS)](out, size)
    return out


def _items(record: Record) -> list[Record]:
    return [record[key] for key in sorted(record) if key.startswith("item")]


def _items_with_polygon(record: Record) -> list[Record]:
    """In small pictures what one sees of a garment may be a line, which has none."""
    return [item for item in _items(record) if item["segmentation"]]


def _landmark_outside_box(record: Record, size: Size) -> None:
    """The box ends above the lowest landmark."""
    for item in _items(record):
        x1, y1, x2, y2 = item["bounding_box"]
        item["bounding_box"] = [x1, y1, x2, max(y1 + 1, y2 - max(3, (y2 - y1) // 40))]


def _landmark_on_far_edge(record: Record, size: Size) -> None:
    """y of a labelled landmark is the height of the picture, one beyond its last pixel."""
    for item in _items(record):
        flat = item["landmarks"]
        lowest = max(range(0, len(flat), 3), key=lambda i: (flat[i + 2] > 0, flat[i + 1]))
        flat[lowest + 1] = size[0]


def _landmark_at_zero(record: Record, size: Size) -> None:
    """x of a labelled landmark is 0."""
    for item in _items(record):
        flat = item["landmarks"]
        leftmost = min(range(0, len(flat), 3), key=lambda i: (flat[i + 2] == 0, flat[i]))
        flat[leftmost] = 0


def _no_landmarks(record: Record, size: Size) -> None:
    """The second item has no labelled landmark; another one has."""
    for item in _items(record)[1:2]:
        item["landmarks"] = [0] * len(item["landmarks"])


def _few_landmarks(record: Record, size: Size) -> None:
    """Only three landmarks of the first item are labelled."""
    flat = _items(record)[0]["landmarks"]
    labelled = [i for i in range(0, len(flat), 3) if flat[i + 2] > 0]
    for i in labelled[3:]:
        flat[i : i + 3] = [0, 0, 0]


def _closed_polygons(record: Record, size: Size) -> None:
    """Polygons repeat their first point at the end."""
    for item in _items(record):
        item["segmentation"] = [flat + flat[:2] for flat in item["segmentation"]]


def _crossing_polygon(record: Record, size: Size) -> None:
    """A polygon crosses itself: two neighbouring points have changed places."""
    for item in _items_with_polygon(record):
        flat = item["segmentation"][0]
        flat[0:2], flat[2:4] = flat[2:4], flat[0:2]


def _nested_polygon(record: Record, size: Size) -> None:
    """The first polygon is the whole outline, the second a part of it."""
    for item in _items_with_polygon(record):
        flat = item["segmentation"][0]
        half = max(6, len(flat) // 4 * 2)
        item["segmentation"].append(flat[:half])


def _polygon_outside(record: Record, size: Size) -> None:
    """Polygon coordinates are fractions, and one lies slightly outside the picture."""
    for item in _items_with_polygon(record):
        item["segmentation"] = [[v + 0.5 for v in flat] for flat in item["segmentation"]]
        item["segmentation"][0][0] = -0.2


def _box_at_border(record: Record, size: Size) -> None:
    """The box touches the whole border."""
    for item in _items(record)[:1]:
        item["bounding_box"] = [0, 0, size[1], size[0]]


def _no_style(record: Record, size: Size) -> None:
    """No item has a partner."""
    for item in _items(record):
        item["style"] = 0


def _item_order(record: Record, size: Size) -> None:
    """The keys come in reverse order, so that item2 stands before item1."""
    keys = sorted(record, reverse=True)
    values = [record[key] for key in keys]
    record.clear()
    record.update(zip(keys, values, strict=True))


QUIRKS: dict[str, Callable[[Record, Size], None]] = {
    "landmark_outside_box": _landmark_outside_box,
    "landmark_on_far_edge": _landmark_on_far_edge,
    "landmark_at_zero": _landmark_at_zero,
    "no_landmarks": _no_landmarks,
    "few_landmarks": _few_landmarks,
    "closed_polygons": _closed_polygons,
    "crossing_polygon": _crossing_polygon,
    "nested_polygon": _nested_polygon,
    "polygon_outside": _polygon_outside,
    "box_at_border": _box_at_border,
    "no_style": _no_style,
    "item_order": _item_order,
}
