"""A table of categories with landmarks, and everything about them that can be derived from it.

Shapes: C = categories, K = number of landmarks of a category, M = the largest K, S = the sum of all
K; DeepFashion2 has C = 13, M = 39, S = 294. Three ways to address a landmark (all 0-based):

* ``(class, local index)``: class 0..C-1, local index 0..K-1. The form in memory; rows are padded
  to M, and padding always has visibility 0.
* ``slot``: 0..S-1, the form of the official COCO JSON and of results files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.taxonomy.category import Category


class Taxonomy:
    """Categories, their landmarks and all that is derived from them: a value, never changed.

    Two taxonomies are equal if models, data and scores of one are those of the other: colours,
    outlines and `notes` do not count.

    Args:
        name: what people call it.
        categories: at least one; ids contiguous from 1, names unique.
        notes: what the reader of a file had to assume, or found odd, for the user.
        supercategory: of COCO files, "" for none.

    Raises:
        ValueError: there is no category, ids are not contiguous, or two categories have one name.
    """

    def __init__(
        self,
        name: str,
        categories: Sequence[Category],
        *,
        notes: Sequence[str] = (),
        supercategory: str = "",
    ) -> None:
        ids = [category.id for category in categories]
        if not ids or ids != list(range(1, len(ids) + 1)):
            raise ValueError(f"category ids must be 1..{len(ids)} in order, but got {ids}")
        names = [category.name for category in categories]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"category names must be unique, but {twice!r} occurs again")
        self.name = name
        self.categories = tuple(categories)
        self.notes = tuple(notes)
        self.supercategory = supercategory
        self.counts = tuple(category.num_landmarks for category in categories)
        self.offsets = (0, *(int(n) for n in np.cumsum(self.counts)))
        self.slot_sigmas = _frozen(np.concatenate([np.asarray(c.sigmas) for c in categories]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Taxonomy) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        size = f"{self.num_categories} categories, {self.num_slots} landmarks"
        return f"Taxonomy({self.name}: {size})"

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

    @cached_property
    def fingerprint(self) -> str:
        """Eight hexadecimal digits of a hash of what models, data and scores depend on."""
        table = [_essentials(category) for category in self.categories]
        return hashlib.sha256(json.dumps(table).encode()).hexdigest()[:8]

    def difference(self, other: Taxonomy, names: tuple[str, str] | None = None) -> str:
        """Return the first difference from another taxonomy for people, "" if they are equal.

        Args:
            other: the other taxonomy.
            names: what to call this and the other one; by default their own names.

        Example:
            >>> from df2_landmarks.taxonomy import DEEPFASHION2, Taxonomy
            >>> Taxonomy("tops", DEEPFASHION2.categories[:2]).difference(DEEPFASHION2)
            'tops has 2 categories, DeepFashion2 has 13'
        """
        if self == other:
            return ""
        names = names or (self.name, other.name)
        if self.num_categories != other.num_categories:
            return (
                f"{names[0]} has {self.num_categories} categories, "
                f"{names[1]} has {other.num_categories}"
            )
        for ours, theirs in zip(self.categories, other.categories, strict=True):
            pairs = zip(_essentials(ours).items(), _essentials(theirs).values(), strict=True)
            for key, (a, b) in ((key, (a, b)) for (key, a), b in pairs):
                if a != b:
                    where = f"{key} of category {ours.id} ({ours.name})"
                    return f"{where}: {_shown(a, b)} in {names[0]}, {_shown(b, a)} in {names[1]}"
        raise AssertionError("unequal taxonomies must differ somewhere")


def _essentials(category: Category) -> dict[str, object]:
    return {
        "name": category.name,
        "official name": category.official_name,
        "landmarks": list(category.landmark_names),
        "flip pairs": sorted(sorted(pair) for pair in category.flip_pairs),
        "sigmas": [float(sigma) for sigma in category.sigmas],
    }


def _shown(value: object, other: object) -> str:
    """Return a value, or the first part of a list that differs from the other list."""
    if isinstance(value, list) and isinstance(other, list):
        if len(value) != len(other):
            return str(len(value))
        place = next(i for i, (a, b) in enumerate(zip(value, other, strict=True)) if a != b)
        return f"{value[place]!r} as number {place + 1}"
    return repr(value)


def _frozen(array: NDArray) -> NDArray:
    array.flags.writeable = False
    return array
