"""Detections of a split as one small set of arrays per category.

N = detections of a class, K = landmarks of the class, S = 294 slots. Coordinates are those of the
files: pixel indices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.formats.ground_truth import GroundTruth
from df2_landmarks.taxonomy import LAYOUT

MAX_DETECTIONS = 20
"""Detections per image and category that the official score looks at."""


@dataclass(frozen=True, eq=False)
class ClassDetections:
    """Detections of one class, in any order.

    Attributes:
        record: (N,) place in the results, which decides between equal scores.
        image_index: (N,) index into ``GroundTruth.image_ids``.
        scores: (N,).
        landmarks_xy: (N, K, 2).
        areas: (N,) what decides between medium and large.
        boxes_xywh: (N, 4) predicted boxes; NaN where the results have none.
        full_row: (N,) row in ``full_xy``, -1 where the foreign slots are zero or not looked at.
        full_xy: (F, S, 2) all slots of the detections with foreign slots that the score looks at.
    """

    record: NDArray[np.int64]
    image_index: NDArray[np.int64]
    scores: NDArray[np.float64]
    landmarks_xy: NDArray[np.float64]
    areas: NDArray[np.float64]
    boxes_xywh: NDArray[np.float64]
    full_row: NDArray[np.int64]
    full_xy: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.record)

    def take(self, index: NDArray) -> ClassDetections:
        """The detections at ``index`` (indices or mask)."""
        return replace(
            self,
            **{f.name: getattr(self, f.name)[index] for f in fields(self) if f.name != "full_xy"},
        )

    def ranked(self) -> ClassDetections:
        """The best ``MAX_DETECTIONS`` of each image, by image, then falling score, then record."""
        order = np.lexsort((self.record, -self.scores, self.image_index))
        return self.take(order[rank_in_group(self.image_index[order]) < MAX_DETECTIONS])


@dataclass(frozen=True, eq=False)
class Detections:
    """Detections of a split: one ClassDetections per category, in the order of the taxonomy."""

    name: str
    classes: tuple[ClassDetections, ...]

    def __len__(self) -> int:
        return sum(len(found) for found in self.classes)

    @property
    def has_boxes(self) -> bool:
        """True if every detection has its predicted box."""
        return not any(np.isnan(found.boxes_xywh).any() for found in self.classes)


def rank_in_group(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,): 0, 1, 2... within each run of equal values."""
    if not len(groups):
        return np.zeros(0, dtype=np.int64)
    starts = np.flatnonzero(np.concatenate([[True], groups[1:] != groups[:-1]]))
    lengths = np.diff(np.append(starts, len(groups)))
    return np.arange(len(groups)) - np.repeat(starts, lengths)


def empty_class(class_index: int) -> ClassDetections:
    """No detections."""
    integers, floats = np.zeros(0, dtype=np.int64), np.zeros(0)
    return ClassDetections(
        record=integers,
        image_index=integers,
        scores=floats,
        landmarks_xy=np.zeros((0, LAYOUT.counts[class_index], 2)),
        areas=floats,
        boxes_xywh=np.zeros((0, 4)),
        full_row=integers,
        full_xy=np.zeros((0, LAYOUT.num_slots, 2)),
    )


def concatenate_class(class_index: int, parts: Sequence[ClassDetections]) -> ClassDetections:
    """Joins detections of one class."""
    if not parts:
        return empty_class(class_index)
    joined = {f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(parts[0])}
    shifts = np.cumsum([0, *(len(part.full_xy) for part in parts[:-1])])
    rows = [
        np.where(p.full_row < 0, -1, p.full_row + s) for p, s in zip(parts, shifts, strict=True)
    ]
    return ClassDetections(**{**joined, "full_row": np.concatenate(rows)})


def zero_padded_areas(landmarks_xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) areas as pycocotools derives them when the foreign slots are zero.

    Source: ``COCO.loadRes``: the extent of all slots, the zeros of the padding included.
    """
    if not len(landmarks_xy):
        return np.zeros(0)
    low = np.minimum(landmarks_xy.min(axis=1), 0)
    high = np.maximum(landmarks_xy.max(axis=1), 0)
    width, height = (high - low).T
    return width * height


def truth_as_detections(ground_truth: GroundTruth) -> Detections:
    """The items with at least one labelled landmark as perfect predictions with score 1."""
    classes, start = [], 0
    for class_index, truth in enumerate(ground_truth.classes):
        some = (truth.visibility > 0).any(axis=1)
        count = int(np.count_nonzero(some))
        classes.append(
            replace(
                empty_class(class_index),
                record=start + np.arange(count),
                image_index=truth.image_index[some],
                scores=np.ones(count),
                landmarks_xy=truth.landmarks_xy[some],
                areas=zero_padded_areas(truth.landmarks_xy[some]),
                boxes_xywh=truth.boxes_xywh[some],
                full_row=np.full(count, -1),
            )
        )
        start += count
    return Detections("ground truth", tuple(classes))
