"""Reading ground truth: COCO JSON with 294 slots, ours or the official one, record by record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from df2_landmarks.evaluation.ground_truth import (
    ATTRIBUTES,
    SOURCES,
    ClassTruth,
    GroundTruth,
    find_images,
)
from df2_landmarks.evaluation.json_stream import DataError, member_blocks, open_json
from df2_landmarks.evaluation.record_batch import check_category, decode_block, fail
from df2_landmarks.evaluation.slot_text import RecordError, parse_slots
from df2_landmarks.taxonomy import LAYOUT


class _Image(msgspec.Struct, gc=False):
    id: int


class _Annotation(msgspec.Struct, gc=False):
    id: int
    image_id: int
    category_id: int
    keypoints: msgspec.Raw
    bbox: tuple[float, float, float, float]
    area: float
    num_keypoints: int | None = None
    iscrowd: int = 0
    scale: int | None = None
    occlusion: int | None = None
    zoom_in: int | None = None
    viewpoint: int | None = None
    source: str | None = None


_IMAGES = msgspec.json.Decoder(list[_Image])
_ANNOTATIONS = msgspec.json.Decoder(list[_Annotation])


def read_ground_truth(path: str | Path) -> GroundTruth:
    """Reads a COCO JSON of 294-slot keypoints: ours, or an official one (plain, gzip or zip).

    Raises:
        FileNotFoundError: there is no such file.
        DataError: the file is not such a file; the message names record and field.
    """
    image_ids: list[int] = []
    batches: list[_Batch] = []
    annotated, count = False, 0
    with open_json(path) as (stream, name):
        for key, block in member_blocks(stream, name):
            if key == "images":
                label = f"{name}, images"
                records = decode_block(_IMAGES, block, name=label, first=len(image_ids))
                image_ids.extend(record.id for record in records)
            elif key == "annotations":
                annotated = True
                label = f"{name}, annotations"
                items = decode_block(_ANNOTATIONS, block, name=label, first=count)
                batches.extend(_parse(items, name=label, first=count))
                count += len(items)
    if not image_ids:
        raise DataError(f"{name}: must have a list 'images' with at least one image")
    return _assemble(name, np.unique(image_ids), batches, annotated)


@dataclass(frozen=True)
class _Batch:
    class_index: int
    scalars: NDArray[np.float64]  # id, image id, iscrowd, num_keypoints, area, box
    attributes: NDArray[np.int8]
    landmarks: NDArray[np.float64]


def _parse(items: list[_Annotation], *, name: str, first: int) -> Iterable[_Batch]:
    classes = [
        check_category(item.category_id, name=name, record=first + row)
        for row, item in enumerate(items)
    ]
    try:
        for parsed in parse_slots([bytes(item.keypoints) for item in items], classes):
            own = parsed.own
            _check_landmarks(parsed.full, parsed.class_index, own, parsed.rows)
            some = [items[row] for row in parsed.rows]
            labelled = np.count_nonzero(own[:, :, 2], axis=1)
            scalars = [
                (i.id, i.image_id, i.iscrowd, n, i.area, *i.bbox)
                if i.num_keypoints is None
                else (i.id, i.image_id, i.iscrowd, i.num_keypoints, i.area, *i.bbox)
                for i, n in zip(some, labelled, strict=True)
            ]
            attributes = np.asarray([_attributes(item) for item in some], dtype=np.int8)
            yield _Batch(parsed.class_index, np.asarray(scalars), attributes, own)
    except RecordError as error:
        fail(name, first + error.row, str(error))


def _check_landmarks(
    full: NDArray[np.float64] | None,
    class_index: int,
    own: NDArray[np.float64],
    rows: NDArray[np.int64],
) -> None:
    wrong = ~np.isin(own[:, :, 2], (0, 1, 2)).all(axis=1)
    if wrong.any():
        row = int(np.argmax(wrong))
        values = own[row, ~np.isin(own[row, :, 2], (0, 1, 2)), 2]
        raise RecordError(int(rows[row]), f"keypoints: v must be 0, 1 or 2, but got {values[0]:g}")
    if full is not None:
        foreign = full[:, LAYOUT.slot_class != class_index, 2].any(axis=1)
        if foreign.any():
            row = int(rows[np.argmax(foreign)])
            raise RecordError(row, "keypoints: a slot of another category has v > 0")


def _attributes(item: _Annotation) -> tuple[int, ...]:
    source = SOURCES.index(item.source) + 1 if item.source in SOURCES else 0
    values = (item.scale, item.occlusion, item.zoom_in, item.viewpoint)
    return (*(value if value in (1, 2, 3) else 0 for value in values), source)


def _assemble(
    name: str, image_ids: NDArray[np.int64], batches: list[_Batch], annotated: bool
) -> GroundTruth:
    classes = []
    for class_index, count in enumerate(LAYOUT.counts):
        some = [batch for batch in batches if batch.class_index == class_index]
        scalars = np.concatenate([np.zeros((0, 9)), *(batch.scalars for batch in some)])
        landmarks = np.concatenate([np.zeros((0, count, 3)), *(batch.landmarks for batch in some)])
        attributes = np.concatenate(
            [np.zeros((0, len(ATTRIBUTES)), np.int8), *(batch.attributes for batch in some)]
        )
        classes.append(_class_truth(name, image_ids, scalars, landmarks, attributes))
    ids = np.concatenate([truth.ids for truth in classes])
    _check_ids(name, ids)
    return GroundTruth(name, image_ids, tuple(classes), annotated)


def _class_truth(
    name: str,
    image_ids: NDArray[np.int64],
    scalars: NDArray[np.float64],
    landmarks: NDArray[np.float64],
    attributes: NDArray[np.int8],
) -> ClassTruth:
    own_images = scalars[:, 1].astype(np.int64)
    image_index = find_images(image_ids, own_images)
    if (image_index < 0).any():
        raise DataError(
            f"{name}: annotation {int(scalars[np.argmin(image_index), 0])} is of image "
            f"{own_images[np.argmin(image_index)]}, which is not in the list 'images'"
        )
    order = np.argsort(image_index, kind="stable")
    scalars = scalars[order]
    return ClassTruth(
        ids=scalars[:, 0].astype(np.int64),
        image_index=image_index[order],
        landmarks_xy=np.ascontiguousarray(landmarks[order, :, :2]),
        visibility=landmarks[order, :, 2].astype(np.int8),
        boxes_xywh=scalars[:, 5:9].copy(),
        areas=scalars[:, 4].copy(),
        crowd=scalars[:, 2] != 0,
        num_labelled=scalars[:, 3].astype(np.int64),
        attributes=attributes[order],
    )


def _check_ids(name: str, ids: NDArray[np.int64]) -> None:
    if ids.size and ids.min() < 1:
        raise DataError(
            f"{name}: annotation ids must be 1 or more, but one is {ids.min()} "
            "(pycocotools takes id 0 for 'no match'); number the annotations from 1"
        )
    unique, counts = np.unique(ids, return_counts=True)
    if len(unique) != len(ids):
        raise DataError(
            f"{name}: annotation ids must be unique, but {unique[np.argmax(counts)]} occurs "
            f"{counts.max()} times"
        )
