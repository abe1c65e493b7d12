"""The pairs of a detection and an item, and their similarity: flat arrays over all categories.

A *cell* is an image and a category with at least one detection and one item. Its D x G pairs lie
together, detection by detection. N = detections, G = items, P = pairs, all over all categories.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.evaluation.oks import box_oks, landmark_oks
from df2_landmarks.formats import ClassDetections, ClassTruth, Detections, GroundTruth
from df2_landmarks.taxonomy import Taxonomy

_CHUNK = 1 << 12


class Cells(NamedTuple):
    """Cells as ranges: each field is (number of cells,)."""

    first_detection: NDArray[np.int64]
    num_detections: NDArray[np.int64]
    first_item: NDArray[np.int64]
    num_items: NDArray[np.int64]
    first_pair: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Pairs:
    """All that the score is computed from, under one protocol.

    Attributes:
        taxonomy: of the ground truth.
        image_ids: (I,) of the ground truth.
        ranked: per class, the detections that count, in the order of the flat arrays.
        class_starts: (C + 1,) where each class begins among the flat detections.
        item_starts: (C + 1,) where each class begins among the flat items.
        cells: images and categories with detections and items.
        oks: (P,).
        item_ignored: (G,) items that do not count whatever their size.
        item_crowd: (G,).
        item_areas: (G,).
        item_images: (G,) image index.
        scores, areas, images: (N,) of the detections.
    """

    taxonomy: Taxonomy
    image_ids: NDArray[np.int64]
    ranked: tuple[ClassDetections, ...]
    class_starts: NDArray[np.int64]
    item_starts: NDArray[np.int64]
    cells: Cells
    oks: NDArray[np.float64]
    item_ignored: NDArray[np.bool_]
    item_crowd: NDArray[np.bool_]
    item_areas: NDArray[np.float64]
    item_images: NDArray[np.int64]
    scores: NDArray[np.float64]
    areas: NDArray[np.float64]
    images: NDArray[np.int64]

    def class_rows(self, class_index: int) -> tuple[slice, slice]:
        """Return the rows of the detections and the rows of the items of a class."""
        return (
            slice(*self.class_starts[class_index : class_index + 2].tolist()),
            slice(*self.item_starts[class_index : class_index + 2].tolist()),
        )

    def by_score(self, class_index: int) -> NDArray[np.int64]:
        """Return the detections of a class, the highest score first, equal ones in their order."""
        detections = self.class_rows(class_index)[0]
        return np.argsort(-self.scores[detections], kind="stable") + detections.start


def pair_up(ground_truth: GroundTruth, detections: Detections, protocol: str) -> Pairs:
    """Rank the detections, keep 20 per image and category, and compute their OKS with the items.

    Raises:
        UserError: a detection is of an image that the ground truth does not have.
    """
    detections = detections.of_images(ground_truth.image_ids)
    ranked = tuple(part.ranked() for part in detections.classes)
    truths, taxonomy = ground_truth.classes, ground_truth.taxonomy
    class_starts = np.cumsum([0, *map(len, ranked)])
    item_starts = np.cumsum([0, *map(len, truths)])
    cells, oks, num_pairs = [], [], 0
    for c, (truth, class_detections) in enumerate(zip(truths, ranked, strict=True)):
        in_class = class_cells(truth.image_index, class_detections.image_index)
        oks.append(class_oks(taxonomy, c, truth, class_detections, in_class, protocol))
        shifts = (class_starts[c], 0, item_starts[c], 0, num_pairs)
        cells.append(np.stack(in_class, axis=1) + np.asarray(shifts))
        num_pairs += len(oks[-1])
    return Pairs(
        taxonomy=taxonomy,
        image_ids=ground_truth.image_ids,
        ranked=ranked,
        class_starts=class_starts,
        item_starts=item_starts,
        cells=Cells(*np.concatenate(cells).T),
        oks=np.concatenate(oks),
        item_ignored=np.concatenate([truth.ignored(protocol) for truth in truths]),
        item_crowd=np.concatenate([truth.crowd for truth in truths]),
        item_areas=np.concatenate([truth.areas for truth in truths]),
        item_images=np.concatenate([truth.image_index for truth in truths]),
        scores=np.concatenate([part.scores for part in ranked]),
        areas=np.concatenate([part.areas for part in ranked]),
        images=np.concatenate([part.image_index for part in ranked]),
    )


def class_cells(item_images: NDArray[np.int64], detection_images: NDArray[np.int64]) -> Cells:
    """Return the cells of a class from the ascending image indices of its items and detections."""
    images, first_detection, num_detections = np.unique(
        detection_images, return_index=True, return_counts=True
    )
    first_item = np.searchsorted(item_images, images, side="left")
    num_items = np.searchsorted(item_images, images, side="right") - first_item
    has_items = num_items > 0
    num_pairs = (num_detections * num_items)[has_items]
    return Cells(
        first_detection=first_detection[has_items],
        num_detections=num_detections[has_items],
        first_item=first_item[has_items],
        num_items=num_items[has_items],
        first_pair=np.cumsum(num_pairs) - num_pairs,
    )


def pair_indices(cells: Cells) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the (P,) detection and (P,) item of each pair."""
    num_pairs = cells.num_detections * cells.num_items
    pair_in_cell = np.arange(num_pairs.sum()) - np.repeat(cells.first_pair, num_pairs)
    row, column = np.divmod(pair_in_cell, np.repeat(cells.num_items, num_pairs))
    return (
        np.repeat(cells.first_detection, num_pairs) + row,
        np.repeat(cells.first_item, num_pairs) + column,
    )


def class_oks(
    taxonomy: Taxonomy,
    class_index: int,
    truth: ClassTruth,
    class_detections: ClassDetections,
    cells: Cells,
    protocol: str,
) -> NDArray[np.float64]:
    """Return the (P,) OKS of the pairs of a class."""
    detection, item = pair_indices(cells)
    labelled = truth.labelled(protocol)
    unlabelled = ~np.any(labelled, axis=1)[item]
    result = np.zeros(len(detection))
    for rows in _chunks(np.flatnonzero(~unlabelled), _CHUNK):
        result[rows] = landmark_oks(
            class_detections.landmarks_xy[detection[rows]],
            truth.landmarks_xy[item[rows]],
            labelled[item[rows]],
            truth.areas[item[rows]],
            taxonomy.sigmas(class_index),
        )
    for rows in _chunks(np.flatnonzero(unlabelled), _CHUNK // 16):
        result[rows] = box_oks(
            _all_slots(taxonomy, class_index, class_detections, detection[rows]),
            truth.boxes_xywh[item[rows]],
            truth.areas[item[rows]],
            taxonomy.slot_sigmas,
        )
    return result


def _all_slots(
    taxonomy: Taxonomy,
    class_index: int,
    class_detections: ClassDetections,
    detection: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return the (n, S, 2) slots of detections, those of other categories as in the file."""
    slots = np.zeros((len(detection), taxonomy.num_slots, 2))
    rows = class_detections.full_row[detection]
    slots[rows >= 0] = class_detections.full_xy[rows[rows >= 0]]
    # Landmarks that a caller replaced (corrections, baseline) are in the category's slots only.
    slots[:, taxonomy.slots(class_index)] = class_detections.landmarks_xy[detection]
    return slots


def _chunks(rows: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]
