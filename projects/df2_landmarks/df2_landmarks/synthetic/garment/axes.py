"""Axes of sleeves, legs and bare limbs: what cloth is lengthened along and bends with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.synthetic.garment.template import FloatArray, Template

LENGTHS = {"arm_left": 56.0, "arm_right": 56.0, "leg_left": 84.0, "leg_right": 84.0}
"""Limb -> cm from its first joint to the hand or foot. The limbs are named by their keys."""
MIDDLE_JOINTS = {"arm_left": 27.0, "arm_right": 27.0, "leg_left": 36.0, "leg_right": 36.0}
"""Limb -> cm from its first joint to the elbow or knee."""
SHOULDER_JOINT = (16.5, 7.0)
HIP_JOINT = (7.8, 66.0)
JOINT_OVERLAP = 4.5


def sign_of(limb: str) -> float:
    """Return -1 for a limb on the image's left, +1 for one on the right."""
    return -1.0 if limb.endswith("left") else 1.0


def is_arm(limb: str) -> bool:
    """Return whether a limb is an arm, not a leg."""
    return limb.startswith("arm")


def limb_of(landmark_name: str) -> str:
    """Return the limb that a landmark bends with, or ""."""
    for prefix, limb in (("sleeve_", "arm"), ("cuff_", "arm"), ("leg_", "leg")):
        if landmark_name.startswith(prefix):
            return f"{limb}_{landmark_name.split('_')[1]}"
    return ""


def limb_axis(rest: Template, limb: str) -> FloatArray:
    """Return (N, 3) of x, y, along: the middle of a limb from its joint to the hand or foot.

    It follows the sleeve or leg of the garment as far as that reaches, and is straight below.
    """
    side = limb.partition("_")[2]
    if is_arm(limb):
        rows = _sleeve_axis(rest, side) if rest.sleeve_length else None
        start = np.array([*SHOULDER_JOINT, 0.0])
    else:
        rows = _leg_axis(rest, side) if rest.leg_length else None
        start = np.array([*HIP_JOINT, 0.0])
    if rows is None:
        start[0] *= sign_of(limb)
        rows = np.stack([start, start + [0.0, 1.0, 1.0]])
    heading = rows[-1] - rows[-2]
    remaining = LENGTHS[limb] - rows[-1, 2]
    if remaining > 0:
        rows = np.vstack([rows, rows[-1] + heading / heading[2] * remaining])
    rows.flags.writeable = False
    return rows


def on_axis(rows: FloatArray, along: FloatArray) -> FloatArray:
    """Return (P, 2) the points of an axis at the given lengths, in cm."""
    return np.stack([np.interp(along, rows[:, 2], rows[:, i]) for i in (0, 1)], axis=1)


def halves(along: FloatArray, limb: str) -> tuple[NDArray[np.int64], ...]:
    """Return the points of a limb's outline above and below its elbow or knee, joint in both.

    A bent limb may cross itself. Its halves do not, so they are filled one by one.

    Args:
        along: (P,) of the outline.
        limb: the limb, or "" for what does not bend.

    Returns:
        Two index arrays; or one, of everything, when the limb ends above the joint.
    """
    joint = MIDDLE_JOINTS.get(limb, np.inf)
    if along.max() <= joint + JOINT_OVERLAP:
        return (np.arange(len(along)),)
    upper, lower = along <= joint + JOINT_OVERLAP, along >= joint - JOINT_OVERLAP
    return np.flatnonzero(upper), np.flatnonzero(lower)


def _sleeve_axis(rest: Template, side: str) -> FloatArray:
    outer, inner = (rest.points[rows] for rows in rest.sleeve_edges(side))
    along = np.linspace(0.0, rest.sleeve_length, 9)
    middle = (on_axis(outer, along) + on_axis(inner, along)) / 2
    return np.column_stack([middle, along])


def _leg_axis(rest: Template, side: str) -> FloatArray:
    crotch = rest.points[rest.row("crotch")]
    hem = rest.points[rest.rows(f"leg_{side}_hem_outer", f"leg_{side}_hem_inner")]
    outer = rest.points[rest.chain(f"leg_{side}_outer")]
    width = np.interp(crotch[1], outer[:, 1], outer[:, 0])
    start = np.array([(crotch[0] + width) / 2, crotch[1] - 4.0, 0.0])
    return np.stack([start, [*hem.mean(0)[:2], rest.leg_length]])
