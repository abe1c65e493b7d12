"""Who stands where: an outfit, its pose, the person in it, and the camera that sees it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from df2_landmarks.synthetic.garment import BACK, BOTTOM, FRONT, FloatArray
from df2_landmarks.synthetic.paint import Colour
from df2_landmarks.synthetic.scene.outfit import Garment
from df2_landmarks.synthetic.scene.pose import Pose


@dataclass(frozen=True)
class Camera:
    """(3, 3) homography from cm of the person frame to px of the picture."""

    matrix: FloatArray

    def __call__(self, xy: FloatArray) -> FloatArray:
        """Return (P, 2) px of (P, 2) cm."""
        homogeneous = xy @ self.matrix[:, :2].T + self.matrix[:, 2]
        return homogeneous[:, :2] / homogeneous[:, 2:]

    @property
    def px_per_cm(self) -> float:
        return float(np.hypot(*self.matrix[:2, 0]) / self.matrix[2, 2])


@dataclass(frozen=True)
class Person:
    """Who wears an outfit: colours of skin and hair, and whether the hair is long."""

    skin: Colour
    hair: Colour
    long_hair: bool


@dataclass(frozen=True)
class Actor:
    """An outfit, how it is posed, who wears it (None: it lies flat), and where it stands."""

    garments: tuple[Garment, ...]
    pose: Pose
    person: Person | None
    camera: Camera

    @property
    def top(self) -> Garment | None:
        """The outermost garment of the upper body."""
        upper = [g for g in self.garments if g.pattern.kind != BOTTOM]
        return max(upper, key=lambda garment: garment.layer, default=None)

    @property
    def bottom(self) -> Garment | None:
        return next((g for g in self.garments if g.pattern.kind == BOTTOM), None)

    @property
    def view(self) -> str:
        return BACK if self.pose.back else FRONT

    @property
    def far_side(self) -> str:
        """The side that a turned person hides: "left", "right" or ""."""
        return "" if not self.pose.yaw else "right" if self.pose.yaw > 0 else "left"
