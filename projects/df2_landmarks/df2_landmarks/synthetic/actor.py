"""An outfit in the picture: on a person or spread out, as layers and landmarks in pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from df2_landmarks.synthetic.blueprint import blueprint
from df2_landmarks.synthetic.layers import Detail, Layer
from df2_landmarks.synthetic.outfit import Garment, kind
from df2_landmarks.synthetic.pose import Pose, bent, warped
from df2_landmarks.synthetic.shape import shaped
from df2_landmarks.synthetic.templates import FloatArray, Template, template

CONTROL_POINTS = 14


@dataclass(frozen=True)
class Camera:
    """(3, 3) homography from cm of the person frame to px of the picture."""

    matrix: FloatArray

    def __call__(self, xy: FloatArray) -> FloatArray:
        """(P, 2) cm -> (P, 2) px."""
        homogeneous = xy @ self.matrix[:, :2].T + self.matrix[:, 2]
        return homogeneous[:, :2] / homogeneous[:, 2:]

    @property
    def px_per_cm(self) -> float:
        return float(np.hypot(*self.matrix[:2, 0]) / self.matrix[2, 2])


@dataclass(frozen=True)
class Actor:
    """An outfit, how it is posed, whether somebody wears it, and where it stands."""

    garments: tuple[Garment, ...]
    pose: Pose
    worn: bool
    skin: tuple[int, int, int]
    hair: tuple[int, int, int]
    camera: Camera

    @property
    def top(self) -> Garment | None:
        """The outermost garment of the upper body."""
        upper = [g for g in self.garments if kind(g.class_index) != "bottom"]
        return max(upper, key=lambda garment: garment.layer, default=None)

    @property
    def bottom(self) -> Garment | None:
        lower = [g for g in self.garments if kind(g.class_index) == "bottom"]
        return lower[0] if lower else None


def placed_cm(points: FloatArray, garment: Garment, limb: str, pose: Pose) -> FloatArray:
    """(P, 3) template points of a garment -> (P, 2) cm in the pose."""
    rest = template(garment.class_index)
    return warped(
        bent(shaped(points, rest, garment.shape, limb), rest, garment.shape, limb, pose), pose
    )


def limb_of(rest: Template, row: int) -> str:
    """What a landmark bends with, or ""."""
    name = rest.names[row]
    for prefix, limb in (("sleeve_", "arm"), ("cuff_", "arm"), ("leg_", "leg")):
        if name.startswith(prefix):
            return f"{limb}_{name.split('_')[1]}"
    return ""


def landmarks_cm(garment: Garment, pose: Pose) -> FloatArray:
    """(K, 2) landmarks of a garment in the pose."""
    rest = template(garment.class_index)
    limbs = [limb_of(rest, row) for row in range(len(rest.names))]
    out = np.empty((len(rest.names), 2))
    for limb in set(limbs):
        rows = [row for row, own in enumerate(limbs) if own == limb]
        out[rows] = placed_cm(rest.points[rows], garment, limb, pose)
    return out


def garment_layers(actor: Actor, index: int, owner: int) -> list[Layer]:
    """The panels of the actor's garment of that index as layers."""
    garment = actor.garments[index]
    outermost = garment is actor.top
    layers = []
    for panel in blueprint(garment.class_index):
        points = [panel.outline, *(trim.points for trim in panel.trims)]
        ends = np.cumsum([len(p) for p in points])[:-1]
        cm = placed_cm(np.vstack(points), garment, panel.limb, actor.pose)
        outline, *trims = np.split(actor.camera(cm), ends)
        pick = np.linspace(0, len(outline) - 1, CONTROL_POINTS).astype(int)
        details = [
            Detail(px, trim.closed, trim.kind) for px, trim in zip(trims, panel.trims, strict=True)
        ]
        layers.append(
            Layer(
                outline_px=outline,
                depth=_depth(panel.name, garment.layer, outermost),
                owner=owner,
                panel=panel.name,
                paint=garment.fabric,
                control_cm=panel.outline[pick, :2],
                control_px=outline[pick],
                details=tuple(details),
                dim=0.55 if panel.name == "back" else 1.0,
                px_per_cm=actor.camera.px_per_cm,
            )
        )
    return layers


def _depth(panel: str, layer: int, outermost: bool) -> float:
    """Backs lie behind the body; the outermost sleeves in front of the arms, which are at 60."""
    if panel == "back":
        return 5.0 - layer / 10.0
    if panel.startswith("sleeve"):
        return layer + (35.0 if outermost else 1.0)
    return float(layer)
