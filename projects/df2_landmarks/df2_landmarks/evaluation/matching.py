"""Matching of detections to items, at every OKS threshold and item size, for all cells at once.

A = size ranges (3), T = 10 thresholds, N = detections, G = items. The rule is pycocotools'
(``COCOeval.evaluateImg``): in each cell the detections choose in the order of their scores. A
detection takes the most similar unmatched item that counts, the later one of equals; if no such
item reaches the threshold, the most similar unmatched item that is ignored. A crowd can be matched
any number of times.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.evaluation.pairs import Pairs

THRESHOLDS = np.linspace(0.5, 0.95, 10)
AREA_RANGES = {"all": (0, 1e5**2), "medium": (32**2, 96**2), "large": (96**2, 1e5**2)}
"""Square pixels; COCO's keypoint evaluation has no small range."""
ALL_SIZES = {"all": AREA_RANGES["all"]}
"""Where only the overall AP is needed: a third of the work."""
UNMATCHED = -1


@dataclass(frozen=True, eq=False)
class Matching:
    """The item of each detection.

    Attributes:
        item: (A, T, N) index of the matched item, or UNMATCHED.
        ignored: (A, T, N) detections that count neither as true nor as false positives.
        item_ignored: (A, G) items that do not count.
    """

    item: NDArray[np.int32]
    ignored: NDArray[np.bool_]
    item_ignored: NDArray[np.bool_]


def match(
    pairs: Pairs,
    outside: NDArray[np.bool_] | None = None,
    *,
    areas: Mapping[str, tuple[float, float]] = AREA_RANGES,
) -> Matching:
    """Match the detections to the items.

    Args:
        pairs: detections, items and their similarities.
        outside: (G,) more items to ignore, for the score of a subset.
        areas: the size ranges A, AREA_RANGES or ALL_SIZES.
    """
    ranges = np.asarray(list(areas.values()), dtype=np.float64)
    low, high = ranges[:, :1], ranges[:, 1:]
    ignored = pairs.item_ignored if outside is None else pairs.item_ignored | outside
    item_ignored = ignored | (pairs.item_areas < low) | (pairs.item_areas > high)
    item = np.full((len(low), len(THRESHOLDS), len(pairs.scores)), UNMATCHED, dtype=np.int32)
    for num_items in np.unique(pairs.cells.num_items):
        _match_cells(pairs, item_ignored, int(num_items), item)
    detection_ignored = np.empty(item.shape, dtype=bool)
    for a in range(len(low)):
        other_size = (pairs.areas < low[a]) | (pairs.areas > high[a])
        if len(item_ignored[a]):
            detection_ignored[a] = np.where(
                item[a] == UNMATCHED, other_size, item_ignored[a][item[a]]
            )
        else:
            detection_ignored[a] = other_size
    return Matching(item, detection_ignored, item_ignored)


def _match_cells(
    pairs: Pairs, item_ignored: NDArray[np.bool_], num_items: int, item: NDArray[np.int32]
) -> None:
    """Fill ``item`` for all cells with ``num_items`` items; n = such cells."""
    cells = pairs.cells
    cell_rows = np.flatnonzero(cells.num_items == num_items)
    # Most detections first: the cells that have a d-th detection are then the first n.
    cell_rows = cell_rows[np.argsort(-cells.num_detections[cell_rows], kind="stable")]
    num_detections = cells.num_detections[cell_rows]
    first_item = cells.first_item[cell_rows]
    counts = [~item_ignored[:, first_item + g] for g in range(num_items)]  # (A, n) each
    crowd = [pairs.item_crowd[first_item + g] for g in range(num_items)]
    any_ignored = any(not c.all() for c in counts)
    shape = (len(item_ignored), len(THRESHOLDS), len(cell_rows))
    used = np.zeros((num_items, *shape), dtype=bool)
    floor = np.minimum(THRESHOLDS, 1 - 1e-10)[None, :, None]
    for d in range(int(num_detections.max())):
        n = int(np.searchsorted(-num_detections, -d, side="left"))
        first_pair = cells.first_pair[cell_rows[:n]] + d * num_items
        chosen = np.full((*shape[:2], n), UNMATCHED, dtype=np.int32)  # items of the cell: 0, 1...
        for among_ignored in (False, True) if any_ignored else (False,):
            best_oks = np.broadcast_to(floor, chosen.shape)
            candidate = np.full(chosen.shape, UNMATCHED, dtype=np.int32)
            for g in range(num_items):
                oks = pairs.oks[first_pair + g]
                allowed = (counts[g][:, :n] != among_ignored)[:, None]
                free = ~used[g, :, :, :n] | crowd[g][:n]
                better = free & allowed & (oks >= best_oks)
                candidate[better] = g
                if num_items > 1:
                    best_oks = np.where(better, oks, best_oks)
            chosen = np.where(chosen == UNMATCHED, candidate, chosen)
        for g in range(num_items):
            used[g, :, :, :n] |= chosen == g
        item[:, :, cells.first_detection[cell_rows[:n]] + d] = np.where(
            chosen == UNMATCHED, UNMATCHED, chosen + first_item[:n].astype(np.int32)
        )
