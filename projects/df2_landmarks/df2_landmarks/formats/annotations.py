"""Reading ground truth: COCO JSON with 294 slots, ours or the official one, record by record."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

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
from df2_landmarks.formats.json_stream import read_members
from df2_landmarks.formats.record_errors import (
    Integer,
    ListDecoder,
    check_category,
    fail,
)
from df2_landmarks.formats.slot_text import ParsedSlots, RecordError, SlotTexts
from df2_landmarks.taxonomy import LAYOUT


class _Image(msgspec.Struct, gc=False):
    id: Integer


class _Annotation(msgspec.Struct, gc=False):
    id: Integer
    image_id: Integer
    category_id: Integer
    keypoints: msgspec.Raw
    bbox: tuple[float, float, float, float]
    area: float
    num_keypoints: Integer | None = None
    iscrowd: Integer = 0
    scale: int | None = None
    occlusion: int | None = None
    zoom_in: int | None = None
    viewpoint: int | None = None
    source: str | None = None


_IMAGES = msgspec.json.Decoder(list[_Image])
_ANNOTATIONS = msgspec.json.Decoder(list[_Annotation])


def read_ground_truth(path: str | Path, *, needs_annotations: bool = False) -> GroundTruth:
    """Read a COCO JSON of 294-slot keypoints: ours, or an official one (plain, gzip or zip).

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
    image_ids: list[int] = []
    decoders: dict[str, ListDecoder[Any]] = {"images": _IMAGES, "annotations": _ANNOTATIONS}
    annotated = False
    with open_input(path) as (stream, name):
        items = _Items(f"{name}, annotations")
        for key, first, records in read_members(stream, name, decoders):
            if key == "images":
                image_ids.extend(record.id for record in records)
            else:
                annotated = annotated or bool(records)  # an empty list: a test split
                items.add(first, records)
        items.flush()
    if not image_ids:
        raise UserError(f"{name}: must have a list 'images' with at least one image")
    if needs_annotations and not annotated:
        raise UserError(f"{path}: has no annotations; give the training or validation split")
    return _assemble(name, np.unique(image_ids), items.batches, annotated)


@dataclass(frozen=True)
class _Batch:
    integers: NDArray[np.int64]  # place in the file, id, image id, iscrowd, num_keypoints
    scalars: NDArray[np.float64]  # area, box
    attributes: NDArray[np.int8]
    landmarks: NDArray[np.float64]


class _Items:
    """Annotations, collected per class."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._texts = [SlotTexts(c) for c in range(LAYOUT.num_categories)]
        self.batches: list[list[_Batch]] = [[] for _ in LAYOUT.counts]

    def add(self, first: int, items: list[_Annotation]) -> None:
        for row, item in enumerate(items, first):
            c = check_category(item.category_id, name=self._name, record=row)
            text = bytes(item.keypoints)
            item.keypoints = msgspec.Raw()  # lets go of the block it points into
            try:
                ready = self._texts[c].add(row, text, item)
            except RecordError as error:
                fail(self._name, error.row, str(error))
            if ready:
                self._parse(c)

    def flush(self) -> None:
        for c in range(LAYOUT.num_categories):
            self._parse(c)

    def _parse(self, class_index: int) -> None:
        try:
            for parsed in self._texts[class_index].parse():
                _check_landmarks(parsed.full, class_index, parsed.own, parsed.rows)
                self.batches[class_index].append(_batch(parsed))
        except RecordError as error:
            fail(self._name, error.row, str(error))


def _batch(parsed: ParsedSlots) -> _Batch:
    labelled = np.count_nonzero(parsed.own[:, :, 2], axis=1).tolist()
    integers = [
        (row, i.id, i.image_id, i.iscrowd, n if i.num_keypoints is None else i.num_keypoints)
        for row, i, n in zip(parsed.rows.tolist(), parsed.extras, labelled, strict=True)
    ]
    scalars = [(item.area, *item.bbox) for item in parsed.extras]
    attributes = [_attributes(item) for item in parsed.extras]
    return _Batch(
        np.asarray(integers, dtype=np.int64),
        np.asarray(scalars, dtype=np.float64),
        np.asarray(attributes, dtype=np.int8),
        parsed.own,
    )


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
    name: str, image_ids: NDArray[np.int64], batches: list[list[_Batch]], annotated: bool
) -> GroundTruth:
    classes = []
    for class_index, count in enumerate(LAYOUT.counts):
        empty = _Batch(
            np.zeros((0, 5), dtype=np.int64),
            np.zeros((0, 5)),
            np.zeros((0, len(ATTRIBUTES)), dtype=np.int8),
            np.zeros((0, count, 3)),
        )
        joined = _joined([empty, *batches[class_index]])
        classes.append(_class_truth(name, image_ids, joined))
    ids = np.concatenate([truth.ids for truth in classes])
    _check_ids(name, ids)
    return GroundTruth(name, image_ids, tuple(classes), annotated)


def _joined(batches: list[_Batch]) -> _Batch:
    names = (field.name for field in fields(_Batch))
    return _Batch(*(np.concatenate([getattr(b, name) for b in batches]) for name in names))


def _class_truth(name: str, image_ids: NDArray[np.int64], items: _Batch) -> ClassTruth:
    image_index = find_images(image_ids, items.integers[:, 2])
    if (image_index < 0).any():
        _, annotation_id, image_id, *_ = items.integers[np.argmin(image_index)]
        raise UserError(
            f"{name}: annotation {annotation_id} is of image {image_id}, which is not in the "
            "list 'images'"
        )
    order = np.lexsort((items.integers[:, 0], image_index))
    _, ids, _, iscrowd, num_keypoints = items.integers[order].T.copy()
    return ClassTruth(
        ids=ids,
        image_index=image_index[order],
        landmarks_xy=np.ascontiguousarray(items.landmarks[order, :, :2]),
        visibility=items.landmarks[order, :, 2].astype(np.int8),
        boxes_xywh=items.scalars[order, 1:],
        areas=items.scalars[order, 0],
        crowd=iscrowd != 0,
        num_labelled=num_keypoints,
        attributes=items.attributes[order],
    )


def _check_ids(name: str, ids: NDArray[np.int64]) -> None:
    if ids.size and ids.min() < 1:
        raise UserError(
            f"{name}: annotation ids must be 1 or more, but one is {ids.min()} "
            "(pycocotools takes id 0 for 'no match'); number the annotations from 1"
        )
    unique, counts = np.unique(ids, return_counts=True)
    if len(unique) != len(ids):
        raise UserError(
            f"{name}: annotation ids must be unique, but {unique[np.argmax(counts)]} occurs "
            f"{counts.max()} times"
        )
