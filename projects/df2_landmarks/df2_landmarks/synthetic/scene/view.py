"""Turning a garment about the vertical axis: the body is a tube with an elliptic section."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.synthetic.garment import FloatArray, Pattern

THICKNESS = 0.55
"""Depth of a body over its width."""
LIMB_FADE_CM = 10.0


def turned_x(bent_x: FloatArray, shaped: FloatArray, flank: FloatArray, yaw: float) -> FloatArray:
    """Return (P,) the x of points after the garment has turned.

    Args:
        bent_x: (P,) x in the pose.
        shaped: (P, 4) the same points at rest.
        flank: (N, 2) x, y of the right side of the body at rest, y ascending.
        yaw: radians; positive turns the front towards the image's right.
    """
    across = _across(shaped, flank)
    radius = np.interp(shaped[:, 1], flank[:, 1], flank[:, 0])
    bulge = THICKNESS * radius * np.sqrt(1.0 - across**2) * shaped[:, 3]
    bulge *= np.clip(1.0 - shaped[:, 2] / LIMB_FADE_CM, 0.0, 1.0)
    return bent_x * np.cos(yaw) + bulge * np.sin(yaw)


def turned_away(shaped: FloatArray, flank: FloatArray, yaw: float) -> NDArray[np.bool_]:
    """Return (P,) whether the cloth at a point faces away from the camera; never on limbs."""
    across = _across(shaped, flank)
    normal = shaped[:, 3] * np.sqrt(1.0 - across**2) * np.cos(yaw) - across * np.sin(yaw)
    away: NDArray[np.bool_] = (normal < -1e-9) & (shaped[:, 2] == 0) & (shaped[:, 3] > 0)
    return away


def silhouette_scale(yaw: float) -> float:
    """Return the half width of a turned tube over that of one seen from the front."""
    return float(np.hypot(np.cos(yaw), THICKNESS * np.sin(yaw)))


def tube(pattern: Pattern, flank: FloatArray, yaw: float) -> FloatArray:
    """Return (P, 2) the outline of the turned body below the armpits or the waist, at rest.

    It is empty for trousers and shorts.
    """
    if pattern.leg_length:
        return np.empty((0, 2))
    start = pattern.rows("waist_right", "armpit_right", "side_right_1")[0]
    side = flank[pattern.flank_rows.index(start) :] * [silhouette_scale(yaw), 1.0]
    return np.vstack([side, side[::-1] * [-1.0, 1.0]])


def _across(shaped: FloatArray, flank: FloatArray) -> FloatArray:
    """Return (P,) how far from the middle of the body a point lies, -1 to 1."""
    radius = np.interp(shaped[:, 1], flank[:, 1], flank[:, 0])
    across: FloatArray = (shaped[:, 0] / radius).clip(-1.0, 1.0)
    return across
