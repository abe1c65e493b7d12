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
    """Return a copy of an annotation with the quirk of picture ``index`` (0-based).

    Args:
        record: raw annotation of a picture.
        index: which quirk.
        size: (height, width) of the picture.
    """
    out = copy.deepcopy(record)
    QUIRKS[index % len(QUIRKS)](out, size)
    return out


def _items(record: Record) -> list[Record]:
    return [record[key] for key in sorted(record) if key.startswith("item")]


def _items_with_polygon(record: Record) -> list[Record]:
    """Return the items that have a polygon: in small pictures a garment may be a mere line."""
    return [item for item in _items(record) if item["segmentation"]]


def landmark_outside_box(record: Record, size: Size) -> None:
    """End the box above the lowest landmark."""
    for item in _items(record):
        x1, y1, x2, y2 = item["bounding_box"]
        item["bounding_box"] = [x1, y1, x2, max(y1 + 1, y2 - max(3, (y2 - y1) // 40))]


def landmark_on_far_edge(record: Record, size: Size) -> None:
    """Set y of a labelled landmark to the height of the picture, one beyond its last pixel."""
    for item in _items(record):
        flat = item["landmarks"]
        lowest = max(range(0, len(flat), 3), key=lambda i: (flat[i + 2] > 0, flat[i + 1]))
        flat[lowest + 1] = size[0]


def landmark_at_zero(record: Record, size: Size) -> None:
    """Set x of a labelled landmark to 0."""
    for item in _items(record):
        flat = item["landmarks"]
        leftmost = min(range(0, len(flat), 3), key=lambda i: (flat[i + 2] == 0, flat[i]))
        flat[leftmost] = 0


def no_landmarks(record: Record, size: Size) -> None:
    """Remove all labels of the second item; the first item keeps its own."""
    for item in _items(record)[1:2]:
        item["landmarks"] = [0] * len(item["landmarks"])


def few_landmarks(record: Record, size: Size) -> None:
    """Keep only three labelled landmarks of the first item."""
    flat = _items(record)[0]["landmarks"]
    labelled = [i for i in range(0, len(flat), 3) if flat[i + 2] > 0]
    for i in labelled[3:]:
        flat[i : i + 3] = [0, 0, 0]


def closed_polygons(record: Record, size: Size) -> None:
    """Repeat the first point of a polygon at its end."""
    for item in _items(record):
        item["segmentation"] = [flat + flat[:2] for flat in item["segmentation"]]


def crossing_polygon(record: Record, size: Size) -> None:
    """Make a polygon cross itself: exchange two neighbouring points."""
    for item in _items_with_polygon(record):
        flat = item["segmentation"][0]
        flat[0:2], flat[2:4] = flat[2:4], flat[0:2]


def nested_polygon(record: Record, size: Size) -> None:
    """Append a polygon that is a part of the first."""
    for item in _items_with_polygon(record):
        flat = item["segmentation"][0]
        half = max(6, len(flat) // 4 * 2)
        item["segmentation"].append(flat[:half])


def whole_and_parts(record: Record, size: Size) -> None:
    """Append the upper and the lower two thirds of the first polygon.

    They overlap it and each other, as where annotators drew the whole garment and then its parts:
    the mask is the union of all polygons.
    """
    for item in _items_with_polygon(record):
        whole = item["segmentation"][0]
        top, bottom = min(whole[1::2]), max(whole[1::2])
        third = (bottom - top) / 3
        upper = _part(whole, round(bottom - third), keeps_above=True)
        lower = _part(whole, round(top + third), keeps_above=False)
        item["segmentation"] += [part for part in (upper, lower) if len(part) >= 6]


def _part(flat: list[int], limit: int, *, keeps_above: bool) -> list[int]:
    """Return the part of a polygon on one side of the line y = limit (Sutherland-Hodgman)."""
    part: list[int] = []
    points = list(zip(flat[::2], flat[1::2], strict=True))
    for (x, y), (next_x, next_y) in zip(points, points[1:] + points[:1], strict=True):
        if y == limit or (y < limit) is keeps_above:
            part += [x, y]
        if (y - limit) * (next_y - limit) < 0:
            part += [round(x + (next_x - x) * (limit - y) / (next_y - y)), limit]
    return part


def polygon_outside(record: Record, size: Size) -> None:
    """Turn polygon coordinates into fractions, one of them slightly outside the picture."""
    for item in _items_with_polygon(record):
        item["segmentation"] = [[v + 0.5 for v in flat] for flat in item["segmentation"]]
        item["segmentation"][0][0] = -0.2


def box_at_border(record: Record, size: Size) -> None:
    """Set the box to the whole picture."""
    for item in _items(record)[:1]:
        item["bounding_box"] = [0, 0, size[1], size[0]]


def no_style(record: Record, size: Size) -> None:
    """Set the style of all items to 0: no item has a partner."""
    for item in _items(record):
        item["style"] = 0


def item_order(record: Record, size: Size) -> None:
    """Sort the keys in reverse order, so that item2 comes before item1."""
    keys = sorted(record, reverse=True)
    values = [record[key] for key in keys]
    record.clear()
    record.update(zip(keys, values, strict=True))


QUIRKS: tuple[Callable[[Record, Size], None], ...] = (
    landmark_outside_box, landmark_on_far_edge, landmark_at_zero, no_landmarks, few_landmarks,
    closed_polygons, crossing_polygon, nested_polygon, polygon_outside, box_at_border,
    no_style, item_order, whole_and_parts,
)  # fmt: skip
"""Each changes an annotation of a picture of that size in place."""
