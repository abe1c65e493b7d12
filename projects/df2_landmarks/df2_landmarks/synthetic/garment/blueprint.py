"""How a garment is cut: its panels and their dense outlines through the landmarks.

Everything is derived from the names of a category's landmarks, so there is no case per category:
a garment with an ``armpit_left`` has sleeves, one with a ``crotch`` has legs, and so on. Points
are (x, y, along, facing) of the person frame, see ``templates.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.synthetic.garment import trims
from df2_landmarks.synthetic.garment.axes import halves
from df2_landmarks.synthetic.garment.curves import smooth_run
from df2_landmarks.synthetic.garment.templates import FloatArray, Template, chain, template
from df2_landmarks.synthetic.garment.trims import Trim

SIGN = {"left": -1.0, "right": 1.0}
FRONT, BACK = "front", "back"
_Runs = list[FloatArray | list[int]]


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
        """Where ``all_points`` is to be cut."""
        lengths = [len(self.outline), *(len(trim.points) for trim in self.trims)]
        return np.cumsum(lengths)[:-1]


class _Cutter:
    """Cuts panels out of a template."""

    def __init__(self, shape: Template) -> None:
        self.shape = shape
        self.names = shape.names
        self.points = shape.points

    def run(self, *names: str) -> list[int]:
        """Rows of those of the named landmarks that the category has, in the given order."""
        return [self.names.index(name) for name in names if name in self.names]

    def chain(self, *prefixes: str) -> list[int]:
        return chain(self.names, *prefixes)

    def at(self, rows: list[int]) -> FloatArray:
        """(N, 4) points of rows."""
        return self.points[rows]

    def panel(self, name: str, limb: str, runs: _Runs, sewn: Sequence[Trim] = ()) -> Panel:
        """A panel bounded by runs, each a list of rows (smooth through them) or of points.

        A landmark belongs to the panel when it is a vertex of its outline.
        """
        pieces = [smooth_run(self.at(run)) if isinstance(run, list) else run for run in runs]
        outline = np.concatenate([piece[:-1] for piece in pieces])
        near = np.abs(outline[:, None, :2] - self.points[None, :, :2]).max(-1).min(0) < 1e-6
        rows = tuple(int(row) for row in np.flatnonzero(near))
        return Panel(name, limb, outline, rows, tuple(sewn))


@cache
def blueprint(class_index: int, view: str = FRONT) -> tuple[Panel, ...]:
    """Panels of a class (0-based) as seen from the front or the back, the rearmost first."""
    cut = _Cutter(template(class_index))
    if cut.shape.has("waist_left"):
        return _legs(cut) if cut.shape.has("crotch") else _skirt(cut)
    cloth: Callable[[_Cutter], tuple[Panel, ...]] = _closed_front
    if view == BACK:
        cloth = _back
    elif cut.shape.has("front_edge_left_top"):
        cloth = _open_front
    return (*cloth(cut), *_straps(cut), *_sleeves(cut))


def _side(cut: _Cutter, side: str) -> _Runs:
    """From the neck over the shoulder and the armhole down to the hem corner."""
    shoulder = cut.run(f"neckline_{side}", f"shoulder_{side}")
    below = cut.chain(f"armpit_{side}", f"side_{side}", f"hem_{side}")
    if cut.shape.has(f"armpit_{side}"):
        return [shoulder, [shoulder[-1], below[0]], below]
    start, end = cut.points[shoulder[-1]], cut.points[below[0]]
    scoop = start + (end - start) * [0.35, 0.62, 0.0, 0.0]
    scoop[0] -= SIGN[side] * 0.12 * abs(end[1] - start[1])
    armhole = smooth_run(np.vstack([start, scoop, cut.at(below)]))
    return [shoulder, armhole] if len(shoulder) > 1 else [armhole]


def _reverse(runs: _Runs) -> _Runs:
    return [run[::-1] for run in reversed(runs)]


def _back_neckline(cut: _Cutter) -> list[int]:
    return cut.run("neckline_left", "neckline_back_centre", "neckline_right")


def _closed_front(cut: _Cutter) -> tuple[Panel, ...]:
    names = ("left", "front_left", "front_centre", "front_right", "right")
    neckline = cut.run(*(f"neckline_{name}" for name in names))
    back = _back_neckline(cut)
    hem = cut.run("hem_right", "hem_centre", "hem_left")
    runs = [neckline, *_side(cut, "right"), hem, *_reverse(_side(cut, "left"))]
    sewn = [trims.hem(cut.at(hem)), trims.collar(cut.at(neckline))]
    inside = cut.panel("inside", "", [back, neckline[::-1]], [trims.rib(cut.at(back))])
    return inside, cut.panel("body", "", runs, sewn)


def _back(cut: _Cutter) -> tuple[Panel, ...]:
    back = _back_neckline(cut)
    hem = cut.run("hem_right", "hem_centre", "hem_left")
    runs = [back, *_side(cut, "right"), hem, *_reverse(_side(cut, "left"))]
    return (cut.panel("body", "", runs, [trims.hem(cut.at(hem)), trims.rib(cut.at(back))]),)


def _open_front(cut: _Cutter) -> tuple[Panel, ...]:
    edges: dict[str, _Runs] = {}
    panels = []
    for side, sign in SIGN.items():
        top, hem_end = f"front_edge_{side}_top", f"front_edge_{side}_hem"
        neck = cut.run(f"neckline_{side}", f"neckline_front_{side}", top)
        edge = cut.run(top) + cut.chain(f"front_edge_{side}") + cut.run(hem_end)
        hem = cut.run(hem_end, f"hem_{side}")
        edges[side] = [neck, edge]
        sewn = [trims.hem(cut.at(hem)), *trims.placket(cut.at(edge), sign)]
        sewn.append(trims.collar(cut.at(neck)))
        runs = [neck, edge, hem, *_reverse(_side(cut, side))]
        panels.append(cut.panel(f"front_{side}", "", runs, sewn))
    back = _back_neckline(cut)
    bottom = cut.run("front_edge_right_hem", "front_edge_left_hem")
    lining = [back, *edges["right"], bottom, *_reverse(edges["left"])]
    return (cut.panel("inside", "", lining, [trims.rib(cut.at(back))]), *panels)


def _straps(cut: _Cutter) -> tuple[Panel, ...]:
    panels = []
    across, sink = np.array([0.9, 0.0, 0.0, 0.0]), np.array([0.0, 1.2, 0.0, 0.0])
    for side in SIGN:
        rows = cut.run(f"strap_{side}_top")
        if not rows:
            continue
        top, end = cut.points[rows[0]], cut.points[cut.run(f"neckline_{side}")[0]]
        corners = [top - across, top, top + across, end + across + sink, end, end - across + sink]
        panels.append(cut.panel(f"strap_{side}", "", [np.array([*corners, corners[0]])]))
    return tuple(panels)


def _sleeves(cut: _Cutter) -> tuple[Panel, ...]:
    if not cut.shape.sleeve_length:
        return ()
    panels = []
    for side in SIGN:
        outer = cut.chain(f"shoulder_{side}", f"sleeve_{side}_outer", f"cuff_{side}_outer")
        inner = cut.chain(f"armpit_{side}", f"sleeve_{side}_inner", f"cuff_{side}_inner")
        runs: _Runs = [outer, [outer[-1], inner[-1]], inner[::-1], [inner[0], outer[0]]]
        cuff = trims.cuff(cut.at(outer), cut.at(inner))
        panels.append(cut.panel(f"sleeve_{side}", f"arm_{side}", runs, [cuff]))
    return tuple(panels)


def _legs(cut: _Cutter) -> tuple[Panel, ...]:
    panels = []
    crotch = cut.points[cut.shape.row("crotch")]
    for side, sign in SIGN.items():
        waist = cut.run(f"waist_{side}", "waist_centre")
        inner = cut.chain("crotch", f"leg_{side}_inner", f"leg_{side}_hem_inner")
        hem = cut.run(f"leg_{side}_hem_inner", f"leg_{side}_hem_outer")
        outer = cut.chain(f"waist_{side}", f"leg_{side}_outer", f"leg_{side}_hem_outer")
        runs: _Runs = [waist, cut.run("waist_centre", "crotch"), inner, hem, outer[::-1]]
        sewn = [trims.hem(cut.at(hem)), trims.waistband(cut.at(waist))]
        sewn.append(trims.pocket(cut.points[waist[0]], sign))
        if side == "right":
            sewn.append(trims.fly(cut.points[waist[1]], crotch, sign))
        panels.append(cut.panel(f"leg_{side}", f"leg_{side}", runs, sewn))
    return tuple(panels)


def _skirt(cut: _Cutter) -> tuple[Panel, ...]:
    waist = cut.run("waist_left", "waist_centre", "waist_right")
    hem = cut.run("hem_right", "hem_centre", "hem_left")
    right = cut.run("waist_right", "side_right_mid", "hem_right")
    left = cut.run("hem_left", "side_left_mid", "waist_left")
    sewn = trims.pleats(cut.at(waist), cut.at(hem[::-1]))
    sewn += [trims.hem(cut.at(hem)), trims.waistband(cut.at(waist))]
    return (cut.panel("body", "", [waist, right, hem, left], sewn),)
