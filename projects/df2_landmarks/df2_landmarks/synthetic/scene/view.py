"""Turning a garment about the vertical axis: the body is a tube with an elliptic section."""

from __future__ import annotations

from functools import cache

import numpy as np

from df2_landmarks.synthetic.garment.templates import FloatArray, Template, chain, template

THICKNESS = 0.55
"""Depth of a body over its width."""
LIMB_FADE_CM = 10.0


@cache
def flank_rows(class_index: int) -> tuple[int, ...]:
    """Landmarks on the image-right side of the body, from the neck or waist down to the hem."""
    names = template(class_index).names
    stems = ("neckline", "shoulder", "armpit", "waist", "side", "leg", "hem")
    rows = [
        row
        for stem in stems
        for row in chain(names, f"{stem}_right", f"{stem}_right_outer", f"{stem}_right_mid")
    ]
    return tuple(sorted(rows, key=lambda row: float(template(class_index).points[row, 1])))


def turned_x(bent_x: FloatArray, shaped: FloatArray, flank: FloatArray, yaw: float) -> FloatArray:
    """(P,) x of points after the garment has turned.

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


def turned_away(shaped: FloatArray, flank: FloatArray, yaw: float) -> np.ndarray:
    """(P,) bool: points whose cloth faces away from the camera. Points of limbs never do."""
    across = _across(shaped, flank)
    normal = shaped[:, 3] * np.sqrt(1.0 - across**2) * np.cos(yaw) - across * np.sin(yaw)
    away: np.ndarray = (normal < -1e-9) & (shaped[:, 2] == 0) & (shaped[:, 3] > 0)
    return away


def silhouette_scale(yaw: float) -> float:
    """Half width of a turned tube over that of one seen from the front."""
    return float(np.hypot(np.cos(yaw), THICKNESS * np.sin(yaw)))


def tube(garment: Template, flank: FloatArray, yaw: float) -> FloatArray:
    """(P, 2) outline of the turned body below the armpits or the waist, at rest; may be empty."""
    if garment.leg_length:
        return np.empty((0, 2))
    armpit = "armpit_right" if garment.has("armpit_right") else "side_right_1"
    start = garment.row("waist_right" if garment.has("waist_right") else armpit)
    first = flank_rows(garment.class_index).index(start)
    side = flank[first:] * [silhouette_scale(yaw), 1.0]
    return np.vstack([side, side[::-1] * [-1.0, 1.0]])


def _across(shaped: FloatArray, flank: FloatArray) -> FloatArray:
    radius = np.interp(shaped[:, 1], flank[:, 1], flank[:, 0])
    across: FloatArray = (shaped[:, 0] / radius).clip(-1.0, 1.0)
    return across
