"""From a garment at rest to its place on a posed person: one map for seams and landmarks alike.

Every point goes through the same chain: the garment's own shape, the bend of its limb, the turn of
the body, a smooth warp that the whole person shares (and then the camera). Landmarks are vertices
of the outlines, so a landmark lies where the drawn seam does, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.synthetic.garment.shape import shaped
from df2_landmarks.synthetic.garment.templates import FloatArray, template
from df2_landmarks.synthetic.scene.outfit import Garment
from df2_landmarks.synthetic.scene.pose import Pose, bent, warped
from df2_landmarks.synthetic.scene.view import flank_rows, tube, turned_away, turned_x


class Placement:
    """A garment in a pose."""

    def __init__(self, garment: Garment, pose: Pose) -> None:
        self.garment = garment
        self.pose = pose
        self.rest = template(garment.class_index)
        self.limbs = tuple(limb_of_landmark(name) for name in self.rest.names)

    @cached_property
    def flank(self) -> FloatArray:
        """(N, 2) x, y of the right side of the body at rest, y ascending."""
        rows = flank_rows(self.garment.class_index)
        side = np.stack(
            [self._shaped(self.rest.points[[row]], self.limbs[row])[0, :2] for row in rows]
        )
        side[:, 1] = np.maximum.accumulate(side[:, 1])
        return side

    def cm(self, points: FloatArray, limb: str) -> FloatArray:
        """(P, 4) template points -> (P, 2) cm.

        Args:
            limb: what the points bend with, or "".
        """
        own = self._shaped(points, limb)
        xy = bent(own, self.rest, self.garment.shape, limb, self.pose)
        if self.pose.yaw:
            xy[:, 0] = turned_x(xy[:, 0], own, self.flank, self.pose.yaw)
        return warped(xy, self.pose)

    def cm_of_all(self, pieces: Sequence[tuple[FloatArray, str]]) -> list[FloatArray]:
        """``cm`` of several (points, limb) at once: one pass per limb."""
        out: list[FloatArray] = [points[:, :2] for points, _ in pieces]
        for limb in sorted({limb for _, limb in pieces}):
            own = [i for i, (_, other) in enumerate(pieces) if other == limb]
            ends = np.cumsum([len(pieces[i][0]) for i in own])[:-1]
            placed = np.split(self.cm(np.vstack([pieces[i][0] for i in own]), limb), ends)
            for i, xy in zip(own, placed, strict=True):
                out[i] = xy
        return out

    def away(self, points: FloatArray, limb: str) -> NDArray[np.bool_]:
        """(P,): template points whose cloth faces away from the camera."""
        if not self.pose.yaw:
            return np.zeros(len(points), bool)
        return turned_away(self._shaped(points, limb), self.flank, self.pose.yaw)

    def landmarks_cm(self) -> FloatArray:
        """(K, 2)."""
        out = np.empty((len(self.limbs), 2))
        groups = self._rows_by_limb()
        placed = self.cm_of_all([(self.rest.points[rows], limb) for limb, rows in groups])
        for (_, rows), xy in zip(groups, placed, strict=True):
            out[rows] = xy
        return out

    def landmarks_away(self) -> NDArray[np.bool_]:
        """(K,)."""
        out = np.zeros(len(self.limbs), bool)
        for limb, rows in self._rows_by_limb():
            out[rows] = self.away(self.rest.points[rows], limb)
        return out

    def tube_cm(self) -> FloatArray:
        """(P, 2) cm: silhouette of a turned body; empty where there is none."""
        if not self.pose.yaw:
            return np.empty((0, 2))
        return warped(tube(self.rest, self.flank, self.pose.yaw), self.pose)

    def _shaped(self, points: FloatArray, limb: str) -> FloatArray:
        return shaped(points, self.rest, self.garment.shape, limb)

    def _rows_by_limb(self) -> list[tuple[str, list[int]]]:
        return [
            (limb, [row for row, own in enumerate(self.limbs) if own == limb])
            for limb in sorted(set(self.limbs))
        ]


def limb_of_landmark(name: str) -> str:
    """What a landmark bends with, or ""."""
    for prefix, limb in (("sleeve_", "arm"), ("cuff_", "arm"), ("leg_", "leg")):
        if name.startswith(prefix):
            return f"{limb}_{name.split('_')[1]}"
    return ""
