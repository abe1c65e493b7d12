"""Write records as text in the COCO layout of the data set's official converter.

An annotation has 294 slots: the landmarks of its category stand in the category's own slots, all
other slots are 0. Layout: ``deepfashion2_to_coco.py`` of
https://github.com/switchablenorms/DeepFashion2. The keys ``source``, ``scale``, ``occlusion``,
``zoom_in`` and ``viewpoint`` are added to it. Coordinates stay pixel indices; numbers without a
fraction are written as integers.
"""

from __future__ import annotations

import msgspec

from converters.raw.annotation import RawAnnotation, RawItem
from converters.raw.rules import VALUES_PER_LANDMARK, CheckedItem
from df2_landmarks.taxonomy import LAYOUT

_encode = msgspec.json.encode


def categories_json() -> bytes:
    """The ``categories`` list. All categories share one list of keypoint names, "1".."294"."""
    names = [str(slot + 1) for slot in range(LAYOUT.num_slots)]
    return _encode(
        [
            {
                "id": category.id,
                "name": category.official_name,
                "supercategory": "clothes",
                "keypoints": names,
                "skeleton": [],
            }
            for category in LAYOUT.categories
        ]
    )


def image_json(image_id: int, file_name: str, width: int, height: int) -> bytes:
    """One record of the ``images`` list. ``width`` and ``height`` in pixels."""
    return (
        f'{{"coco_url":"","date_captured":"","file_name":{_encode(file_name).decode()},'
        f'"flickr_url":"","id":{image_id},"license":0,"width":{width},"height":{height}}}'
    ).encode()


def annotation_template(
    image_id: int,
    annotation: RawAnnotation,
    item: RawItem,
    checked: CheckedItem,
    visible_only: bool,
) -> bytes:
    """One record of the ``annotations`` list, with ``%d`` in the place of its id.

    The id is the number of the annotation in the whole file, which is not known where records are
    made in parallel. Other percent signs are doubled.

    Args:
        image_id: number in the name of the image.
        annotation: the file that the item comes from.
        item: the item.
        checked: what ``check_item`` said of it.
        visible_only: turn occluded landmarks into unlabelled ones, as in the ground truth of the
            challenge's protocol *visible*.
    """
    x1, y1, x2, y2 = checked.box_xyxy
    width, height = x2 - x1, y2 - y1
    landmarks = _visible(item.landmarks) if visible_only else item.landmarks
    num_keypoints = checked.num_visible + (0 if visible_only else checked.num_occluded)
    class_index = item.category_id - 1
    source = _encode(annotation.source).replace(b"%", b"%%")
    return (
        b'{"area":%b,"bbox":%b,"category_id":%d,"id":%%d,"pair_id":%d,"image_id":%d,"iscrowd":0,'
        b'"style":%d,"num_keypoints":%d,"keypoints":[%b%b%b],"segmentation":%b,"source":%b,'
        b'"scale":%d,"occlusion":%d,"zoom_in":%d,"viewpoint":%d}'
    ) % (
        _numbers(width * height),
        _numbers([x1, y1, width, height]),
        item.category_id,
        annotation.pair_id,
        image_id,
        item.style,
        num_keypoints,
        _SLOTS_BEFORE[class_index],
        _numbers(landmarks)[1:-1],
        _SLOTS_AFTER[class_index],
        _numbers(item.segmentation),
        source,
        item.scale,
        item.occlusion,
        item.zoom_in,
        item.viewpoint,
    )


def _visible(landmarks: list[int | float]) -> list[int | float]:
    """Landmarks with (0, 0, 0), the data set's form of "not labelled", for each that is not v=2."""
    kept = list(landmarks)
    for index in range(0, len(kept), VALUES_PER_LANDMARK):
        if kept[index + 2] != 2:
            kept[index : index + VALUES_PER_LANDMARK] = (0, 0, 0)
    return kept


def _numbers(values: object) -> bytes:
    """JSON of a number or of (nested) lists of numbers, whole numbers as integers."""
    text = _encode(values)
    if b".0" in text:
        text = (text + b",").replace(b".0,", b",").replace(b".0]", b"]")[:-1]
    return text


_SLOTS_BEFORE = tuple(b"0," * (VALUES_PER_LANDMARK * first) for first in LAYOUT.offsets[:-1])
_SLOTS_AFTER = tuple(
    b",0" * (VALUES_PER_LANDMARK * (LAYOUT.num_slots - end)) for end in LAYOUT.offsets[1:]
)
