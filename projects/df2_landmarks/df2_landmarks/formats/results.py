"""Predictions as results, in memory and in files: 294 slots are written only here.

The one place that takes off the half pixel: Detectron2 predicts continuous coordinates, files hold
pixel indices. Arrays that come in are never changed.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from df2_landmarks.common import atomic_path
from df2_landmarks.formats.detections import (
    ClassDetections,
    Detections,
    empty_class,
    zero_padded_areas,
)
from df2_landmarks.formats.ground_truth import find_images
from df2_landmarks.taxonomy import LAYOUT

DECIMALS = 2
"""Coordinates are rounded to this many decimals, in files and before scoring, so that a score in
training is the score of the file."""


def detections_from_predictions(
    *,
    image_ids: NDArray[np.int64],
    records: NDArray[np.int64],
    class_index: int,
    prediction_image_ids: NDArray[np.int64],
    scores: NDArray,
    landmarks_xy: NDArray,
    boxes_xyxy: NDArray,
) -> ClassDetections:
    """Predictions of one class in continuous coordinates -> detections in pixel indices.

    Args:
        image_ids: (I,) ascending, of the ground truth.
        records: (N,) order of the predictions, which decides between equal scores.
        class_index: 0-based class.
        prediction_image_ids: (N,).
        scores: (N,).
        landmarks_xy: (N, K, 2), the class's own landmarks, continuous.
        boxes_xyxy: (N, 4), continuous; the boxes of COCO files are continuous too.
    """
    # Detectron2's landmarks are continuous, files hold pixel indices: the half pixel goes here.
    pixel_xy = np.asarray(landmarks_xy, dtype=np.float64) - 0.5
    pixel_xy = pixel_xy.round(DECIMALS) + 0.0  # no -0
    x, y, right, bottom = np.asarray(boxes_xyxy, dtype=np.float64).round(DECIMALS).T
    return replace(
        empty_class(class_index),
        record=records,
        image_index=find_images(image_ids, prediction_image_ids),
        scores=scores.astype(np.float64),
        landmarks_xy=pixel_xy,
        areas=zero_padded_areas(pixel_xy),
        boxes_xywh=np.stack([x, y, right - x, bottom - y], axis=1).round(DECIMALS),
        full_row=np.full(len(records), -1),
    )


def write_results(
    stream: BinaryIO,
    detections: Detections,
    image_ids: NDArray[np.int64],
    *,
    with_boxes: bool = False,
) -> int:
    """Writes a results JSON: 294 slots, 0 in foreign slots, v = 1 in own ones.

    Args:
        stream: where to write.
        detections: what to write, in the order of their records.
        image_ids: (I,) ids that ``image_index`` points to.
        with_boxes: adds ``box_xywh``, which pycocotools does not look at, where there is a box.

    Returns:
        Number of records.
    """
    order = np.concatenate([found.record for found in detections.classes]).argsort(kind="stable")
    class_of = np.repeat(np.arange(LAYOUT.num_categories), [len(f) for f in detections.classes])
    row_of = np.concatenate([np.arange(len(found)) for found in detections.classes])
    stream.write(b"[")
    for start in range(0, len(order), 1024):
        some = order[start : start + 1024]
        lines = [
            _record_text(detections.classes[c], c, row, image_ids, with_boxes)
            for c, row in zip(class_of[some].tolist(), row_of[some].tolist(), strict=True)
        ]
        stream.write((b",\n" if start else b"\n") + b",\n".join(lines))
    stream.write(b"\n]\n")
    return len(order)


def write_results_file(
    path: str | Path,
    detections: Detections,
    image_ids: NDArray[np.int64],
    *,
    with_boxes: bool = False,
) -> int:
    """``write_results`` into a file, whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as partial, partial.open("wb") as stream:
        return write_results(stream, detections, image_ids, with_boxes=with_boxes)


def _record_text(
    found: ClassDetections,
    class_index: int,
    row: int,
    image_ids: NDArray[np.int64],
    with_boxes: bool,
) -> bytes:
    own = LAYOUT.slots(class_index)
    rounded = np.round(found.landmarks_xy[row], DECIMALS) + 0.0  # no -0
    numbers: list[float] = [0] * (3 * (own.stop - own.start))
    numbers[0::3], numbers[1::3] = rounded[:, 0].tolist(), rounded[:, 1].tolist()
    numbers[2::3] = [1] * (own.stop - own.start)
    slots = (
        b"0," * (3 * own.start),
        msgspec.json.encode(numbers)[1:-1],
        b",0" * (3 * (LAYOUT.num_slots - own.stop)),
    )
    box = b""
    if with_boxes and not np.isnan(found.boxes_xywh[row, 0]):
        values = np.round(found.boxes_xywh[row], DECIMALS).tolist()
        box = b',"box_xywh":' + msgspec.json.encode(values)
    return b'{"image_id":%d,"category_id":%d,"keypoints":[%s],"score":%s%s}' % (
        image_ids[found.image_index[row]],
        class_index + 1,
        b"".join(slots),
        repr(float(found.scores[row])).encode(),
        box,
    )
