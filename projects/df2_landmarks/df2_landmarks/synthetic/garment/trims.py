"""What is sewn on a panel: collars, cuffs, hems, plackets, waistbands, pockets, buttons.

Points are (x, y, along, facing) of the person frame, see ``template.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from df2_landmarks.synthetic.garment.curves import smooth_run
from df2_landmarks.synthetic.garment.template import FloatArray

HEM_CM, WAISTBAND_CM, PLACKET_CM, RIB_CM, CUFF_CM = 2.2, 3.6, 2.4, 1.6, 4.5
BUTTON_STEP_CM = 9.0


@dataclass(frozen=True)
class Trim:
    """A band (filled), a line or a row of buttons. ``points`` (P, 4)."""

    points: FloatArray
    kind: str


BAND, LINE, BUTTONS = "band", "line", "buttons"


def band(points: FloatArray, dx: float, dy: float) -> Trim:
    """Return a band between a smooth run through the points and the same run moved."""
    run = smooth_run(points)
    return Trim(np.vstack([run, (run + _offset(dx, dy))[::-1]]), BAND)


def hem(points: FloatArray) -> Trim:
    """Return the band along a lower edge."""
    return band(points, 0.0, -HEM_CM)


def waistband(points: FloatArray) -> Trim:
    """Return the band along the waist."""
    return band(points, 0.0, WAISTBAND_CM)


def rib(points: FloatArray) -> Trim:
    """Return the band inside the back of a neckline."""
    return band(points, 0.0, RIB_CM)


def placket(points: FloatArray, sign: float) -> list[Trim]:
    """Return the band and the buttons along an open front edge; ``sign`` is -1 on the left."""
    run = smooth_run(points)
    depths = np.arange(run[0, 1] + 4.0, run[-1, 1] - 2.0, BUTTON_STEP_CM)
    spots = np.column_stack([np.interp(depths, run[:, 1], run[:, i]) for i in range(4)])
    buttons = Trim(spots + _offset(sign * PLACKET_CM / 2, 0.0), BUTTONS)
    return [band(points, sign * PLACKET_CM, 0.0), buttons]


def collar(points: FloatArray) -> Trim:
    """Return the band around a front neckline."""
    run = smooth_run(points)
    away = run * [1.16, 1.0, 1.0, 1.0] + _offset(0.0, 1.7)
    return Trim(np.vstack([run, away[::-1]]), BAND)


def cuff(outer: FloatArray, inner: FloatArray) -> Trim:
    """Return the band at the end of a sleeve.

    Args:
        outer, inner: (N, 4) each, N >= 2: the points of its edges, from the body down.
    """
    ends, before = np.stack([outer[-1], inner[-1]]), np.stack([outer[-2], inner[-2]])
    width = min(CUFF_CM, 0.22 * ends[0, 2])
    share = width / np.maximum(ends[:, 2] - before[:, 2], width)
    inset = ends + (before - ends) * share[:, None]
    return Trim(np.vstack([ends, inset[::-1]]), BAND)


def pocket(waist: FloatArray, sign: float) -> Trim:
    """Return a slanted line below the waistband, from the corner of the waist (4,)."""
    start = waist + _offset(-sign * 5.0, WAISTBAND_CM)
    end = waist + _offset(sign * 0.2, 13.0)
    return Trim(np.vstack([start, (start + end) / 2, end]), LINE)


def fly(seam: FloatArray, sign: float) -> Trim:
    """Return the stitch beside the middle seam of trousers; (2, 4) from waist to crotch."""
    waist, crotch = seam
    low = waist + (crotch - waist) * 0.7
    corners = [waist + _offset(sign * 3.0, WAISTBAND_CM), low + _offset(sign * 3.0, -2), low]
    return Trim(smooth_run(np.vstack(corners)), LINE)


def pleats(waist: FloatArray, bottom: FloatArray) -> list[Trim]:
    """Return the folds of a skirt from the waist towards the hem; both (N, 4), left to right."""
    top, low = smooth_run(waist), smooth_run(bottom)
    lines = []
    for share in (0.2, 0.4, 0.6, 0.8):
        start = top[round(share * (len(top) - 1))] + _offset(0.0, WAISTBAND_CM)
        end = low[round(share * (len(low) - 1))]
        ends = [start + (end - start) * 0.15, start + (end - start) * 0.93]
        lines.append(Trim(np.vstack(ends), LINE))
    return lines


def _offset(dx: float, dy: float) -> FloatArray:
    return np.array([dx, dy, 0.0, 0.0])
