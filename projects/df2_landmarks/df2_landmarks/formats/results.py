"""Results files: JSON lists of detections with all slots or their own landmarks, read and written.

Detectron2 predicts continuous coordinates, files hold pixel indices: `detections_from_predictions`
converts. Arrays that come in stay as they are.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, BinaryIO, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from df2_landmarks.common import atomic_write, open_input
from df2_landmarks.formats.coco import listed_ids
from df2_landmarks.formats.coordinates import to_pixel_indices
from df2_landmarks.formats.detections import (
    ClassDetections,
    Detections,
    empty_class,
    zero_padded_areas,
)
from df2_landmarks.formats.ground_truth import GroundTruth, find_images
from df2_landmarks.formats.json_stream import Integer, fail_record, read_records
from df2_landmarks.formats.slots import Slots, read_slots, slot_text
from df2_landmarks.taxonomy import DEEPFASHION2, Taxonomy

DECIMALS = 2
"""Coordinates are rounded to this many decimals, in files and before scoring, so that a score in
training is the score of the file."""

SHARE_DECIMALS = 3
"""Confidence and visibility of landmarks are rounded likewise."""

_NO_BOX = (math.nan,) * 4
_KEYS = {"landmark_scores": "landmark_scores", "visible_probability": "landmark_visible"}
"""Column of `ClassDetections` -> key of a record."""

Share: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Result(msgspec.Struct, gc=False):
    """A record of a results file.

    ``box_xywh`` is the predicted box under a name of our own: ``bbox`` would change what
    pycocotools takes for the area of a detection. ``landmark_scores`` and ``landmark_visible`` have
    a number 0..1 for each landmark of the record's category, whatever slots ``keypoints`` has.
    """

    image_id: Integer
    category_id: Integer
    keypoints: msgspec.Raw
    score: float
    bbox: list[float] | None = None
    box_xywh: list[float] | None = None
    segmentation: msgspec.Raw = msgspec.Raw()
    landmark_scores: list[Share] | None = None
    landmark_visible: list[Share] | None = None


_RESULTS = msgspec.json.Decoder(list[Result])


def result_records(
    stream: BinaryIO,
    name: str,
    taxonomy: Taxonomy = DEEPFASHION2,
    class_of_id: Mapping[int, int] | None = None,
) -> Iterator[tuple[int, Result, Slots]]:
    """Read a JSON list of results in bounded memory.

    Args:
        stream: JSON bytes.
        name: name of the file, for messages.
        taxonomy: the categories.
        class_of_id: category id -> class (0-based); by default the ids of the taxonomy.

    Yields:
        The number of each record, the record, and its slots.

    Raises:
        UserError: this is no such list, or a record is wrong.
    """
    classes = class_of_id or {category.id: i for i, category in enumerate(taxonomy.categories)}
    for first, results in read_records(stream, name, _RESULTS):
        for record, result in enumerate(results, first):
            class_index = classes.get(result.category_id)
            if class_index is None:
                expected = f"must be {listed_ids(list(classes))}"
                fail_record(name, record, f"category_id: {expected}, but got {result.category_id}")
            text = bytes(result.keypoints)
            yield record, result, read_slots(taxonomy, class_index, text, name=name, record=record)


def read_results(
    path: str | Path,
    ground_truth: GroundTruth | None = None,
    *,
    taxonomy: Taxonomy = DEEPFASHION2,
) -> Detections:
    """Read a results file: plain JSON, gzip, or the zip of a submission.

    Areas of detections follow ``COCO.loadRes``: from ``bbox`` if the first record has one,
    else from ``segmentation`` if it has one, else the extent of all slots. A record with the
    landmarks of its own category only is read as if it had 0 in the other slots, so that the score
    does not depend on the form. Confidence and visibility of landmarks are kept for the categories
    of which every record has them.

    Args:
        path: the file.
        ground_truth: if given, the image ids are checked against it, category ids are those of
            its file, and foreign slots are forgotten where its score does not look at them, which
            saves 5 kB per detection with filled slots.
        taxonomy: the categories, where there is no ground truth.

    Raises:
        UserError: the file does not exist, is not a results file, or is not of these images; the
            message names record and field.
    """
    taxonomy = taxonomy if ground_truth is None else ground_truth.taxonomy
    classes = None if ground_truth is None else ground_truth.class_of_id
    with open_input(path) as (stream, name):
        columns = [_Columns(taxonomy, c, ground_truth) for c in range(taxonomy.num_categories)]
        area_from = ""
        for record, result, slots in result_records(stream, name, taxonomy, classes):
            area_from = area_from or _area_source(result)
            columns[slots.class_index].add(name, record, result, slots, area_from)
    image_ids = np.unique(np.concatenate([np.asarray(c.image_ids, np.int64) for c in columns]))
    parts = tuple(c.detections(image_ids) for c in columns)
    detections = Detections(name, image_ids, parts, taxonomy)
    return detections if ground_truth is None else detections.of_images(ground_truth.image_ids)


def detections_from_predictions(
    *,
    taxonomy: Taxonomy,
    image_ids: NDArray[np.int64],
    records: NDArray[np.int64],
    class_index: int,
    prediction_image_ids: NDArray[np.int64],
    scores: NDArray,
    landmarks_xy: NDArray,
    boxes_xyxy: NDArray,
    landmark_scores: NDArray | None = None,
    visible_probability: NDArray | None = None,
) -> ClassDetections:
    """Return the detections in pixel indices of one class's predictions in continuous coordinates.

    Args:
        taxonomy: the categories.
        image_ids: (I,) ascending, of the Detections that the class becomes a part of.
        records: (N,) order of the predictions, which decides between equal scores.
        class_index: 0-based class.
        prediction_image_ids: (N,).
        scores: (N,).
        landmarks_xy: (N, K, 2), the class's own landmarks, continuous.
        boxes_xyxy: (N, 4), continuous; the boxes of COCO files are continuous too.
        landmark_scores: (N, K) confidence, clipped to 0..1, or None.
        visible_probability: (N, K), or None.
    """
    pixel_xy = to_pixel_indices(np.asarray(landmarks_xy, dtype=np.float64))
    pixel_xy = pixel_xy.round(DECIMALS) + 0.0  # no -0
    x, y, right, bottom = np.asarray(boxes_xyxy, dtype=np.float64).round(DECIMALS).T
    return replace(
        empty_class(taxonomy, class_index),
        record=records,
        image_index=find_images(image_ids, prediction_image_ids),
        scores=scores.astype(np.float64),
        landmarks_xy=pixel_xy,
        areas=zero_padded_areas(taxonomy, pixel_xy),
        boxes_xywh=np.stack([x, y, right - x, bottom - y], axis=1).round(DECIMALS),
        full_row=np.full(len(records), -1),
        landmark_scores=_rounded_shares(landmark_scores),
        visible_probability=_rounded_shares(visible_probability),
    )


def _rounded_shares(values: NDArray | None) -> NDArray[np.float32] | None:
    if values is None:
        return None
    return np.clip(values.astype(np.float64), 0, 1).round(SHARE_DECIMALS).astype(np.float32)


def write_results(
    stream: BinaryIO,
    detections: Detections,
    *,
    with_extras: bool = False,
    own_landmarks: bool = False,
    class_of_id: Mapping[int, int] | None = None,
) -> int:
    """Write a results JSON: all slots, 0 in foreign slots, v = 1 in own ones.

    Args:
        stream: where to write.
        detections: what to write, in the order of their records.
        with_extras: add what is known beyond the challenge's keys: ``box_xywh``,
            ``landmark_scores`` and ``landmark_visible``, which pycocotools does not look at.
        own_landmarks: write the landmarks of each record's category only, without slots.
        class_of_id: category id -> class, see `GroundTruth`; by default the ids of the taxonomy.

    Returns:
        Number of records.
    """
    records = np.concatenate([part.record for part in detections.classes])
    sizes = [len(part) for part in detections.classes]
    class_of = np.repeat(np.arange(len(sizes)), sizes)
    ids = {c: category_id for category_id, c in (class_of_id or {}).items()}
    row_of = np.concatenate([np.arange(len(part)) for part in detections.classes])
    order = records.argsort(kind="stable")
    separator = b"[\n"
    for c, row in zip(class_of[order].tolist(), row_of[order].tolist(), strict=True):
        text = _result_text(detections, c, row, ids.get(c, c + 1), with_extras, own_landmarks)
        stream.write(separator + text)
        separator = b",\n"
    stream.write(b"\n]\n" if len(order) else b"[\n]\n")
    return len(order)


def write_results_file(
    path: str | Path,
    detections: Detections,
    *,
    with_extras: bool = False,
    own_landmarks: bool = False,
    class_of_id: Mapping[int, int] | None = None,
) -> int:
    """Write a results JSON into a file, whole or not at all; as `write_results`."""
    with atomic_write(path) as stream:
        return write_results(
            stream,
            detections,
            with_extras=with_extras,
            own_landmarks=own_landmarks,
            class_of_id=class_of_id,
        )


def _result_text(
    detections: Detections,
    class_index: int,
    row: int,
    category_id: int,
    with_extras: bool,
    own_landmarks: bool,
) -> bytes:
    part, taxonomy = detections.classes[class_index], detections.taxonomy
    rounded = np.round(part.landmarks_xy[row], DECIMALS) + 0.0  # no -0
    numbers: list[float] = [1] * (3 * taxonomy.counts[class_index])
    numbers[0::3], numbers[1::3] = rounded[:, 0].tolist(), rounded[:, 1].tolist()
    extras = _extras_text(part, row) if with_extras else b""
    keypoints = msgspec.json.encode(numbers)
    return b'{"image_id":%d,"category_id":%d,"keypoints":%s,"score":%s%s}' % (
        detections.image_ids[part.image_index[row]],
        category_id,
        keypoints if own_landmarks else slot_text(taxonomy, class_index, keypoints[1:-1]),
        repr(float(part.scores[row])).encode(),
        extras,
    )


def _extras_text(part: ClassDetections, row: int) -> bytes:
    extras: dict[str, list[float]] = {}
    if not np.isnan(part.boxes_xywh[row, 0]):
        extras["box_xywh"] = np.round(part.boxes_xywh[row], DECIMALS).tolist()
    for column, key in _KEYS.items():
        values = getattr(part, column)
        if values is not None:
            extras[key] = values[row].astype(np.float64).round(SHARE_DECIMALS).tolist()
    return b"," + msgspec.json.encode(extras)[1:-1] if extras else b""


class _Columns:
    """Detections of one class, column by column, while a file is read."""

    def __init__(
        self, taxonomy: Taxonomy, class_index: int, ground_truth: GroundTruth | None
    ) -> None:
        self.taxonomy, self.class_index = taxonomy, class_index
        self.record, self.image_ids, self.full_row = array("q"), array("q"), array("q")
        self.scores, self.areas, self.boxes = array("d"), array("d"), array("d")
        self.landmarks = array("d")
        self.shares = {key: array("f") for key in _KEYS.values()}
        self.full_xy: list[NDArray[np.float64]] = []
        self.needs_all: set[int] | None = None  # images whose foreign slots are looked at
        if ground_truth is not None:
            unlabelled = ground_truth.unlabelled_images(class_index)
            self.needs_all = set(ground_truth.image_ids[unlabelled].tolist())

    def add(self, name: str, record: int, result: Result, slots: Slots, area_from: str) -> None:
        area = math.nan  # where the foreign slots are zero: computed for all at once
        if area_from == "bbox":
            _, _, width, height = _four(name, record, result.bbox)
            area = width * height
        elif area_from == "segmentation":
            area = _mask_area(name, record, result)
        elif slots.every:
            x, y = slots.every[0::3], slots.every[1::3]
            area = (max(x) - min(x)) * (max(y) - min(y))
        box = result.box_xywh or result.bbox
        self.record.append(record)
        self.image_ids.append(result.image_id)
        self.scores.append(result.score)
        self.areas.append(area)
        self.boxes.extend(_four(name, record, box) if box else _NO_BOX)
        self.landmarks.fromlist(slots.own)
        if result.landmark_scores is not None:
            self._add_shares(name, record, "landmark_scores", result.landmark_scores)
        if result.landmark_visible is not None:
            self._add_shares(name, record, "landmark_visible", result.landmark_visible)
        if slots.every and (self.needs_all is None or result.image_id in self.needs_all):
            self.full_row.append(len(self.full_xy))
            self.full_xy.append(np.asarray(slots.every).reshape(-1, 3)[:, :2].copy())
        else:
            self.full_row.append(-1)

    def _add_shares(self, name: str, record: int, key: str, values: list[float]) -> None:
        count = self.taxonomy.counts[self.class_index]
        if len(values) != count:
            category = self.taxonomy.categories[self.class_index].official_name
            expected = f"needs a number for each of the {count} landmarks of {category}"
            fail_record(name, record, f"{key}: {expected}, got {len(values)}")
        self.shares[key].fromlist(values)

    def _shares(self, key: str) -> NDArray[np.float32] | None:
        """Return the (N, K) numbers of a key; None unless each record has it."""
        count = self.taxonomy.counts[self.class_index]
        values = np.asarray(self.shares[key])
        if not len(values) or len(values) != count * len(self.record):
            return None
        return values.reshape(-1, count)

    def detections(self, image_ids: NDArray[np.int64]) -> ClassDetections:
        """Return the arrays; forget the columns' landmarks, the largest ones."""
        landmarks, self.landmarks = np.asarray(self.landmarks), array("d")
        count = self.taxonomy.counts[self.class_index]
        landmarks_xy = landmarks.reshape(-1, count, 3)[:, :, :2].copy()
        areas = np.asarray(self.areas)
        return ClassDetections(
            record=np.asarray(self.record),
            image_index=np.searchsorted(image_ids, np.asarray(self.image_ids)),
            scores=np.asarray(self.scores),
            landmarks_xy=landmarks_xy,
            areas=np.where(np.isnan(areas), zero_padded_areas(self.taxonomy, landmarks_xy), areas),
            boxes_xywh=np.asarray(self.boxes).reshape(-1, 4),
            full_row=np.asarray(self.full_row),
            full_xy=np.asarray(self.full_xy).reshape(-1, self.taxonomy.num_slots, 2),
            **{column: self._shares(key) for column, key in _KEYS.items()},
        )


def _four(name: str, record: int, box: list[float] | None) -> list[float]:
    if box is None or len(box) != 4:
        got = "none, but the first record has one" if box is None else f"{len(box)} numbers"
        fail_record(name, record, f"bbox: needs x, y, w, h, got {got}")
    return box


def _area_source(first: Result) -> str:
    """Return where ``COCO.loadRes`` would take the areas of all detections from."""
    if first.bbox:
        return "bbox"
    return "segmentation" if bytes(first.segmentation) else "keypoints"


def _mask_area(name: str, record: int, result: Result) -> float:
    from pycocotools import mask  # rarely needed, and not by the tools otherwise

    try:
        return float(mask.area(msgspec.json.decode(result.segmentation)))
    except Exception as error:  # whatever the C code raises on what is not a mask
        fail_record(name, record, f"segmentation: must be a mask in RLE form ({error})")
