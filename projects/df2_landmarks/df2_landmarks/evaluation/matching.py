"""Which detection finds which item, at every OKS threshold and item size, for all cells at once.

A = size ranges (3), T = 10 thresholds, N = detections, G = items. The rule is pycocotools'
(``COCOeval.evaluateImg``): in each cell the detections choose in the order of their scores. A
detection takes the most similar free item that counts, the later one of equals; if there is none
above the threshold, the most similar free item that does not count. A crowd is never used up.
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
"""For what looks at the overall AP only: a third of the work."""
UNMATCHED = -1


@dataclass(frozen=True, eq=False)
class Matching:
    """What became of each detection.

    Attributes:
        item: (A, T, N) index of the matched item, or UNMATCHED.
        ignored: (A, T, N) detections that count neither as true nor as false.
        item_ignored: (A, G) items that need not be found.
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
    """Matches detections and items.

    Args:
        pairs: similarities.
        outside: (G,) items to ignore on top, for the score of a subset.
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
        odd_size = (pairs.areas < low[a]) | (pairs.areas > high[a])
        if len(item_ignored[a]):
            detection_ignored[a] = np.where(
                item[a] == UNMATCHED, odd_size, item_ignored[a][item[a]]
            )
        else:
            detection_ignored[a] = odd_size
    return Matching(item, detection_ignored, item_ignored)


def _match_cells(
    pairs: Pairs, item_ignored: NDArray[np.bool_], num_items: int, item: NDArray[np.int32]
) -> None:
    """Fills ``item`` for all cells with ``num_items`` items; n = such cells."""
    cells = pairs.cells
    own = np.flatnonzero(cells.num_items == num_items)
    own = own[np.argsort(-cells.num_detections[own], kind="stable")]  # a prefix has a d-th one
    num_detections = cells.num_detections[own]
    first_item = cells.first_item[own]
    counts = [~item_ignored[:, first_item + g] for g in range(num_items)]  # (A, n) each
    crowd = [pairs.item_crowd[first_item + g] for g in range(num_items)]
    any_ignored = any(not c.all() for c in counts)
    shape = (len(item_ignored), len(THRESHOLDS), len(own))
    used = np.zeros((num_items, *shape), dtype=bool)
    floor = np.minimum(THRESHOLDS, 1 - 1e-10)[None, :, None]
    for d in range(int(num_detections.max())):
        n = int(np.searchsorted(-num_detections, -d, side="left"))
        first_pair = cells.first_pair[own[:n]] + d * num_items
        found = np.full((*shape[:2], n), UNMATCHED, dtype=np.int32)
        for second_choice in (False, True) if any_ignored else (False,):
            best = np.broadcast_to(floor, found.shape)
            chosen = np.full(found.shape, UNMATCHED, dtype=np.int32)
            for g in range(num_items):
                oks = pairs.oks[first_pair + g]
                allowed = (counts[g][:, :n] != second_choice)[:, None]
                free = ~used[g, :, :, :n] | crowd[g][:n]
                better = free & allowed & (oks >= best)
                chosen[better] = g
                if num_items > 1:
                    best = np.where(better, oks, best)
            found = np.where(found == UNMATCHED, chosen, found)
        for g in range(num_items):
            used[g, :, :, :n] |= found == g
        hit = found != UNMATCHED
        item[:, :, cells.first_detection[own[:n]] + d] = np.where(
            hit, found + first_item[:n].astype(np.int32), UNMATCHED
        )
