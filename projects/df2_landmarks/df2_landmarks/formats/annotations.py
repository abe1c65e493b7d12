"""COCO annotations with 294 slots, ours or the official ones: one reader for loading and scoring.

`read_coco` reads and checks them, block by block. Everything else here consumes it: arrays for the
score (`read_ground_truth`), boxes and masks for pycocotools (`read_boxes_and_masks`). The loader's
cache (`df2_landmarks.data`) is its third consumer.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from df2_landmarks.common import UserError, open_input
from df2_landmarks.formats.ground_truth import (
    ATTRIBUTES,
    SOURCES,
    ClassTruth,
    GroundTruth,
    find_images,
)
from df2_landmarks.formats.json_stream import Integer, fail_record, read_members
from df2_landmarks.formats.slots import Slots, read_slots
from df2_landmarks.taxonomy import LAYOUT


class CocoImage(msgspec.Struct, gc=False):
    """A record of ``images``. The score needs the id only, loading needs all."""

    id: Integer
    file_name: str = ""
    width: Integer = 0
    height: Integer = 0


class CocoAnnotation(msgspec.Struct, gc=False):
    """A record of ``annotations``."""

    id: Integer
    image_id: Integer
    category_id: Integer
    keypoints: msgspec.Raw
    bbox: tuple[float, float, float, float]
    area: float
    num_keypoints: Integer | None = None
    iscrowd: Integer = 0
    segmentation: list[list[float]] | dict[str, Any] = []
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
        class_index: 0-based class.
        landmarks: 3 * K numbers x, y, v of its own landmarks, in pixel indices.
    """

    annotation: CocoAnnotation
    class_index: int
    landmarks: list[float]


_DECODERS: dict[str, Any] = {
    "images": msgspec.json.Decoder(list[CocoImage]),
    "annotations": msgspec.json.Decoder(list[CocoAnnotation]),
}


def read_coco(path: str | Path) -> Iterator[tuple[list[CocoImage], list[CocoItem]]]:
    """Read a COCO JSON of 294-slot keypoints (plain, gzip or zip) in bounded memory.

    Yields:
        Some images and no items, or no images and some items, in the order of the file.

    Raises:
        UserError: the file does not exist or is not such a file; the message names record and
            field. What concerns the file as a whole is found at its end.
    """
    image_ids, ids, images_of_items = array("q"), array("q"), array("q")
    with open_input(path) as (stream, name):
        for key, first, records in read_members(stream, name, _DECODERS):
            if key == "images":
                image_ids.extend(image.id for image in records)
                yield records, []
            else:
                ids.extend(annotation.id for annotation in records)
                images_of_items.extend(annotation.image_id for annotation in records)
                where = f"{name}, {key}"
                yield [], [_item(where, i, record) for i, record in enumerate(records, first)]
    _check_ids(name, *(np.asarray(column) for column in (image_ids, ids, images_of_items)))


def read_ground_truth(path: str | Path, *, needs_annotations: bool = False) -> GroundTruth:
    """Read the ground truth of a score: our COCO JSON, or an official one (plain, gzip or zip).

    Args:
        path: the file.
        needs_annotations: refuse the file of a test split, which lists its images only.

    Raises:
        UserError: the file does not exist or is not such a file; the message names record and
            field.
    """
    if not Path(path).exists():
        raise UserError(
            f"{path}: there is no such ground truth; `make convert` writes it into the annotations "
            "folder of the data, and --gt (GT= or DATA= of make) names another one"
        )
    image_ids = array("q")
    columns = [_Columns() for _ in LAYOUT.counts]
    for images, items in read_coco(path):
        image_ids.extend(image.id for image in images)
        for item in items:
            columns[item.class_index].add(item)
    sorted_ids = np.sort(np.asarray(image_ids))
    classes = tuple(
        part.class_truth(sorted_ids, count)
        for part, count in zip(columns, LAYOUT.counts, strict=True)
    )
    has_annotations = any(len(truth) for truth in classes)
    if needs_annotations and not has_annotations:
        raise UserError(f"{path}: has no annotations; give the training or validation split")
    return GroundTruth(Path(path).name, sorted_ids, classes, has_annotations)


def read_boxes_and_masks(path: str | Path) -> dict[str, Any]:
    """Read a COCO JSON without its keypoints, for ``pycocotools.coco.COCO``.

    Returns:
        A data set with ``images``, ``annotations`` and ``categories``, for ``COCO().dataset``.

    Raises:
        UserError: as `read_coco`.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for some_images, items in read_coco(path):
        images += [msgspec.structs.asdict(image) for image in some_images]
        annotations += [
            # pycocotools takes lists only
            {name: getattr(annotation, name) for name in _BOX_AND_MASK_FIELDS}
            | {"bbox": list(annotation.bbox)}
            for annotation, _, _ in items
        ]
    categories = [{"id": c.id, "name": c.official_name} for c in LAYOUT.categories]
    return {"info": {}, "images": images, "annotations": annotations, "categories": categories}


_BOX_AND_MASK_FIELDS = (
    "id",
    "image_id",
    "category_id",
    "area",
    "iscrowd",
    "segmentation",
)


def _item(where: str, record: int, annotation: CocoAnnotation) -> CocoItem:
    text = bytes(annotation.keypoints)
    annotation.keypoints = msgspec.Raw()  # lets go of the block it points into
    slots = read_slots(annotation.category_id, text, name=where, record=record)
    for v in slots.own[2::3]:
        if v not in (0, 1, 2):
            fail_record(where, record, f"keypoints: v must be 0, 1 or 2, but got {v:g}")
    if slots.every and _has_foreign_landmark(slots):
        fail_record(where, record, "keypoints: a slot of another category has v > 0")
    return CocoItem(annotation, slots.class_index, slots.own)


def _has_foreign_landmark(slots: Slots) -> bool:
    every_v = np.asarray(slots.every)[2::3]
    return bool(every_v[LAYOUT.slot_class != slots.class_index].any())


def _check_ids(
    name: str,
    image_ids: NDArray[np.int64],
    ids: NDArray[np.int64],
    images_of_items: NDArray[np.int64],
) -> None:
    if not len(image_ids):
        raise UserError(f"{name}: must have a list 'images' with at least one image")
    _check_unique(f"{name}: image ids", image_ids)
    _check_unique(f"{name}: annotation ids", ids)
    if len(ids) and ids.min() < 1:
        raise UserError(
            f"{name}: annotation ids must be 1 or more, but one is {ids.min()} "
            "(pycocotools takes id 0 for 'no match'); number the annotations from 1"
        )
    unknown = find_images(np.sort(image_ids), images_of_items) < 0
    if unknown.any():
        row = int(np.argmax(unknown))
        raise UserError(
            f"{name}: annotation {ids[row]} is of image {images_of_items[row]}, which is not in "
            "the list 'images'"
        )


def _check_unique(what: str, ids: NDArray[np.int64]) -> None:
    unique, counts = np.unique(ids, return_counts=True)
    if len(unique) < len(ids):
        raise UserError(
            f"{what} must be unique, but {unique[np.argmax(counts)]} occurs {counts.max()} times "
            "(files of two splits cannot be merged: they number their images alike)"
        )


class _Columns:
    """Items of one class, column by column, while a file is read."""

    def __init__(self) -> None:
        self.integers = array("q")  # id, image id, iscrowd, num_keypoints
        self.scalars = array("d")  # area, box
        self.attributes = array("b")
        self.landmarks = array("d")

    def add(self, item: CocoItem) -> None:
        annotation, _, landmarks = item
        num_keypoints = annotation.num_keypoints
        if num_keypoints is None:
            num_keypoints = sum(v > 0 for v in landmarks[2::3])
        self.integers.extend(
            (annotation.id, annotation.image_id, annotation.iscrowd, num_keypoints)
        )
        self.scalars.extend((annotation.area, *annotation.bbox))
        self.attributes.extend(_attributes(annotation))
        self.landmarks.fromlist(landmarks)

    def class_truth(self, image_ids: NDArray[np.int64], num_landmarks: int) -> ClassTruth:
        integers = np.asarray(self.integers).reshape(-1, 4)
        image_index = find_images(image_ids, integers[:, 1])
        order = np.argsort(image_index, kind="stable")
        ids, _, iscrowd, num_keypoints = integers[order].T.copy()
        scalars = np.asarray(self.scalars).reshape(-1, 5)[order]
        landmarks = np.asarray(self.landmarks).reshape(-1, num_landmarks, 3)[order]
        return ClassTruth(
            ids=ids,
            image_index=image_index[order],
            landmarks_xy=landmarks[:, :, :2].copy(),
            visibility=landmarks[:, :, 2].astype(np.int8),
            boxes_xywh=scalars[:, 1:],
            areas=scalars[:, 0],
            crowd=iscrowd != 0,
            num_labelled=num_keypoints,
            attributes=np.asarray(self.attributes).reshape(-1, len(ATTRIBUTES))[order],
        )


def _attributes(annotation: CocoAnnotation) -> tuple[int, ...]:
    source = annotation.source
    values = (annotation.scale, annotation.occlusion, annotation.zoom_in, annotation.viewpoint)
    return (
        *(value if value in (1, 2, 3) else 0 for value in values),
        SOURCES.index(source) + 1 if source in SOURCES else 0,
    )
