"""The record type of one category, and the notation that its table is written in."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

DEFAULT_SIGMA = 0.05
"""OKS sigma of a landmark for which nobody has measured one: between the medians of DeepFashion2
(.040) and of COCO's 17 keypoints of a person (.072)."""


@dataclass(frozen=True)
class Category:
    """One category. Landmark numbers are 1-based, as in the data set's figure.

    Attributes:
        id: COCO ``category_id`` of the files, from 1.
        name: its name; of a garment that of the raw annotation files ("short sleeve top").
        official_name: its name in COCO files and tables ("short_sleeved_shirt").
        color: drawing colour, "#rrggbb".
        landmark_names: one unique name per landmark, in annotation order.
        flip_pairs: pairs of landmarks that change places in a mirrored image. A landmark in no
            pair stays what it is.
        outlines: drawing paths through the landmarks.
        sigmas: OKS sigma of each landmark, above 0.

    Raises:
        ValueError: a name is not unique, a number is out of range, a pair overlaps another one, or
            there is not one positive sigma for each landmark.
    """

    id: int
    name: str
    official_name: str
    color: str
    landmark_names: tuple[str, ...]
    flip_pairs: tuple[tuple[int, int], ...]
    outlines: tuple[tuple[int, ...], ...]
    sigmas: tuple[float, ...]

    def __post_init__(self) -> None:
        where = f"category {self.id} ({self.name})"
        if len(set(self.landmark_names)) != self.num_landmarks:
            twice = next(n for n in self.landmark_names if self.landmark_names.count(n) > 1)
            raise ValueError(f"{where}: landmark names must be unique, but {twice!r} occurs again")
        if not self.landmark_names:
            raise ValueError(f"{where}: must have at least one landmark")
        paired = [number for pair in self.flip_pairs for number in pair]
        if len(set(paired)) != len(paired):
            twice_paired = next(number for number in paired if paired.count(number) > 1)
            raise ValueError(
                f"{where}: landmark {twice_paired} must stand in one flip pair, once, but is there "
                "again"
            )
        for number in (*paired, *(number for path in self.outlines for number in path)):
            if not 1 <= number <= self.num_landmarks:
                raise ValueError(
                    f"{where}: landmark numbers must be 1..{self.num_landmarks}, but got {number}"
                )
        if len(self.sigmas) != self.num_landmarks:
            raise ValueError(
                f"{where}: needs {self.num_landmarks} sigmas, but got {len(self.sigmas)}"
            )
        if not all(0 < sigma < math.inf for sigma in self.sigmas):
            raise ValueError(f"{where}: sigmas must be numbers above 0, but got {self.sigmas}")

    @property
    def num_landmarks(self) -> int:
        return len(self.landmark_names)

    @property
    def skeleton(self) -> tuple[tuple[int, int], ...]:
        """Edges of the outlines, 1-based, each once."""
        edges = [edge for path in self.outlines for edge in itertools.pairwise(path)]
        return tuple(dict.fromkeys(edges))

    @property
    def rgb(self) -> tuple[int, int, int]:
        """``color`` as integers 0..255."""
        red, green, blue = bytes.fromhex(self.color.removeprefix("#"))
        return red, green, blue


def names(text: str) -> tuple[str, ...]:
    """``"collar hem"`` -> ``("collar", "hem")``."""
    return tuple(text.split())


def pairs(text: str) -> tuple[tuple[int, int], ...]:
    """``"2-6 3-5"`` -> ``((2, 6), (3, 5))``."""
    return tuple((int(a), int(b)) for a, b in (pair.split("-") for pair in text.split()))


def paths(*texts: str) -> tuple[tuple[int, ...], ...]:
    """``"2 1 6-4"`` -> ``((2, 1, 6, 5, 4),)``: numbers, and ranges in either direction."""
    return tuple(tuple(n for token in text.split() for n in _numbers(token)) for text in texts)


def _numbers(token: str) -> range:
    first, _, last = token.partition("-")
    start, stop = int(first), int(last or first)
    step = 1 if stop >= start else -1
    return range(start, stop + step, step)
