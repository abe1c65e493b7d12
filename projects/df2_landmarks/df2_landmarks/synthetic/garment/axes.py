"""Axes of sleeves, legs and bare limbs: what cloth is lengthened along and bends with."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.synthetic.garment.templates import FloatArray, Template, chain, template

LIMBS = ("arm_left", "arm_right", "leg_left", "leg_right")
ARM_LENGTH, LEG_LENGTH = 56.0, 84.0
MIDDLE_JOINT = {"arm": 27.0, "leg": 36.0}
"""cm from the first joint of a limb to its elbow or knee."""
SHOULDER_JOINT = (16.5, 7.0)
HIP_JOINT = (7.8, 66.0)
JOINT_OVERLAP = 4.5


def sign_of(limb: str) -> float:
    """-1 for a limb on the image's left, +1 for one on the right."""
    return -1.0 if limb.endswith("left") else 1.0


@cache
def axis(class_index: int, limb: str) -> FloatArray:
    """(N, 3) of x, y, along: the middle of the limb from its joint to the hand or foot, at rest.

    It follows the sleeve or leg of the garment as far as that goes, and then goes straight on.
    """
    shape = template(class_index)
    side = limb.partition("_")[2]
    if limb.startswith("arm"):
        rows = _sleeve_axis(shape, side) if shape.sleeve_length else None
        length, start = ARM_LENGTH, np.array([*SHOULDER_JOINT, 0.0])
    else:
        rows = _leg_axis(shape, side) if shape.leg_length else None
        length, start = LEG_LENGTH, np.array([*HIP_JOINT, 0.0])
    if rows is None:
        start[0] *= sign_of(limb)
        rows = np.stack([start, start + [0.0, 1.0, 1.0]])
    heading = rows[-1] - rows[-2]
    rest = length - rows[-1, 2]
    if rest > 0:
        rows = np.vstack([rows, rows[-1] + heading / heading[2] * rest])
    rows.flags.writeable = False
    return rows


def halves(along: FloatArray, limb: str) -> tuple[NDArray[np.int64], ...]:
    """Points of the outline of a limb above and below its elbow or knee; both hold the joint.

    A bent limb may cross itself. Its halves do not, so they are filled one by one.

    Args:
        along: (P,) of the outline.

    Returns:
        Two index arrays; one, of everything, when the limb ends above the joint.
    """
    joint = MIDDLE_JOINT[limb.partition("_")[0]] if limb else np.inf
    if along.max() <= joint + JOINT_OVERLAP:
        return (np.arange(len(along)),)
    upper, lower = along <= joint + JOINT_OVERLAP, along >= joint - JOINT_OVERLAP
    return np.flatnonzero(upper), np.flatnonzero(lower)


def on_axis(rows: FloatArray, along: FloatArray) -> FloatArray:
    """(P, 2) points of an axis at the given lengths, in cm."""
    return np.stack([np.interp(along, rows[:, 2], rows[:, i]) for i in (0, 1)], axis=1)


def _sleeve_axis(shape: Template, side: str) -> FloatArray:
    outer = chain(shape.names, f"shoulder_{side}", f"sleeve_{side}_outer", f"cuff_{side}_outer")
    inner = chain(shape.names, f"armpit_{side}", f"sleeve_{side}_inner", f"cuff_{side}_inner")
    along = np.linspace(0.0, shape.sleeve_length, 9)
    middle = (on_axis(shape.points[outer], along) + on_axis(shape.points[inner], along)) / 2
    return np.column_stack([middle, along])


def _leg_axis(shape: Template, side: str) -> FloatArray:
    crotch = shape.points[shape.row("crotch")]
    hem = shape.points[[shape.row(f"leg_{side}_hem_{edge}") for edge in ("outer", "inner")]]
    outer = shape.points[chain(shape.names, f"leg_{side}_outer")]
    width = np.interp(crotch[1], outer[:, 1], outer[:, 0])
    start = np.array([(crotch[0] + width) / 2, crotch[1] - 4.0, 0.0])
    return np.stack([start, [*hem.mean(0)[:2], shape.leg_length]])
