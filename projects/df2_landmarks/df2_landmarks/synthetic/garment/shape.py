"""What makes a garment itself: widths, lengths and neckline, the same in all its pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from df2_landmarks.synthetic.garment.axes import on_axis
from df2_landmarks.synthetic.garment.pattern import BOTTOM, OUTER, Pattern
from df2_landmarks.synthetic.garment.template import FloatArray

WAIST_CM = 34.0


@dataclass(frozen=True)
class Shape:
    """Factors on the mean shape (1 = unchanged).

    Attributes:
        width: of everything.
        length: of the body below the armpits; of a skirt.
        flare: of the width at the hem of a skirt, growing from the waist.
        neck_width, neck_depth: of the neckline.
        limb_length, limb_width: of sleeves or legs.
        hem_drop: cm by which the middle of the hem hangs lower.
        opening: of the gap between the edges of an open front.
    """

    width: float = 1.0
    length: float = 1.0
    flare: float = 1.0
    neck_width: float = 1.0
    neck_depth: float = 1.0
    limb_length: float = 1.0
    limb_width: float = 1.0
    hem_drop: float = 0.0
    opening: float = 1.0


_LOW = np.array([0.88, 0.84, 0.62, 0.85, 0.80, 0.80, 0.88, -1.0, 0.5])
_HIGH = np.array([1.14, 1.18, 1.10, 1.18, 1.35, 1.12, 1.22, 3.0, 2.4])
_REST = np.array([1.0, 1.0, 0.86, 1.0, 1.0, 1.0, 1.0, 0.5, 1.2])


def sample_shape(rng: np.random.Generator, spread: float) -> Shape:
    """Sample the shape of a garment; ``spread`` 1 is as clothes differ, 0 the mean shape."""
    drawn = rng.uniform(_LOW, _HIGH)
    return Shape(*(float(v) for v in _REST + spread * (drawn - _REST)))


def shaped(points: FloatArray, pattern: Pattern, shape: Shape, limb: str) -> FloatArray:
    """Return points of a pattern as a garment of that shape has them, still at rest.

    Args:
        points: (P, 4) of x, y, along (cm), facing.
        pattern: what the garment is cut from.
        shape: of the garment.
        limb: what the points bend with, or "".

    Returns:
        (P, 4); equal on both sides of a seam between a limb (along = 0) and the body.
    """
    out = points.copy()
    top, bottom = pattern.points[:, 1].min(), pattern.points[:, 1].max()
    if limb:
        out = _limb(out, pattern.axes[limb], shape)
    elif pattern.kind == BOTTOM and not pattern.leg_length:
        _stretch(out, top, bottom, shape, grow_from=float(top), strength=1.0)
    elif pattern.kind != BOTTOM:
        _neckline(out, pattern, shape)
        if pattern.kind == OUTER:
            _opening(out, shape)
        armpit = pattern.rows("armpit_left", "side_left_1")[0]
        start = float(pattern.points[armpit, 1])
        strength = float(np.clip((bottom - WAIST_CM) / 55.0, 0.0, 1.0))
        _stretch(out, start, bottom, shape, grow_from=WAIST_CM, strength=strength)
    out[:, 0] *= shape.width
    return out


def _limb(points: FloatArray, axis: FloatArray, shape: Shape) -> FloatArray:
    along = points[:, 2]
    middle = on_axis(axis, along)
    wider = (shape.limb_width - 1.0) * np.clip(along / 8.0, 0.0, 1.0)
    move = (shape.limb_length - 1.0) * (middle - axis[0, :2])
    move += wider[:, None] * (points[:, :2] - middle)
    return np.column_stack([points[:, :2] + move, along * shape.limb_length, points[:, 3]])


def _stretch(
    points: FloatArray,
    start: float,
    bottom: float,
    shape: Shape,
    *,
    grow_from: float,
    strength: float,
) -> None:
    """Lengthen and flare what lies below ``start``. In place."""
    y = points[:, 1].copy()
    share = np.clip((y - grow_from) / (bottom - grow_from), 0.0, 1.0)
    below = np.clip((y - start) / (bottom - start), 0.0, None)
    points[:, 1] += (shape.length - 1.0) * below * (bottom - start)
    points[:, 1] += shape.hem_drop * below * np.clip(1.0 - (points[:, 0] / 20.0) ** 2, 0.0, 1.0)
    points[:, 0] *= 1.0 + (shape.flare - 1.0) * strength * share


def _neckline(points: FloatArray, pattern: Pattern, shape: Shape) -> None:
    """Widen and deepen the neckline. In place."""
    side = pattern.points[pattern.row("neckline_right")]
    front = pattern.rows("neckline_front_centre", "front_edge_right_top")[0]
    depth = float(pattern.points[front, 1])
    x, y = np.abs(points[:, 0]), points[:, 1].copy()
    inside = np.clip((side[0] - x) / (0.3 * side[0]), 0.0, 1.0)
    above = np.clip((depth + 16.0 - y) / 16.0, 0.0, 1.0)
    points[:, 1] += (shape.neck_depth - 1.0) * np.clip(y - side[1], 0.0, depth) * inside * above
    shoulder = max(float(np.abs(pattern.points[:, 0]).max()) * 0.45, side[0] + 4.0)
    near = np.clip((shoulder - x) / (shoulder - side[0]), 0.0, 1.0)
    points[:, 0] *= 1.0 + (shape.neck_width - 1.0) * near * above


def _opening(points: FloatArray, shape: Shape) -> None:
    """Move the edges of an open front apart. In place."""
    x, y = points[:, 0].copy(), points[:, 1]
    near = np.clip((16.0 - np.abs(x)) / 11.0, 0.0, 1.0)
    down = np.clip(0.3 + y / 70.0, 0.0, 1.0)
    points[:, 0] += np.sign(x) * (shape.opening - 1.0) * 3.0 * near * down
