"""Check an item of a raw file against the rules: it is accepted, repaired, or rejected.

============================  ========  =========================================================
rule                          verdict   meaning
============================  ========  =========================================================
``unknown_category``          rejected  ``category_id`` is not in the table
``category_mismatch``         rejected  ``category_name`` is not the name of ``category_id``
``wrong_landmark_count``      rejected  not x, y, v for each landmark of the category
``invalid_visibility``        rejected  v is not 0, 1 or 2
``wrong_box_length``          rejected  ``bounding_box`` is not x1, y1, x2, y2
``empty_box``                 rejected  x2 <= x1 or y2 <= y1
``box_outside_image``         rejected  no part of the box is in the image
``box_clipped``               repaired  the part of the box that is in the image
``no_labelled_landmark``      accepted  every v is 0: an ignore region for the landmark metric
``landmark_outside_image``    accepted  a labelled landmark with x > width, y > height or below 0
``unusable_polygon``          accepted  a polygon of under 3 points, or of an odd number of values
``no_polygon``                accepted  ``segmentation`` is empty
``unknown_attribute_value``   accepted  scale, occlusion, zoom_in or viewpoint is not 1, 2 or 3
============================  ========  =========================================================

Anything else is normal in this data set: a labelled landmark with x = 0 or y = 0, one outside
its box or exactly on the image's right or lower border, polygons that overlap, repeat their first
point or leave the image, ``style`` 0.
"""

from __future__ import annotations

from typing import NamedTuple

from converters.raw.annotation import RawItem
from df2_landmarks.taxonomy import DEEPFASHION2

VALUES_PER_LANDMARK = 3
MIN_POLYGON_VALUES = 6


class RejectedError(ValueError):
    """An item that cannot be written.

    Args:
        reason: name of the rule.
        message: field, expected, got.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class CheckedItem(NamedTuple):
    """An item that the rules accept.

    Attributes:
        box_xyxy: x1, y1, x2, y2 in pixels, inside the image.
        num_occluded, num_visible: number of landmarks with v == 1, v == 2.
        repairs: (rule, message) of each repair.
        notes: names of the rules that accepted something unusual.
    """

    box_xyxy: list[int | float]
    num_occluded: int
    num_visible: int
    repairs: list[tuple[str, str]]
    notes: list[str]


def check_item(item: RawItem, width: int, height: int) -> CheckedItem:
    """Check an item against the rules.

    Args:
        item: the parsed item.
        width: of its image, in pixels.
        height: of its image, in pixels.

    Raises:
        RejectedError: the item breaks a rule and cannot be repaired.
    """
    num_occluded, num_visible = _check_landmarks(item)
    box_xyxy, repairs = _check_box(item.bounding_box, width, height)
    notes = _notes(item, width, height)
    if num_occluded + num_visible == 0:
        notes.append("no_labelled_landmark")
    return CheckedItem(box_xyxy, num_occluded, num_visible, repairs, notes)


def _check_landmarks(item: RawItem) -> tuple[int, int]:
    """Return the number of occluded and of visible landmarks."""
    number = item.category_id
    if not 1 <= number <= DEEPFASHION2.num_categories:
        raise RejectedError(
            "unknown_category",
            f"category_id: expected 1..{DEEPFASHION2.num_categories}, got {number}",
        )
    category = DEEPFASHION2.categories[number - 1]
    if item.category_name not in (category.name, category.official_name):
        raise RejectedError(
            "category_mismatch",
            f"category_name: expected {category.name!r} for category_id {number}, "
            f"got {item.category_name!r}",
        )
    expected = VALUES_PER_LANDMARK * DEEPFASHION2.counts[number - 1]
    if len(item.landmarks) != expected:
        raise RejectedError(
            "wrong_landmark_count",
            f"category {number} ({category.name}) needs {category.num_landmarks} landmarks = "
            f"{expected} numbers, got {len(item.landmarks)}",
        )
    values = item.landmarks[2::VALUES_PER_LANDMARK]
    num_occluded, num_visible = values.count(1), values.count(2)
    if num_occluded + num_visible + values.count(0) != len(values):
        wrong = next(i for i, v in enumerate(values) if v not in (0, 1, 2))
        raise RejectedError(
            "invalid_visibility",
            f"landmark {wrong + 1}: visibility must be 0, 1 or 2, got {values[wrong]}",
        )
    return num_occluded, num_visible


def _check_box(
    box: list[int | float], width: int, height: int
) -> tuple[list[int | float], list[tuple[str, str]]]:
    """Return the part of the box that is in the image, and the repairs."""
    if len(box) != 4:
        raise RejectedError(
            "wrong_box_length", f"bounding_box: expected x1, y1, x2, y2, got {len(box)} numbers"
        )
    x1, y1, x2, y2 = box
    if x2 <= x1 or y2 <= y1:
        raise RejectedError(
            "empty_box", f"bounding_box: expected x1 < x2 and y1 < y2 in x1, y1, x2, y2, got {box}"
        )
    if x1 >= 0 and y1 >= 0 and x2 <= width and y2 <= height:
        return box, []
    clipped = [max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)]
    message = f"bounding_box: expected a box in the image of {width} x {height} pixels, got {box}"
    if clipped[2] <= clipped[0] or clipped[3] <= clipped[1]:
        raise RejectedError("box_outside_image", message)
    return clipped, [("box_clipped", f"{message}, clipped to {clipped}")]


def _notes(item: RawItem, width: int, height: int) -> list[str]:
    notes = []
    landmarks = item.landmarks
    xs, ys = landmarks[::VALUES_PER_LANDMARK], landmarks[1::VALUES_PER_LANDMARK]
    # All landmarks first, labelled or not: the answer is nearly always no.
    if (min(xs) < 0 or min(ys) < 0 or max(xs) > width or max(ys) > height) and any(
        v and not (0 <= x <= width and 0 <= y <= height)
        for x, y, v in zip(xs, ys, landmarks[2::VALUES_PER_LANDMARK], strict=True)
    ):
        notes.append("landmark_outside_image")
    if not item.segmentation:
        notes.append("no_polygon")
    for polygon in item.segmentation:
        if len(polygon) < MIN_POLYGON_VALUES or len(polygon) % 2:
            notes.append("unusable_polygon")
            break
    if not (
        1 <= item.scale <= 3
        and 1 <= item.occlusion <= 3
        and 1 <= item.zoom_in <= 3
        and 1 <= item.viewpoint <= 3
    ):
        notes.append("unknown_attribute_value")
    return notes
