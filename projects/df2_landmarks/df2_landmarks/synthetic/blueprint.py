"""How a garment is cut: its panels, their dense outlines through the landmarks, and its trimmings.

Everything is derived from the names of a category's landmarks, so there is no case per category:
a garment with an ``armpit_left`` has sleeves, one with a ``crotch`` has legs, and so on. Points
are (x, y, along) of the person frame, see ``templates.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from df2_landmarks.synthetic.curves import smooth_run
from df2_landmarks.synthetic.templates import FloatArray, Template, chain, template

SIDES = ("left", "right")
SIGN = {"left": -1.0, "right": 1.0}


@dataclass(frozen=True)
class Trim:
    """A band or a line on a panel: collar rib, cuff, hem, placket. ``closed`` means filled."""

    points: FloatArray
    closed: bool
    kind: str


@dataclass(frozen=True)
class Panel:
    """One piece of cloth.

    Attributes:
        name: "back", "body", "front_left", "sleeve_left", "leg_left", "strap_left", ...
        limb: "arm_left", "leg_right", ...: what it bends with, or "".
        outline: (P, 3) closed polygon.
        rows: landmarks on the outline.
        trims: drawn on the panel, in order.
    """

    name: str
    limb: str
    outline: FloatArray
    rows: tuple[int, ...]
    trims: tuple[Trim, ...] = field(default=())


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

    def front_neckline(self) -> list[int]:
        return self.run(
            "neckline_left",
            "neckline_front_left",
            "neckline_front_centre",
            "neckline_front_right",
            "neckline_right",
        )

    def side(self, side: str) -> list[int]:
        """From the armpit, or the first landmark below it, down to the hem."""
        return self.chain(f"armpit_{side}", f"side_{side}", f"side_{side}_mid", f"hem_{side}")

    def panel(
        self, name: str, limb: str, runs: Sequence[FloatArray | list[int]], *trims: Trim
    ) -> Panel:
        """A panel bounded by runs, each a list of rows (smooth through them) or of points."""
        pieces, rows = [], []
        for run in runs:
            if isinstance(run, list):
                rows += run
                run = smooth_run(self.points[run])
            pieces.append(run[:-1])
        return Panel(name, limb, np.concatenate(pieces), tuple(sorted(set(rows))), trims)


@cache
def blueprint(class_index: int) -> tuple[Panel, ...]:
    """Panels of a class (0-based), the one that lies at the back first."""
    cut = _Cutter(template(class_index))
    if cut.shape.has("waist_left"):
        return _legs(cut) if cut.shape.has("crotch") else _skirt(cut)
    panels = _open_front(cut) if cut.shape.has("front_edge_left_top") else _closed_front(cut)
    return (*panels, *_straps(cut), *_sleeves(cut))


def _armhole(cut: _Cutter, side: str) -> list[FloatArray | list[int]]:
    """From the upper end of the panel down to its hem corner."""
    if cut.shape.has(f"armpit_{side}"):
        shoulder = cut.run(f"shoulder_{side}")
        neck = cut.run(f"neckline_{side}")
        return [neck + shoulder, shoulder + cut.run(f"armpit_{side}"), cut.side(side)]
    top = cut.run(f"shoulder_{side}") or cut.run(f"neckline_{side}")
    neck = cut.run(f"neckline_{side}", f"shoulder_{side}")
    below = cut.side(side)
    start, end = cut.points[top[0]], cut.points[below[0]]
    scoop = start + (end - start) * [0.35, 0.62, 0.0]
    scoop[0] -= SIGN[side] * 0.12 * abs(end[1] - start[1])
    curve = smooth_run(np.vstack([start, scoop, cut.points[below]]))
    runs: list[FloatArray | list[int]] = [curve]
    return [neck, *runs] if len(neck) > 1 else runs


def _reverse(runs: list[FloatArray | list[int]]) -> list[FloatArray | list[int]]:
    return [run[::-1] for run in reversed(runs)]


def _closed_front(cut: _Cutter) -> tuple[Panel, ...]:
    neckline = cut.front_neckline()
    back = cut.run("neckline_left", "neckline_back_centre", "neckline_right")
    hem = cut.run("hem_right", "hem_centre", "hem_left")
    runs = [neckline, *_armhole(cut, "right"), hem, *_reverse(_armhole(cut, "left"))]
    body = cut.panel("body", "", runs, _hem(cut, hem), _collar(cut, neckline))
    rows = [*body.rows, *cut.chain("side_left", "side_right")]
    body = Panel(body.name, body.limb, body.outline, tuple(sorted(set(rows))), body.trims)
    inside = cut.panel("back", "", [back, neckline[::-1]], _line(cut, back, 1.6, "rib"))
    return inside, body


def _open_front(cut: _Cutter) -> tuple[Panel, ...]:
    edges, panels = {}, []
    for side in SIDES:
        edges[side] = [
            cut.run(f"neckline_{side}", f"neckline_front_{side}", f"front_edge_{side}_top"),
            cut.run(f"front_edge_{side}_top")
            + cut.chain(f"front_edge_{side}")
            + cut.run(f"front_edge_{side}_hem"),
        ]
        hem = cut.run(f"front_edge_{side}_hem", f"hem_{side}")
        runs = [*edges[side], hem, *_reverse(_armhole(cut, side))]
        trims = [_hem(cut, hem), _placket(cut, edges[side][1], side), _collar(cut, edges[side][0])]
        panels.append(cut.panel(f"front_{side}", "", runs, *trims))
    back = cut.run("neckline_left", "neckline_back_centre", "neckline_right")
    bottom = cut.run("front_edge_right_hem", "front_edge_left_hem")
    lining = [back, *edges["right"], bottom, *_reverse(list(edges["left"]))]
    return (cut.panel("back", "", lining, _line(cut, back, 1.6, "rib")), *panels)


def _straps(cut: _Cutter) -> tuple[Panel, ...]:
    panels = []
    for side in SIDES:
        rows = cut.run(f"strap_{side}_top", f"neckline_{side}")
        if len(rows) < 2 or not cut.shape.has(f"strap_{side}_top"):
            continue
        top, end = cut.points[rows]
        across = np.array([0.9, 0.0, 0.0])
        sink = np.array([0.0, 1.2, 0.0])
        outline = np.array([top - across, top, top + across, end + across + sink])
        outline = np.vstack([outline, end - across + sink])
        panels.append(Panel(f"strap_{side}", "", outline, tuple(rows)))
    return tuple(panels)


def _sleeves(cut: _Cutter) -> tuple[Panel, ...]:
    if not cut.shape.sleeve_length:
        return ()
    panels = []
    for side in SIDES:
        outer = cut.chain(f"shoulder_{side}", f"sleeve_{side}_outer", f"cuff_{side}_outer")
        inner = cut.chain(f"armpit_{side}", f"sleeve_{side}_inner", f"cuff_{side}_inner")
        cuff = [outer[-1], inner[-1]]
        armhole = [inner[0], outer[0]]
        width = min(4.5, 0.22 * cut.shape.sleeve_length)
        ends = cut.points[cuff]
        before = cut.points[[inner[-2], outer[-2]]]
        share = width / np.maximum(ends[::-1, 2] - before[:, 2], width)
        inset = ends[::-1] + (before - ends[::-1]) * share[:, None]
        band = Trim(np.vstack([ends, inset]), True, "cuff")
        runs = [outer, cuff, inner[::-1], armhole]
        panels.append(cut.panel(f"sleeve_{side}", f"arm_{side}", runs, band))
    return tuple(panels)


def _legs(cut: _Cutter) -> tuple[Panel, ...]:
    panels = []
    for side in SIDES:
        waist = cut.run(f"waist_{side}", "waist_centre")
        fly = cut.run("waist_centre", "crotch")
        inner = cut.chain("crotch", f"leg_{side}_inner", f"leg_{side}_hem_inner")
        hem = cut.run(f"leg_{side}_hem_inner", f"leg_{side}_hem_outer")
        outer = cut.chain(f"leg_{side}_hem_outer")
        outer += cut.chain(f"leg_{side}_outer")[::-1] + cut.run(f"waist_{side}")
        trims = [_hem(cut, hem), _waistband(cut, waist), *_pocket(cut, side)]
        runs = [waist, fly, inner, hem, outer]
        panels.append(cut.panel(f"leg_{side}", f"leg_{side}", runs, *trims))
    return tuple(panels)


def _skirt(cut: _Cutter) -> tuple[Panel, ...]:
    waist = cut.run("waist_left", "waist_centre", "waist_right")
    hem = cut.run("hem_right", "hem_centre", "hem_left")
    right = cut.run("waist_right", "side_right_mid", "hem_right")
    left = cut.run("hem_left", "side_left_mid", "waist_left")
    trims = [_hem(cut, hem), _waistband(cut, waist)]
    return (cut.panel("body", "", [waist, right, hem, left], *trims),)


def _shifted(cut: _Cutter, rows: list[int], shift: FloatArray, kind: str) -> Trim:
    run = smooth_run(cut.points[rows])
    return Trim(np.vstack([run, (run + shift)[::-1]]), True, kind)


def _hem(cut: _Cutter, rows: list[int]) -> Trim:
    return _shifted(cut, rows, np.array([0.0, -2.2, 0.0]), "hem")


def _waistband(cut: _Cutter, rows: list[int]) -> Trim:
    return _shifted(cut, rows, np.array([0.0, 3.6, 0.0]), "waistband")


def _collar(cut: _Cutter, rows: list[int]) -> Trim:
    run = smooth_run(cut.points[rows])
    away = run * [1.16, 1.0, 1.0] + [0.0, 1.7, 0.0]
    return Trim(np.vstack([run, away[::-1]]), True, "collar")


def _placket(cut: _Cutter, rows: list[int], side: str) -> Trim:
    return _shifted(cut, rows, np.array([SIGN[side] * 2.4, 0.0, 0.0]), "placket")


def _line(cut: _Cutter, rows: list[int], drop: float, kind: str) -> Trim:
    return _shifted(cut, rows, np.array([0.0, drop, 0.0]), kind)


def _pocket(cut: _Cutter, side: str) -> list[Trim]:
    """A slanted pocket opening below the waistband."""
    waist = cut.points[cut.run(f"waist_{side}")[0]]
    start = waist + [-SIGN[side] * 5.0, 3.6, 0.0]
    end = waist + [SIGN[side] * 0.2, 13.0, 0.0]
    return [Trim(np.vstack([start, (start + end) / 2, end]), False, "pocket")]
