"""Reading results files, record by record: plain JSON, gzip, or the zip of a submission."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from df2_landmarks.common import open_input
from df2_landmarks.formats.detections import (
    ClassDetections,
    Detections,
    concatenate_class,
    zero_padded_areas,
)
from df2_landmarks.formats.ground_truth import GroundTruth, find_images
from df2_landmarks.formats.json_stream import read_records
from df2_landmarks.formats.record_errors import Integer, check_category, fail
from df2_landmarks.formats.slot_text import ParsedSlots, RecordError, SlotTexts
from df2_landmarks.taxonomy import LAYOUT


class Record(msgspec.Struct, gc=False):
    """A record of a results file. ``box_xywh`` is the predicted box under a name of our own:
    ``bbox`` would change what pycocotools takes for the area of a detection."""

    image_id: Integer
    category_id: Integer
    keypoints: msgspec.Raw
    score: float
    bbox: list[float] | None = None
    box_xywh: list[float] | None = None
    segmentation: msgspec.Raw = msgspec.Raw()


_NO_BOX = (math.nan,) * 4
RECORDS = msgspec.json.Decoder(list[Record])


def read_results(path: str | Path, ground_truth: GroundTruth) -> Detections:
    """Reads a results file: plain JSON, gzip, or the zip of a submission.

    Areas of detections follow ``COCO.loadRes``: from ``bbox`` if the first record has one,
    else from ``segmentation`` if it has one, else the extent of all 294 slots.

    Raises:
        FileNotFoundError: there is no such file.
        UserError: the file is not a results file of these images; names record and field.
    """
    with open_input(path) as (stream, name):
        found = _Found(name, ground_truth)
        for first, records in read_records(stream, name, RECORDS):
            found.add(first, records)
        return found.detections()


class _Found:
    """Detections, collected per class."""

    def __init__(self, name: str, ground_truth: GroundTruth) -> None:
        self._name = name
        self._image_ids = ground_truth.image_ids
        self._needs_all = [ground_truth.unlabelled_images(c) for c in range(LAYOUT.num_categories)]
        self._needs_all_ids = [set(self._image_ids[some].tolist()) for some in self._needs_all]
        self._texts = [SlotTexts(c, with_v=False) for c in range(LAYOUT.num_categories)]
        self._parts: list[list[ClassDetections]] = [[] for _ in LAYOUT.counts]
        self._area_from = ""

    def add(self, first: int, records: list[Record]) -> None:
        self._area_from = self._area_from or _area_source(records[0])
        for row, record in enumerate(records, first):
            c = check_category(record.category_id, name=self._name, record=row)
            text = bytes(record.keypoints)
            all_slots = self._area_from == "keypoints" or record.image_id in self._needs_all_ids[c]
            try:
                extra = self._scalars(row, record)
                ready = self._texts[c].add(row, text, extra, all_slots=all_slots)
            except RecordError as error:
                fail(self._name, error.row, str(error))
            if ready:
                self._parse(c)

    def detections(self) -> Detections:
        for c in range(LAYOUT.num_categories):
            self._parse(c)
        classes = (concatenate_class(c, some) for c, some in enumerate(self._parts))
        return Detections(self._name, tuple(classes))

    def _scalars(self, row: int, record: Record) -> tuple[float, ...]:
        """Image id, score, area (NaN: from the slots), box."""
        area = math.nan
        if self._area_from == "bbox":
            _, _, width, height = _four(row, record.bbox)
            area = width * height
        elif self._area_from == "segmentation":
            area = _mask_area(row, record)
        box = record.box_xywh or record.bbox
        return (record.image_id, record.score, area, *(_four(row, box) if box else _NO_BOX))

    def _parse(self, class_index: int) -> None:
        try:
            for parsed in self._texts[class_index].parse():
                self._parts[class_index].append(self._part(class_index, parsed))
        except RecordError as error:
            fail(self._name, error.row, str(error))

    def _part(self, class_index: int, parsed: ParsedSlots) -> ClassDetections:
        scalars = np.asarray(parsed.extras, dtype=np.float64)
        image_ids = [extra[0] for extra in parsed.extras]  # not through floats: ids may be long
        image_index = self._images(parsed.rows, np.asarray(image_ids, dtype=np.int64))
        full_row = np.full(len(scalars), -1)
        full_xy = np.zeros((0, LAYOUT.num_slots, 2))
        if parsed.full is not None:
            keep = self._needs_all[class_index][image_index]
            full_row[keep] = np.arange(np.count_nonzero(keep))
            full_xy = parsed.full[keep]
        return ClassDetections(
            record=parsed.rows,
            image_index=image_index,
            scores=scalars[:, 1].copy(),
            landmarks_xy=np.ascontiguousarray(parsed.own),
            areas=_areas(parsed) if self._area_from == "keypoints" else scalars[:, 2].copy(),
            boxes_xywh=scalars[:, 3:7].copy(),
            full_row=full_row,
            full_xy=full_xy,
        )

    def _images(self, rows: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
        index = find_images(self._image_ids, wanted)
        if (index < 0).any():
            place = int(np.argmin(index))
            raise RecordError(
                int(rows[place]),
                f"image_id: {wanted[place]} is not an image of the ground truth "
                f"({len(self._image_ids)} images, {self._image_ids[0]}..{self._image_ids[-1]}); "
                "other split?",
            )
        return index


def _four(row: int, box: list[float] | None) -> list[float]:
    if box is None or len(box) != 4:
        got = "none, but the first record has one" if box is None else f"{len(box)} numbers"
        raise RecordError(row, f"bbox: needs x, y, w, h, got {got}")
    return box


def _areas(parsed: ParsedSlots) -> NDArray[np.float64]:
    """(n,) extents of all slots, as ``COCO.loadRes`` takes them."""
    if parsed.full is None:
        return zero_padded_areas(parsed.own)
    width, height = (parsed.full.max(axis=1) - parsed.full.min(axis=1)).T
    return width * height


def _area_source(first: Record) -> str:
    """Where ``COCO.loadRes`` would take the areas of all detections from."""
    if first.bbox:
        return "bbox"
    return "segmentation" if bytes(first.segmentation) else "keypoints"


def _mask_area(row: int, record: Record) -> float:
    from pycocotools import mask  # rarely needed, and not by the tools otherwise

    try:
        return float(mask.area(msgspec.json.decode(record.segmentation)))
    except Exception as error:  # whatever the C code raises on what is no mask
        raise RecordError(row, f"segmentation: must be a mask in RLE form ({error})") from None
