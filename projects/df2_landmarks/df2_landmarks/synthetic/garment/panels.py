"""How a garment is cut: its panels and their dense outlines through the landmarks.

Everything is derived from the names of a category's landmarks, so there is no case per category:
a garment with an ``armpit_left`` has sleeves, one with a ``crotch`` has legs, and so on. Points
are (x, y, along, facing) of the person frame, see ``template.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.synthetic.garment import trims
from df2_landmarks.synthetic.garment.axes import halves
from df2_landmarks.synthetic.garment.curves import smooth_run
from df2_landmarks.synthetic.garment.template import SIDES, FloatArray, Template
from df2_landmarks.synthetic.garment.trims import Trim

FRONT, BACK = "front", "back"
_Runs = list[FloatArray | list[int]]
"""Parts of an outline: rows to draw a smooth curve through, or points."""


@dataclass(frozen=True)
class Panel:
    """One piece of cloth.

    Attributes:
        name: "inside", "body", "front_left", "sleeve_left", "leg_left", "strap_left", ...
        limb: "arm_left", "leg_right", ...: what it bends with, or "".
        outline: (P, 4) closed polygon.
        rows: landmarks on the outline.
        trims: drawn on the panel, in order.
    """

    name: str
    limb: str
    outline: FloatArray
    rows: tuple[int, ...]
    trims: tuple[Trim, ...]

    @cached_property
    def all_points(self) -> FloatArray:
        """(Q, 4): the outline, then the points of each trim."""
        return np.vstack([self.outline, *(trim.points for trim in self.trims)])

    @cached_property
    def fills(self) -> tuple[NDArray[np.int64], ...]:
        """Indices of the points of each polygon to fill: the halves of a sleeve or leg."""
        return halves(self.outline[:, 2], self.limb)

    @cached_property
    def piece_ends(self) -> NDArray[np.int64]:
        """Where to split ``all_points``."""
        lengths = [len(self.outline), *(len(trim.points) for trim in self.trims)]
        return np.cumsum(lengths)[:-1]


def cut(rest: Template, view: str) -> tuple[Panel, ...]:
    """Return the panels of a garment as seen from ``FRONT`` or ``BACK``, the rearmost first."""
    if rest.has("waist_left"):
        return _legs(rest) if rest.has("crotch") else _skirt(rest)
    if view == BACK:
        body = _back(rest)
    elif rest.has("front_edge_left_top"):
        body = _open_front(rest)
    else:
        body = _closed_front(rest)
    return (*body, *_straps(rest), *_sleeves(rest))


def _panel(rest: Template, name: str, limb: str, runs: _Runs, sewn: Sequence[Trim] = ()) -> Panel:
    """Return a panel bounded by runs. A landmark belongs to it when it is one of its vertices."""
    pieces = [smooth_run(rest.points[run]) if isinstance(run, list) else run for run in runs]
    outline = np.concatenate([piece[:-1] for piece in pieces])
    near = np.abs(outline[:, None, :2] - rest.points[None, :, :2]).max(-1).min(0) < 1e-6
    rows = tuple(int(row) for row in np.flatnonzero(near))
    return Panel(name, limb, outline, rows, tuple(sewn))


def _side(rest: Template, side: str) -> _Runs:
    """Return the runs from the neck over the shoulder and the armhole down to the hem corner."""
    shoulder = rest.rows(f"neckline_{side}", f"shoulder_{side}")
    below = rest.chain(f"armpit_{side}", f"side_{side}", f"hem_{side}")
    if rest.has(f"armpit_{side}"):
        return [shoulder, [shoulder[-1], below[0]], below]
    start, end = rest.points[shoulder[-1]], rest.points[below[0]]
    scoop = start + (end - start) * [0.35, 0.62, 0.0, 0.0]
    scoop[0] -= SIDES[side] * 0.12 * abs(end[1] - start[1])
    armhole = smooth_run(np.vstack([start, scoop, rest.points[below]]))
    return [shoulder, armhole] if len(shoulder) > 1 else [armhole]


def _reverse(runs: _Runs) -> _Runs:
    return [run[::-1] for run in reversed(runs)]


def _back_neckline(rest: Template) -> list[int]:
    return rest.rows("neckline_left", "neckline_back_centre", "neckline_right")


def _hem(rest: Template) -> list[int]:
    return rest.rows("hem_right", "hem_centre", "hem_left")


def _closed_front(rest: Template) -> tuple[Panel, ...]:
    names = ("left", "front_left", "front_centre", "front_right", "right")
    neckline = rest.rows(*(f"neckline_{name}" for name in names))
    back, hem = _back_neckline(rest), _hem(rest)
    runs = [neckline, *_side(rest, "right"), hem, *_reverse(_side(rest, "left"))]
    sewn = [trims.hem(rest.points[hem]), trims.collar(rest.points[neckline])]
    rib = trims.rib(rest.points[back])
    inside = _panel(rest, "inside", "", [back, neckline[::-1]], [rib])
    return inside, _panel(rest, "body", "", runs, sewn)


def _back(rest: Template) -> tuple[Panel, ...]:
    back, hem = _back_neckline(rest), _hem(rest)
    runs = [back, *_side(rest, "right"), hem, *_reverse(_side(rest, "left"))]
    sewn = [trims.hem(rest.points[hem]), trims.rib(rest.points[back])]
    return (_panel(rest, "body", "", runs, sewn),)


def _open_front(rest: Template) -> tuple[Panel, ...]:
    edges: dict[str, _Runs] = {}
    panels = []
    for side, sign in SIDES.items():
        top, bottom = f"front_edge_{side}_top", f"front_edge_{side}_hem"
        neck = rest.rows(f"neckline_{side}", f"neckline_front_{side}", top)
        edge = rest.chain(top, f"front_edge_{side}", bottom)
        hem = rest.rows(bottom, f"hem_{side}")
        edges[side] = [neck, edge]
        sewn = [trims.hem(rest.points[hem]), *trims.placket(rest.points[edge], sign)]
        sewn.append(trims.collar(rest.points[neck]))
        runs = [neck, edge, hem, *_reverse(_side(rest, side))]
        panels.append(_panel(rest, f"front_{side}", "", runs, sewn))
    back = _back_neckline(rest)
    across = rest.rows("front_edge_right_hem", "front_edge_left_hem")
    lining = [back, *edges["right"], across, *_reverse(edges["left"])]
    return (_panel(rest, "inside", "", lining, [trims.rib(rest.points[back])]), *panels)


def _straps(rest: Template) -> tuple[Panel, ...]:
    panels = []
    across, sink = np.array([0.9, 0.0, 0.0, 0.0]), np.array([0.0, 1.2, 0.0, 0.0])
    for side in SIDES:
        if not rest.has(f"strap_{side}_top"):
            continue
        top, end = rest.points[rest.rows(f"strap_{side}_top", f"neckline_{side}")]
        corners = [top - across, top, top + across, end + across + sink, end, end - across + sink]
        panels.append(_panel(rest, f"strap_{side}", "", [np.array([*corners, corners[0]])]))
    return tuple(panels)


def _sleeves(rest: Template) -> tuple[Panel, ...]:
    if not rest.sleeve_length:
        return ()
    panels = []
    for side in SIDES:
        outer, inner = rest.sleeve_edges(side)
        runs: _Runs = [outer, [outer[-1], inner[-1]], inner[::-1], [inner[0], outer[0]]]
        cuff = trims.cuff(rest.points[outer], rest.points[inner])
        panels.append(_panel(rest, f"sleeve_{side}", f"arm_{side}", runs, [cuff]))
    return tuple(panels)


def _legs(rest: Template) -> tuple[Panel, ...]:
    panels = []
    middle = rest.rows("waist_centre", "crotch")
    for side, sign in SIDES.items():
        waist = rest.rows(f"waist_{side}", "waist_centre")
        inner = rest.chain("crotch", f"leg_{side}_inner", f"leg_{side}_hem_inner")
        hem = rest.rows(f"leg_{side}_hem_inner", f"leg_{side}_hem_outer")
        outer = rest.chain(f"waist_{side}", f"leg_{side}_outer", f"leg_{side}_hem_outer")
        runs: _Runs = [waist, middle, inner, hem, outer[::-1]]
        sewn = [trims.hem(rest.points[hem]), trims.waistband(rest.points[waist])]
        sewn.append(trims.pocket(rest.points[waist[0]], sign))
        if side == "right":
            sewn.append(trims.fly(rest.points[middle], sign))
        panels.append(_panel(rest, f"leg_{side}", f"leg_{side}", runs, sewn))
    return tuple(panels)


def _skirt(rest: Template) -> tuple[Panel, ...]:
    waist, hem = rest.rows("waist_left", "waist_centre", "waist_right"), _hem(rest)
    right = rest.rows("waist_right", "side_right_mid", "hem_right")
    left = rest.rows("hem_left", "side_left_mid", "waist_left")
    sewn = trims.pleats(rest.points[waist], rest.points[hem[::-1]])
    sewn += [trims.hem(rest.points[hem]), trims.waistband(rest.points[waist])]
    return (_panel(rest, "body", "", [waist, right, hem, left], sewn),)
