"""Detections of a split as one small set of arrays per category.

I = images, N = detections of a class, K = landmarks of the class, S = slots. Coordinates are
those of the files: pixel indices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.common import UserError
from df2_landmarks.formats.ground_truth import find_images
from df2_landmarks.taxonomy import DEEPFASHION2, Taxonomy

MAX_DETECTIONS = 20
"""Detections per image and category that the official score looks at."""

OF_LANDMARKS = ("landmark_scores", "visible_probability")
"""Columns of `ClassDetections` that may be None: a number 0..1 for each landmark."""


@dataclass(frozen=True, eq=False)
class ClassDetections:
    """Detections of one class, in any order.

    Attributes:
        record: (N,) place in the results, which decides between equal scores.
        image_index: (N,) index into ``Detections.image_ids``.
        scores: (N,).
        landmarks_xy: (N, K, 2).
        areas: (N,) what decides between medium and large.
        boxes_xywh: (N, 4) predicted boxes; NaN where the results have none.
        full_row: (N,) row in ``full_xy``, -1 where the foreign slots are zero or were forgotten.
        full_xy: (F, S, 2) all slots of the detections whose foreign slots a score may look at.
        landmark_scores: (N, K) confidence 0..1 in each landmark; None where there is none. What it
            means depends on the decoder (`modeling.heatmaps`).
        visible_probability: (N, K) probability 0..1 that a landmark is visible, not occluded; None
            where there is none.
    """

    record: NDArray[np.int64]
    image_index: NDArray[np.int64]
    scores: NDArray[np.float64]
    landmarks_xy: NDArray[np.float64]
    areas: NDArray[np.float64]
    boxes_xywh: NDArray[np.float64]
    full_row: NDArray[np.int64]
    full_xy: NDArray[np.float64]
    landmark_scores: NDArray[np.float32] | None = None
    visible_probability: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.record)

    def take(self, index: NDArray) -> ClassDetections:
        """Return the detections at ``index`` (indices or mask)."""
        columns = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "full_xy"}
        return replace(self, **{k: v[index] for k, v in columns.items() if v is not None})

    def ranked(self) -> ClassDetections:
        """Return the best ``MAX_DETECTIONS`` of each image, ordered by image, score and record."""
        order = np.lexsort((self.record, -self.scores, self.image_index))
        return self.take(order[rank_in_group(self.image_index[order]) < MAX_DETECTIONS])


@dataclass(frozen=True, eq=False)
class Detections:
    """Detections of a split. They know their images, and need no ground truth.

    Attributes:
        name: where they come from, for messages.
        image_ids: (I,) ascending; an image without detections may be missing.
        classes: one ClassDetections per category, in the order of the taxonomy.
        taxonomy: the categories.
    """

    name: str
    image_ids: NDArray[np.int64]
    classes: tuple[ClassDetections, ...]
    taxonomy: Taxonomy = DEEPFASHION2

    def __len__(self) -> int:
        return sum(len(part) for part in self.classes)

    @property
    def has_boxes(self) -> bool:
        """True if every detection has its predicted box."""
        return not any(np.isnan(part.boxes_xywh).any() for part in self.classes)

    def of_images(self, image_ids: NDArray[np.int64]) -> Detections:
        """Return the same detections, with ``image_index`` pointing into other image ids.

        Args:
            image_ids: (J,) ascending, those of the ground truth.

        Raises:
            UserError: a detection is of another image.
        """
        if np.array_equal(self.image_ids, image_ids):
            return self
        new_index = find_images(image_ids, self.image_ids)
        classes = tuple(
            replace(part, image_index=new_index[part.image_index]) for part in self.classes
        )
        unknown = [record for part in classes for record in part.record[part.image_index < 0]]
        if unknown:
            self._fail(int(min(unknown)), image_ids)
        return Detections(self.name, image_ids, classes, self.taxonomy)

    def _fail(self, record: int, image_ids: NDArray[np.int64]) -> NoReturn:
        index = [part.image_index[part.record == record] for part in self.classes]
        image_id = self.image_ids[np.concatenate(index)[0]]
        images = f"{len(image_ids)} images, {image_ids[0]}..{image_ids[-1]}"
        raise UserError(
            f"{self.name}, record {record}: image_id: {image_id} is not an image of the ground "
            f"truth ({images}); other split?"
        )


def rank_in_group(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (N,) 0, 1, 2... within each run of equal values."""
    if not len(groups):
        return np.zeros(0, dtype=np.int64)
    starts = np.flatnonzero(np.concatenate([[True], groups[1:] != groups[:-1]]))
    lengths = np.diff(np.append(starts, len(groups)))
    return np.arange(len(groups)) - np.repeat(starts, lengths)


def empty_class(taxonomy: Taxonomy, class_index: int) -> ClassDetections:
    """Return a class without detections."""
    integers, floats = np.zeros(0, dtype=np.int64), np.zeros(0)
    return ClassDetections(
        record=integers,
        image_index=integers,
        scores=floats,
        landmarks_xy=np.zeros((0, taxonomy.counts[class_index], 2)),
        areas=floats,
        boxes_xywh=np.zeros((0, 4)),
        full_row=integers,
        full_xy=np.zeros((0, taxonomy.num_slots, 2)),
    )


def concatenate_class(
    taxonomy: Taxonomy, class_index: int, parts: Sequence[ClassDetections]
) -> ClassDetections:
    """Join detections of one class; a column of `OF_LANDMARKS` is None unless all parts have it."""
    if not parts:
        return empty_class(taxonomy, class_index)
    joined: dict[str, Any] = {
        f.name: np.concatenate([getattr(p, f.name) for p in parts])
        for f in fields(parts[0])
        if f.name not in OF_LANDMARKS
    }
    shifts = np.cumsum([0, *(len(part.full_xy) for part in parts[:-1])])
    rows = [
        np.where(p.full_row < 0, -1, p.full_row + s) for p, s in zip(parts, shifts, strict=True)
    ]
    joined["full_row"] = np.concatenate(rows)
    for name in OF_LANDMARKS:
        joined[name] = concatenate_present([getattr(p, name) for p in parts])
    return ClassDetections(**joined)


def concatenate_present(parts: Sequence[NDArray | None]) -> NDArray | None:
    """Join arrays; None unless all of them are there."""
    present = [part for part in parts if part is not None]
    return np.concatenate(present) if len(present) == len(parts) else None


def zero_padded_areas(taxonomy: Taxonomy, landmarks_xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (N,) areas as pycocotools derives them when the foreign slots are zero.

    Source: ``COCO.loadRes``: the extent of all slots, the zeros of the padding included. With one
    category there is no padding.

    Args:
        taxonomy: the categories.
        landmarks_xy: (N, K, 2).
    """
    if not len(landmarks_xy):
        return np.zeros(0)
    low, high = landmarks_xy.min(axis=1), landmarks_xy.max(axis=1)
    if taxonomy.num_categories > 1:
        low, high = np.minimum(low, 0), np.maximum(high, 0)
    width, height = (high - low).T
    return width * height
