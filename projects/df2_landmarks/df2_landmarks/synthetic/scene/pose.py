"""How a person stands or a garment lies: bends of the limbs and a smooth warp of everything."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from df2_landmarks.synthetic.garment import (
    MIDDLE_JOINTS,
    FloatArray,
    Pattern,
    Shape,
    is_arm,
    on_axis,
    sign_of,
)
from df2_landmarks.synthetic.recipe import Difficulty

SOFT_JOINT = 12.0
"""cm of cloth over which a joint bends."""
SIDE_YAW = (0.5, 0.9)
"""Radians by which a person in a side view has turned."""


@dataclass(frozen=True)
class Pose:
    """Angles in radians, outwards positive, for the image's left and right limb.

    Attributes:
        arm: absolute, 0 hangs down.
        elbow, leg, knee: relative to the limb's rest.
        waves: (N, 5) smooth warp: wave vector (1/cm), phase of x, phase of y, amplitude (cm).
        yaw: turn about the vertical axis; positive takes the front towards the image's right.
        back: one sees the back.
    """

    arm: tuple[float, float]
    elbow: tuple[float, float]
    leg: tuple[float, float]
    knee: tuple[float, float]
    waves: FloatArray
    yaw: float = 0.0
    back: bool = False


def sample_pose(rng: np.random.Generator, difficulty: Difficulty, *, worn: bool) -> Pose:
    """Sample the pose of a person, or of a garment spread out, which shows its front."""
    d = difficulty
    spread = np.radians([[d.arm], [d.elbow], [d.leg], [d.knee]])
    angles = rng.uniform(-1.0, 1.0, (4, 2)) * spread
    angles[0] += np.radians(24.0)
    waves = np.empty((3, 5))
    heading = rng.uniform(0.0, 2 * np.pi, 3)
    number = 2 * np.pi / rng.uniform(50.0, 130.0, 3)
    waves[:, 0], waves[:, 1] = number * np.cos(heading), number * np.sin(heading)
    waves[:, 2:4] = rng.uniform(0.0, 2 * np.pi, (3, 2))
    waves[:, 4] = rng.uniform(0.3, 1.0, 3) * d.warp
    arm, elbow, leg, knee = ((float(a), float(b)) for a, b in angles)
    view, yaw = rng.random(), rng.uniform(*SIDE_YAW) * rng.choice([-1.0, 1.0])
    is_side = worn and view < d.side_view
    is_back = worn and d.side_view <= view < d.side_view + d.back_view
    return Pose(arm, elbow, leg, knee, waves, float(yaw) if is_side else 0.0, bool(is_back))


def bent(points: FloatArray, pattern: Pattern, shape: Shape, limb: str, pose: Pose) -> FloatArray:
    """Return (P, 2) cm of (P, 3+) points of a shaped garment, bent with their limb, or with ""."""
    xy, along = points[:, :2], points[:, 2]
    if not limb:
        return xy.copy()
    axis = pattern.axes[limb] * [shape.width, 1.0, 1.0]
    sign = sign_of(limb)
    side = 0 if sign < 0 else 1
    start, middle = on_axis(axis, np.array([0.0, MIDDLE_JOINTS[limb]]))
    if is_arm(limb):
        at_rest = np.arctan2(sign * (middle[0] - start[0]), middle[1] - start[1])
        first, second = pose.arm[side] - at_rest, pose.elbow[side]
    else:
        first, second = pose.leg[side], pose.knee[side]
    late = _ease((along - MIDDLE_JOINTS[limb]) / SOFT_JOINT + 0.5)
    early = _ease(along / SOFT_JOINT)
    xy = _turn(xy, middle, sign * second * late)
    return _turn(xy, start, sign * first * early)


def warped(xy: FloatArray, pose: Pose) -> FloatArray:
    """Return (P, 2) cm after the smooth warp that everything on a person shares."""
    out = xy.copy()
    for kx, ky, phase_x, phase_y, amplitude in pose.waves:
        along = xy[:, 0] * kx + xy[:, 1] * ky
        out[:, 0] += amplitude * np.sin(along + phase_x)
        out[:, 1] += amplitude * np.sin(along + phase_y)
    return out


def _ease(share: FloatArray) -> FloatArray:
    """Return a smooth step from 0 to 1."""
    t = np.clip(share, 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def _turn(xy: FloatArray, centre: FloatArray, angle: FloatArray) -> FloatArray:
    """Turn each point about the centre; a positive angle takes "down" to the image's right."""
    x, y = (xy - centre).T
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([x * cos + y * sin, -x * sin + y * cos], axis=1) + centre
