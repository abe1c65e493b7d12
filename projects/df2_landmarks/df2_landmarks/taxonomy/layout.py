"""Everything about categories and landmarks that can be derived from the table.

Shapes: C = 13 categories, K = number of landmarks of a category, M = 39 = the largest K,
S = 294 = the sum of all K. Three ways to address a landmark (all 0-based):

* ``(class, local index)``: class 0..C-1, local index 0..K-1. The form in memory; rows are padded
  to M, and padding always has visibility 0.
* ``slot``: 0..S-1, the form of COCO JSON and of results files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.taxonomy.categories import CATEGORIES
from df2_landmarks.taxonomy.category import Category
from df2_landmarks.taxonomy.sigmas import SIGMAS


class Layout:
    """Index tables of a list of categories.

    Args:
        categories: the rows of the table, ids contiguous from 1.
        sigmas: category id -> OKS sigma of each of its landmarks.

    Raises:
        ValueError: ids are not contiguous, or a category has another number of sigmas than of
            landmarks.
    """

    def __init__(
        self, categories: Sequence[Category], sigmas: Mapping[int, Sequence[float]]
    ) -> None:
        ids = [category.id for category in categories]
        if ids != list(range(1, len(ids) + 1)):
            raise ValueError(f"category ids must be 1..{len(ids)} in order, but got {ids}")
        for category in categories:
            if len(sigmas[category.id]) != category.num_landmarks:
                raise ValueError(
                    f"category {category.id} ({category.name}): needs {category.num_landmarks} "
                    f"sigmas, but got {len(sigmas[category.id])}"
                )
        self.categories = tuple(categories)
        self.counts = tuple(category.num_landmarks for category in categories)
        self.offsets = (0, *(int(n) for n in np.cumsum(self.counts)))
        self.slot_sigmas = np.concatenate([np.asarray(sigmas[i], dtype=np.float64) for i in ids])
        self.slot_sigmas.flags.writeable = False

    @property
    def num_categories(self) -> int:
        return len(self.categories)

    @property
    def num_slots(self) -> int:
        return self.offsets[-1]

    @property
    def max_landmarks(self) -> int:
        return max(self.counts)

    def slots(self, class_index: int) -> slice:
        """Slots of a class (0-based) as a slice of the S slots."""
        return slice(self.offsets[class_index], self.offsets[class_index + 1])

    def sigmas(self, class_index: int) -> NDArray[np.float64]:
        """(K,) OKS sigmas of a class."""
        return self.slot_sigmas[self.slots(class_index)]

    @cached_property
    def flip_indices(self) -> NDArray[np.int64]:
        """(C, M): ``mirrored[j] = original[flip_indices[c, j]]``; padding maps to itself."""
        table = np.tile(np.arange(self.max_landmarks), (self.num_categories, 1))
        for class_index, category in enumerate(self.categories):
            for a, b in category.flip_pairs:
                table[class_index, [a - 1, b - 1]] = b - 1, a - 1
        return _frozen(table)

    @cached_property
    def own_landmarks(self) -> NDArray[np.bool_]:
        """(C, M): True where the local index is a landmark of the class, False in the padding."""
        return _frozen(np.arange(self.max_landmarks) < np.asarray(self.counts)[:, None])

    @cached_property
    def slot_class(self) -> NDArray[np.int64]:
        """(S,): class of each slot."""
        return _frozen(np.repeat(np.arange(self.num_categories), self.counts))


def _frozen(array: NDArray) -> NDArray:
    array.flags.writeable = False
    return array


LAYOUT = Layout(CATEGORIES, SIGMAS)
"""The layout of DeepFashion2."""
