"""The errors of a score picture by picture: which pictures cost most, and what is wrong in them.

I = images, N = detections and G = items, flat over all categories as in ``pairs``. K = landmarks of
a category. Coordinates are those of the files: pixel indices.

The *loss* of an item that counts is 1 - OKS with the detection that is assigned to it, and 1 if it
is missed or its category is wrong. The loss of a duplicate or a detection on background is its
score, from ``ERROR_SCORE`` on. The loss of an image is the sum of these: it says where to look, and
is not the AP.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.evaluation.diagnosis.detection_errors import (
    BACKGROUND,
    DETECTION_TYPES,
    DUPLICATE,
    MISSED,
    WRONG_CATEGORY,
    ClassifiedDetections,
    class_of,
    classify_detections,
)
from df2_landmarks.evaluation.diagnosis.landmark_errors import (
    ClassifiedLandmarks,
    classify_landmarks,
)
from df2_landmarks.evaluation.pairs import pair_indices
from df2_landmarks.evaluation.score import Score
from df2_landmarks.formats import GroundTruth

ERROR_SCORE = 0.3
"""Duplicates and detections on background below this score cost nothing, and are not shown."""


@dataclass(frozen=True, eq=False)
class GarmentCase:
    """An item, a detection, or an item with the detection that is assigned to it.

    Attributes:
        kind: of ``DETECTION_TYPES``, or ``MISSED``.
        loss: see the module.
        item: class (0-based) and row among the items of the class; None for a false positive.
        detection: class and row among the ranked detections of the class; None if missed.
        score: of the detection; None if missed.
        oks: with the item, where both have the same category.
        landmark_types: (K,) index into ``LANDMARK_TYPES``, -1 where not labelled; None without a
            detection of the item's category.
        error_px: (K,) distance to the true position; None likewise.
        error_sigmas: (K,) the same over ``2 * sigma * sqrt(area)``; None likewise.
    """

    kind: str
    loss: float
    item: tuple[int, int] | None
    detection: tuple[int, int] | None
    score: float | None
    oks: float | None
    landmark_types: NDArray[np.int8] | None
    error_px: NDArray[np.float64] | None
    error_sigmas: NDArray[np.float64] | None


@dataclass(frozen=True, eq=False)
class ImageCase:
    """What is right and wrong in an image.

    Attributes:
        image_index: index into ``GroundTruth.image_ids``.
        loss: of the image.
        garments: items, then false positives, the largest loss first in each.
    """

    image_index: int
    loss: float
    garments: tuple[GarmentCase, ...]


class Cases:
    """The images of a score as cases.

    Attributes:
        detections: the error type of each detection.
        landmarks: the error types of the landmarks, per class.
        image_losses: (I,).
        oks: (N,) of each detection with its item, 0 without one.

    Example:
        >>> from df2_landmarks.evaluation import score
        >>> from df2_landmarks.formats import read_ground_truth, read_results
        >>> ground_truth = read_ground_truth("validation.json")
        >>> detections = read_results("landmark_results.json", ground_truth)
        >>> cases = Cases(ground_truth, score(ground_truth, detections, "visible_and_occluded"))
        >>> case = cases.of_image(cases.worst(1)[0])
        >>> case.garments[0].kind
        'correct'
    """

    def __init__(self, ground_truth: GroundTruth, score: Score) -> None:
        self._ground_truth = ground_truth
        self._score = score
        self.detections: ClassifiedDetections = classify_detections(ground_truth, score)
        self.landmarks: tuple[ClassifiedLandmarks, ...] = classify_landmarks(
            ground_truth, score, self.detections
        )
        pairs, error_type = score.pairs, self.detections.error_type
        self.oks = np.zeros(len(pairs.scores))
        detections, items = pair_indices(pairs.cells)
        assigned = self.detections.has_landmarks[detections]
        assigned &= self.detections.item[detections] == items
        self.oks[detections[assigned]] = pairs.oks[assigned]
        self._item_losses = np.where(score.matching.item_ignored[0], 0.0, 1.0)
        rows = np.flatnonzero(self.detections.has_landmarks)
        counted = rows[~score.matching.item_ignored[0][self.detections.item[rows]]]
        self._item_losses[self.detections.item[counted]] = 1 - self.oks[counted]
        is_extra = (error_type == DUPLICATE) | (error_type == BACKGROUND)
        is_extra &= pairs.scores >= ERROR_SCORE
        self._detection_losses = np.where(is_extra, pairs.scores, 0.0)
        num_images = len(ground_truth.image_ids)
        self.image_losses = np.bincount(
            pairs.item_images, self._item_losses, minlength=num_images
        ) + np.bincount(pairs.images, self._detection_losses, minlength=num_images)
        self._by_image = np.argsort(pairs.images, kind="stable")
        self._items_by_image = np.argsort(pairs.item_images, kind="stable")

    def worst(self, count: int) -> list[int]:
        """Return the indices of the images that cost most, the largest loss first."""
        order = np.argsort(-self.image_losses, kind="stable")
        return [int(index) for index in order[:count]]

    def of_image(self, image_index: int) -> ImageCase:
        """Return what is right and wrong in an image."""
        pairs, classified = self._score.pairs, self.detections
        detections = _rows_of(pairs.images, self._by_image, image_index)
        items = _rows_of(pairs.item_images, self._items_by_image, image_index)
        kinds = classified.error_type[detections]
        garments = []
        for item in items.tolist():
            on_item = detections[(classified.item[detections] == item) & (kinds <= WRONG_CATEGORY)]
            # Several of a wrong category may lie on one item; the best one stands for it.
            best = sorted(
                on_item.tolist(), key=lambda d: (classified.error_type[d], -pairs.scores[d])
            )
            if best or classified.missed[item]:
                garments.append(self._garment(item, best[0] if best else None))
        extra = [
            self._garment(None, d)
            for d, kind in zip(detections.tolist(), kinds.tolist(), strict=True)
            if kind in (DUPLICATE, BACKGROUND) and pairs.scores[d] >= ERROR_SCORE
        ]
        by_loss = [*sorted(garments, key=_by_loss), *sorted(extra, key=_by_loss)]
        return ImageCase(image_index, float(self.image_losses[image_index]), tuple(by_loss))

    def _garment(self, item: int | None, detection: int | None) -> GarmentCase:
        pairs = self._score.pairs
        kind, loss, score, oks = MISSED, 0.0, None, None
        place = types = error_px = error_sigmas = None
        if item is not None:
            loss = float(self._item_losses[item])
        if detection is not None:
            error_type = int(self.detections.error_type[detection])
            kind, score = DETECTION_TYPES[error_type], float(pairs.scores[detection])
            c = int(class_of(pairs.class_starts, np.asarray([detection]))[0])
            place = (c, detection - int(pairs.class_starts[c]))
            if item is None:
                loss = float(self._detection_losses[detection])
            if self.detections.has_landmarks[detection]:
                oks = float(self.oks[detection])
                part = self.landmarks[c]
                row = int(np.searchsorted(part.detection, place[1]))
                types, error_px = part.error_type[row], part.error_px[row]
                error_sigmas = part.error_sigmas[row]
        return GarmentCase(
            kind, loss, self._place(item), place, score, oks, types, error_px, error_sigmas
        )

    def _place(self, item: int | None) -> tuple[int, int] | None:
        if item is None:
            return None
        starts = self._score.pairs.item_starts
        c = int(class_of(starts, np.asarray([item]))[0])
        return c, item - int(starts[c])


def _rows_of(
    images: NDArray[np.int64], by_image: NDArray[np.int64], image_index: int
) -> NDArray[np.int64]:
    """Return the flat rows of an image, given the order of all rows by image."""
    low, high = np.searchsorted(images, [image_index, image_index + 1], sorter=by_image)
    return by_image[low:high]


def _by_loss(case: GarmentCase) -> float:
    return -case.loss
