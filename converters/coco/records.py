"""Write records as text in the COCO layout of the data set's official converter.

An annotation has 294 slots: the landmarks of its category are in the category's own slots, all
other slots are 0. For other tools it can have the landmarks of its category only.
Layout: ``deepfashion2_to_coco.py`` of https://github.com/switchablenorms/DeepFashion2. The keys
``source``, ``scale``, ``occlusion``, ``zoom_in`` and ``viewpoint`` are added to it. Coordinates
stay pixel indices; numbers without a fraction are written as integers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from converters.raw import VALUES_PER_LANDMARK, CheckedItem, RawAnnotation, RawItem
from df2_landmarks.formats import slot_text
from df2_landmarks.taxonomy import DEEPFASHION2, category_rows

VISIBILITIES = ("all", "visible")
"""``visible``: occluded landmarks are unlabelled, as in the challenge's protocol *visible*."""

_encode = msgspec.json.encode
_NO_FRACTION = re.compile(rb"\.0(?![0-9])")


def categories_json(own_landmarks: bool = False) -> bytes:
    """Return the ``categories`` list.

    Args:
        own_landmarks: each has the names of its own landmarks and a skeleton; else all share one
            list of keypoint names, "1".."294".
    """
    rows = category_rows(DEEPFASHION2)
    if not own_landmarks:
        names = [str(slot + 1) for slot in range(DEEPFASHION2.num_slots)]
        kept = ("id", "supercategory")
        rows = [
            {**{key: row[key] for key in kept}, "keypoints": names, "skeleton": []} for row in rows
        ]
    named = zip(DEEPFASHION2.categories, rows, strict=True)
    return _encode([{**row, "name": category.official_name} for category, row in named])


def image_json(image_id: int, file_name: str, width: int, height: int) -> bytes:
    """Return one record of the ``images`` list. ``width`` and ``height`` are in pixels."""
    return _encode(
        {
            "coco_url": "",
            "date_captured": "",
            "file_name": file_name,
            "flickr_url": "",
            "id": image_id,
            "license": 0,
            "width": width,
            "height": height,
        }
    )


def annotation_json(
    image_id: int,
    annotation: RawAnnotation,
    item: RawItem,
    checked: CheckedItem,
    visibilities: Sequence[str],
    *,
    own_landmarks: bool = False,
) -> Iterator[bytes]:
    """Yield the record of an item without its id, which is not known while chunks are converted.

    Args:
        image_id: number in the name of the image.
        annotation: the file that has the item.
        item: the item.
        checked: the item after ``check_item``.
        visibilities: one record is made for each, see ``VISIBILITIES``.
        own_landmarks: write the landmarks of the item's category only, without slots.
    """
    x1, y1, x2, y2 = checked.box_xyxy
    width, height = x2 - x1, y2 - y1
    shared = _numbers(
        {
            "area": width * height,
            "bbox": [x1, y1, width, height],
            "category_id": item.category_id,
            "pair_id": annotation.pair_id,
            "image_id": image_id,
            "iscrowd": 0,
            "style": item.style,
            "segmentation": item.segmentation,
            "scale": item.scale,
            "occlusion": item.occlusion,
            "zoom_in": item.zoom_in,
            "viewpoint": item.viewpoint,
        }
    )
    source = _encode(annotation.source)
    for visibility in visibilities:
        visible_only = visibility == "visible"
        num_keypoints = checked.num_visible + checked.num_occluded * (not visible_only)
        landmarks = _visible(item.landmarks) if visible_only else item.landmarks
        keypoints = _numbers(landmarks)
        if not own_landmarks:
            keypoints = slot_text(DEEPFASHION2, item.category_id - 1, keypoints[1:-1])
        yield b'%b,"source":%b,"num_keypoints":%d,"keypoints":%b}' % (
            shared[:-1], source, num_keypoints, keypoints
        )  # fmt: skip


def _visible(landmarks: list[int | float]) -> list[int | float]:
    """Set each landmark but the visible ones to (0, 0, 0), the data set's "not labelled"."""
    kept = list(landmarks)
    for index in range(0, len(kept), VALUES_PER_LANDMARK):
        if kept[index + 2] != 2:
            kept[index : index + VALUES_PER_LANDMARK] = (0, 0, 0)
    return kept


def _numbers(values: object) -> bytes:
    """Return JSON of numbers in any nesting, whole ones as integers. No string may have ".0"."""
    return _NO_FRACTION.sub(b"", _encode(values))
