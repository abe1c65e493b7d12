"""A category at rest: its landmarks in centimetres, on a person who stands upright.

Person frame: x to the image's right from the middle of the body, y down from the side of the neck,
centimetres. A point is (x, y, along, facing): ``along`` is how far down its own sleeve or leg it
lies, and 0 on everything that does not bend; ``facing`` is 1 at the front of the body and -1 at
its back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.synthetic.garment.figures import FIGURE_XY, SIZES_CM
from df2_landmarks.taxonomy import DEEPFASHION2, Category

FloatArray = NDArray[np.float64]

SIDES = {"left": -1.0, "right": 1.0}
"""Side of the image -> sign of x."""


@dataclass(frozen=True, eq=False)
class Template:
    """The landmarks of a category at rest. A row is a landmark's local index.

    Attributes:
        category: whose landmarks they are.
        points: (K, 4) of x, y, along (cm), facing, symmetric about x = 0.
        sleeve_length, leg_length: cm, 0 without sleeves or legs.
    """

    category: Category
    points: FloatArray
    sleeve_length: float
    leg_length: float

    def has(self, name: str) -> bool:
        """Return whether the category has a landmark of that name."""
        return name in self.category.landmark_names

    def row(self, name: str) -> int:
        """Return the row of a landmark."""
        return self.category.landmark_names.index(name)

    def rows(self, *names: str) -> list[int]:
        """Return the rows of those of the named landmarks that the category has, in that order."""
        return [self.row(name) for name in names if self.has(name)]

    def chain(self, *stems: str) -> list[int]:
        """Return the rows of the landmarks of each stem in turn, ordinals ascending.

        The stem of a name is the name without its ordinal: "side_left" of "side_left_2".
        """
        names = self.category.landmark_names
        by_name = sorted(range(len(names)), key=lambda row: names[row])
        return [row for stem in stems for row in by_name if _stem(names[row]) == stem]

    def sleeve_edges(self, side: str) -> tuple[list[int], list[int]]:
        """Return the rows along the outer and the inner edge of a sleeve, from the body down."""
        outer = self.chain(f"shoulder_{side}", f"sleeve_{side}_outer", f"cuff_{side}_outer")
        inner = self.chain(f"armpit_{side}", f"sleeve_{side}_inner", f"cuff_{side}_inner")
        return outer, inner


def at_rest(category: Category) -> Template:
    """Return a category at rest: its shape in the figure, made symmetric, in cm."""
    width, height, top = SIZES_CM[category.id]
    figure = np.asarray(FIGURE_XY[category.id], dtype=np.float64)
    flip = DEEPFASHION2.flip_indices[category.id - 1, : category.num_landmarks]
    centre = (figure[:, 0] + figure[flip, 0]).mean() / 2
    xy = figure - [centre, 0.0]
    xy = (xy + xy[flip] * [-1.0, 1.0]) / 2
    points = np.zeros((len(xy), 4))
    points[:, :2] = xy * [width, height] + [0.0, top]
    is_back = [name == "neckline_back_centre" for name in category.landmark_names]
    points[:, 3] = np.where(is_back, -1.0, 1.0)
    unmeasured = Template(category, points, 0.0, 0.0)
    sleeve_length, along_sleeve = _measure_sleeves(unmeasured)
    leg_length, along_leg = _measure_legs(unmeasured)
    points[:, 2] = along_sleeve + along_leg
    points.flags.writeable = False
    return Template(category, points, sleeve_length, leg_length)


def _stem(name: str) -> str:
    head, _, tail = name.rpartition("_")
    return head if tail.isdigit() else name


def _measure_sleeves(unmeasured: Template) -> tuple[float, FloatArray]:
    """Return the length of a sleeve, and (K,) ``along`` of the landmarks of sleeves."""
    length, along = 0.0, np.zeros(len(unmeasured.points))
    for side in SIDES:
        edges = unmeasured.sleeve_edges(side)
        if len(edges[0]) < 3:  # a shoulder only
            continue
        runs = [np.cumsum(_steps(unmeasured.points[rows, :2])) for rows in edges]
        length = (runs[0][-1] + runs[1][-1]) / 2
        for rows, run in zip(edges, runs, strict=True):
            along[rows] = run * (length / run[-1])
    return length, along


def _measure_legs(unmeasured: Template) -> tuple[float, FloatArray]:
    """Return the length of a leg, and (K,) ``along`` of its landmarks: depth below the crotch."""
    along = np.zeros(len(unmeasured.points))
    if not unmeasured.has("crotch"):
        return 0.0, along
    top = unmeasured.points[unmeasured.row("crotch"), 1] - 4.0
    names = unmeasured.category.landmark_names
    rows = [row for row, name in enumerate(names) if name.startswith("leg_")]
    along[rows] = np.maximum(0.0, unmeasured.points[rows, 1] - top)
    return float(along.max()), along


def _steps(xy: FloatArray) -> FloatArray:
    """Return (P,) the distance of each point from the one before, 0 for the first."""
    return np.concatenate([[0.0], np.hypot(*np.diff(xy, axis=0).T)])
