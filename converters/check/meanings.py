"""How bad each finding about a data folder is, and what to do about it."""

from __future__ import annotations

from typing import NamedTuple


class Meaning(NamedTuple):
    """Level of a finding and its explanation.

    ``error``: training would suffer; ``warning``: worth a look; ``note``: good to know.
    """

    level: str
    text: str


LEVELS = ("error", "warning", "note")

_MEANINGS = {
    "missing_folder": Meaning(
        "error", "the folder does not exist, cannot be read, or has no such files"
    ),
    "missing_image": Meaning("error", "an annotation file without its image; unzip again"),
    "missing_annotation": Meaning("error", "an image without annotation file; unzip again"),
    "zero_byte_image": Meaning("error", "the image file is empty; unzip again"),
    "unreadable_image": Meaning("error", "not an image, or its header is damaged; unzip again"),
    "truncated_image": Meaning("error", "the end of the image is missing; unzip again"),
    "box_clipped": Meaning("warning", "the box leaves the image; the converter clips it"),
    "exif_rotated_image": Meaning(
        "warning", "the image is stored turned; sizes are as displayed, see that boxes fit"
    ),
    "image_without_items": Meaning("warning", "the annotation file has no item"),
    "gap_in_ids": Meaning("warning", "a number between 1 and the last one has no file"),
    "other_count": Meaning(
        "warning",
        "not the released subset; the larger counts in the data set's README were never released",
    ),
    "no_polygon": Meaning("note", "no mask; box and landmarks are used"),
    "unusable_polygon": Meaning("note", "a polygon of under 3 points or an odd number of values"),
    "no_labelled_landmark": Meaning("note", "an ignore region for the landmark metric"),
    "landmark_outside_image": Meaning("note", "a labelled landmark beyond the image's border"),
    "landmark_outside_box": Meaning("note", "a labelled landmark beyond its box"),
    "extreme_box": Meaning("note", "the box is over 5 times as wide as high, or as high as wide"),
    "unknown_attribute_value": Meaning("note", "an attribute that is not 1, 2 or 3"),
    "stock_drops_item": Meaning(
        "note", "stock Detectron2 drops the item with its landmarks: no usable polygon"
    ),
    "stock_drops_image": Meaning(
        "note", "stock Detectron2 drops the image in keypoint training: no labelled landmark"
    ),
}
_REJECTED = Meaning("error", "the converter rejects it (--on-error skip leaves it out)")


def meaning_of(rule: str) -> Meaning:
    """Return the meaning of a finding. Any rule without one is a reason to reject an item."""
    return _MEANINGS.get(rule, _REJECTED)
