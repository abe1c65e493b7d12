"""From a garment at rest to its place on a posed person: one map for seams and landmarks alike.

Every point passes the same chain: the garment's own shape, the bend of its limb, the turn of
the body, a smooth warp that the whole person shares (and then the camera). Landmarks are vertices
of the outlines, so a landmark lies where the drawn seam does, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.synthetic.garment import FloatArray, shaped
from df2_landmarks.synthetic.scene.outfit import Garment
from df2_landmarks.synthetic.scene.pose import Pose, bent, warped
from df2_landmarks.synthetic.scene.view import tube, turned_away, turned_x


class Placement:
    """A garment in a pose."""

    def __init__(self, garment: Garment, pose: Pose) -> None:
        self.garment = garment
        self.pose = pose
        self.pattern = garment.pattern

    @cached_property
    def flank(self) -> FloatArray:
        """(N, 2) x, y of the right side of the body at rest, y ascending."""
        points, limbs = self.pattern.points, self.pattern.limbs
        rows = self.pattern.flank_rows
        side = np.vstack([self._shaped(points[[row]], limbs[row])[:, :2] for row in rows])
        side[:, 1] = np.maximum.accumulate(side[:, 1])
        return side

    def cm(self, points: FloatArray, limb: str) -> FloatArray:
        """Return (P, 2) cm of (P, 4) points of the pattern that bend with ``limb``, or with ""."""
        at_rest = self._shaped(points, limb)
        xy = bent(at_rest, self.pattern, self.garment.shape, limb, self.pose)
        if self.pose.yaw:
            xy[:, 0] = turned_x(xy[:, 0], at_rest, self.flank, self.pose.yaw)
        return warped(xy, self.pose)

    def cm_of_all(self, pieces: Sequence[tuple[FloatArray, str]]) -> list[FloatArray]:
        """Return ``cm`` of several (points, limb), computed once per limb."""
        placed: dict[int, FloatArray] = {}
        for limb in {limb for _, limb in pieces}:
            indices = [i for i, (_, other) in enumerate(pieces) if other == limb]
            ends = np.cumsum([len(pieces[i][0]) for i in indices])[:-1]
            xy = self.cm(np.vstack([pieces[i][0] for i in indices]), limb)
            placed.update(zip(indices, np.split(xy, ends), strict=True))
        return [placed[i] for i in range(len(pieces))]

    def away(self, points: FloatArray, limb: str) -> NDArray[np.bool_]:
        """Return (P,) at which points of the pattern the cloth faces away from the camera."""
        if not self.pose.yaw:
            return np.zeros(len(points), bool)
        return turned_away(self._shaped(points, limb), self.flank, self.pose.yaw)

    def landmarks_cm(self) -> FloatArray:
        """Return (K, 2) cm of the landmarks."""
        out = np.empty((len(self.pattern.points), 2))
        for limb, rows in self.pattern.limb_rows.items():
            out[rows] = self.cm(self.pattern.points[rows], limb)
        return out

    def landmarks_away(self) -> NDArray[np.bool_]:
        """Return (K,) which landmarks lie on cloth that faces away from the camera."""
        out = np.zeros(len(self.pattern.points), bool)
        for limb, rows in self.pattern.limb_rows.items():
            out[rows] = self.away(self.pattern.points[rows], limb)
        return out

    def tube_cm(self) -> FloatArray:
        """Return (P, 2) cm of the silhouette of a turned body; empty where there is none."""
        if not self.pose.yaw:
            return np.empty((0, 2))
        return warped(tube(self.pattern, self.flank, self.pose.yaw), self.pose)

    def _shaped(self, points: FloatArray, limb: str) -> FloatArray:
        return shaped(points, self.pattern, self.garment.shape, limb)
