"""Garments at rest: landmarks of a category in centimetres, on a person who stands upright.

Person frame: x to the image's right from the middle of the body, y down from the side of the neck,
centimetres. A point is (x, y, along, facing): ``along`` is how far down its own sleeve or leg it
lies, and 0 on everything that does not bend; ``facing`` is 1 at the front of the body and -1 at
its back.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.synthetic.garment.figures import FIGURE_XY
from df2_landmarks.taxonomy import CATEGORIES, LAYOUT

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Size:
    """Width and height of the box of the landmarks, and the height of its top edge, in cm."""

    width: float
    height: float
    top: float = 0.0


SIZES: dict[int, Size] = {
    1: Size(59, 66),
    2: Size(57, 66),
    3: Size(62, 66),
    4: Size(60, 76),
    5: Size(40, 60),
    6: Size(40, 60, top=-1),
    7: Size(46, 42, top=42),
    8: Size(46, 100, top=42),
    9: Size(78, 56, top=42),
    10: Size(60, 96),
    11: Size(64, 102),
    12: Size(64, 94),
    13: Size(52, 96, top=-1),
}


@dataclass(frozen=True)
class Template:
    """A category at rest.

    Attributes:
        class_index: 0..C-1.
        names: name of each landmark.
        points: (K, 4) of x, y, along (cm), facing, symmetric about x = 0.
        sleeve_length, leg_length: cm, 0 without sleeves or legs.
    """

    class_index: int
    names: tuple[str, ...]
    points: FloatArray
    sleeve_length: float
    leg_length: float

    def has(self, name: str) -> bool:
        return name in self.names

    def row(self, name: str) -> int:
        return self.names.index(name)


@cache
def template(class_index: int) -> Template:
    """The garment of a class (0-based), at rest."""
    category = CATEGORIES[class_index]
    size = SIZES[category.id]
    figure = np.asarray(FIGURE_XY[category.id], dtype=np.float64)
    flip = LAYOUT.flip_indices[class_index, : category.num_landmarks]
    centre = (figure[:, 0] + figure[flip, 0]).mean() / 2
    xy = figure - [centre, 0.0]
    xy = (xy + xy[flip] * [-1.0, 1.0]) / 2
    points = np.zeros((len(xy), 4))
    points[:, :2] = xy * [size.width, size.height] + [0.0, size.top]
    names = category.landmark_names
    points[:, 3] = [-1.0 if name == "neckline_back_centre" else 1.0 for name in names]
    sleeve = _measure_sleeves(names, points)
    leg = _measure_legs(names, points)
    points.flags.writeable = False
    return Template(class_index, names, points, sleeve, leg)


def chain(names: tuple[str, ...], *prefixes: str) -> list[int]:
    """Rows of the landmarks whose name starts with each prefix in turn, ordinals ascending."""
    rows: list[int] = []
    for prefix in prefixes:
        found = [row for row, name in enumerate(names) if _stem(name) == prefix]
        rows += sorted(found, key=lambda row: names[row])
    return rows


def _stem(name: str) -> str:
    """The name without its ordinal: ``side_left_2`` -> ``side_left``."""
    head, _, tail = name.rpartition("_")
    return head if tail.isdigit() else name


def _measure_sleeves(names: tuple[str, ...], points: FloatArray) -> float:
    """Fills ``along`` of the sleeve landmarks and returns the length of a sleeve."""
    length = 0.0
    for side in ("left", "right"):
        outer = chain(names, f"shoulder_{side}", f"sleeve_{side}_outer", f"cuff_{side}_outer")
        inner = chain(names, f"armpit_{side}", f"sleeve_{side}_inner", f"cuff_{side}_inner")
        if len(outer) < 3:
            continue
        runs = [np.cumsum(_steps(points[rows, :2])) for rows in (outer, inner)]
        length = (runs[0][-1] + runs[1][-1]) / 2
        for rows, run in zip((outer, inner), runs, strict=True):
            points[rows, 2] = run * (length / run[-1])
    return length


def _measure_legs(names: tuple[str, ...], points: FloatArray) -> float:
    """Fills ``along`` of the leg landmarks (depth below the crotch) and returns the length."""
    if "crotch" not in names:
        return 0.0
    top = points[names.index("crotch"), 1] - 4.0
    rows = [row for row, name in enumerate(names) if name.startswith("leg_")]
    points[rows, 2] = np.maximum(0.0, points[rows, 1] - top)
    return float(points[rows, 2].max())


def _steps(xy: FloatArray) -> FloatArray:
    """(P,): distance of each point from the one before, 0 for the first."""
    return np.concatenate([[0.0], np.hypot(*np.diff(xy, axis=0).T)])
