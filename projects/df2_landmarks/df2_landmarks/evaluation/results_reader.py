"""Reading results files, record by record: plain JSON, gzip, or the zip of a submission."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from df2_landmarks.evaluation.detections import (
    ClassDetections,
    Detections,
    concatenate_class,
    zero_padded_areas,
)
from df2_landmarks.evaluation.ground_truth import GroundTruth, find_images
from df2_landmarks.evaluation.json_stream import open_json, record_blocks
from df2_landmarks.evaluation.record_batch import check_category, decode_block, fail
from df2_landmarks.evaluation.slot_text import ParsedSlots, RecordError, parse_slots
from df2_landmarks.taxonomy import LAYOUT


class Record(msgspec.Struct, gc=False):
    """A record of a results file. ``box_xywh`` is the predicted box under a name of our own:
    ``bbox`` would change what pycocotools takes for the area of a detection."""

    image_id: int
    category_id: int
    keypoints: msgspec.Raw
    score: float
    bbox: list[float] | None = None
    box_xywh: list[float] | None = None
    segmentation: msgspec.Raw = msgspec.Raw()


RECORDS = msgspec.json.Decoder(list[Record])


def read_results(path: str | Path, ground_truth: GroundTruth) -> Detections:
    """Reads a results file: plain JSON, gzip, or the zip of a submission.

    Areas of detections follow ``COCO.loadRes``: from ``bbox`` if the first record has one,
    else from ``segmentation`` if it has one, else the extent of all 294 slots.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: the file is not a results file of these images; names record and field.
    """
    parts: list[list[ClassDetections]] = [[] for _ in LAYOUT.counts]
    needs_all = [ground_truth.unlabelled_images(c) for c in range(LAYOUT.num_categories)]
    count, area_from = 0, ""
    with open_json(path) as (stream, name):
        for block in record_blocks(stream, name):
            records = decode_block(RECORDS, block, name=name, first=count)
            area_from = area_from or _area_source(records[0])
            batch = _Batch(name, count, records, area_from)
            for class_index, part in batch.detections(ground_truth.image_ids, needs_all):
                parts[class_index].append(part)
            count += len(records)
    classes = [concatenate_class(c, some) for c, some in enumerate(parts)]
    return Detections(name, tuple(classes))


@dataclass(frozen=True)
class _Batch:
    name: str
    first: int
    records: list[Record]
    area_from: str

    def detections(
        self, image_ids: NDArray[np.int64], needs_all: Sequence[NDArray[np.bool_]]
    ) -> Iterator[tuple[int, ClassDetections]]:
        texts = [bytes(record.keypoints) for record in self.records]
        classes = [
            check_category(record.category_id, name=self.name, record=self.first + row)
            for row, record in enumerate(self.records)
        ]
        wanted = np.asarray([record.image_id for record in self.records], dtype=np.int64)
        image_index = find_images(image_ids, wanted)
        if (image_index < 0).any():
            row = int(np.argmin(image_index))
            fail(
                self.name,
                self.first + row,
                f"image_id: {wanted[row]} is not an image of the ground truth "
                f"({len(image_ids)} images, {image_ids[0]}..{image_ids[-1]}); other split?",
            )
        try:
            for parsed in parse_slots(texts, classes):
                yield (
                    parsed.class_index,
                    self._class_part(parsed, image_index[parsed.rows], needs_all),
                )
        except RecordError as error:
            fail(self.name, self.first + error.row, str(error))

    def _class_part(
        self,
        parsed: ParsedSlots,
        image_index: NDArray[np.int64],
        needs_all: Sequence[NDArray[np.bool_]],
    ) -> ClassDetections:
        own_xy = np.ascontiguousarray(parsed.own[:, :, :2])
        some = [self.records[row] for row in parsed.rows]
        full_row = np.full(len(some), -1)
        full_xy = np.zeros((0, LAYOUT.num_slots, 2))
        areas = zero_padded_areas(own_xy)
        if parsed.full is not None:
            areas = np.prod(np.ptp(parsed.full[:, :, :2], axis=1), axis=1)
            keep = needs_all[parsed.class_index][image_index]
            full_row[keep] = np.arange(np.count_nonzero(keep))
            full_xy = parsed.full[keep, :, :2]
        if self.area_from == "bbox":
            bbox = self._boxes(parsed.rows, [record.bbox for record in some], required=True)
            areas = bbox[:, 2] * bbox[:, 3]
        elif self.area_from == "segmentation":
            areas = np.asarray(
                [
                    _mask_area(row, record)
                    for row, record in zip(parsed.rows.tolist(), some, strict=True)
                ]
            )
        own_boxes = [record.box_xywh or record.bbox for record in some]
        return ClassDetections(
            record=self.first + parsed.rows,
            image_index=image_index,
            scores=np.asarray([record.score for record in some], dtype=np.float64),
            landmarks_xy=own_xy,
            areas=areas,
            boxes_xywh=self._boxes(parsed.rows, own_boxes, required=False),
            full_row=full_row,
            full_xy=full_xy,
        )

    def _boxes(
        self, rows: NDArray[np.int64], boxes: Sequence[list[float] | None], *, required: bool
    ) -> NDArray[np.float64]:
        result = np.full((len(boxes), 4), np.nan)
        for row, box in enumerate(boxes):
            if box is not None and len(box) == 4:
                result[row] = box
            elif box or required:
                got = "none (the first record has one)" if box is None else f"{len(box)} numbers"
                raise RecordError(int(rows[row]), f"bbox: needs x, y, w, h, got {got}")
        return result


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
