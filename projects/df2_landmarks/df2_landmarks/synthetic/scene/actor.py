"""An outfit in the picture: on a person or spread out, as layers and landmarks in pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.synthetic.garment.blueprint import BACK, FRONT, Panel, blueprint
from df2_landmarks.synthetic.garment.templates import FloatArray
from df2_landmarks.synthetic.paint.layers import Detail, Layer
from df2_landmarks.synthetic.scene.outfit import Garment, kind
from df2_landmarks.synthetic.scene.placement import Placement
from df2_landmarks.synthetic.scene.pose import Pose

CONTROL_POINTS = 14
INSIDE_DEPTH, FAR_DEPTH, SLEEVE_STEP = 5.0, 3.0, 35.0
INSIDE_LIGHT = 0.55


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
class Person:
    """Who wears an outfit: BGR colours of skin and hair, and whether the hair is long."""

    skin: tuple[int, int, int]
    hair: tuple[int, int, int]
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
        upper = [g for g in self.garments if kind(g.class_index) != "bottom"]
        return max(upper, key=lambda garment: garment.layer, default=None)

    @property
    def bottom(self) -> Garment | None:
        lower = [g for g in self.garments if kind(g.class_index) == "bottom"]
        return lower[0] if lower else None

    @property
    def view(self) -> str:
        return BACK if self.pose.back else FRONT

    @property
    def far_side(self) -> str:
        """The side that a turned person hides: "left", "right" or ""."""
        return "" if not self.pose.yaw else "right" if self.pose.yaw > 0 else "left"


def garment_layers(actor: Actor, placement: Placement, owner: int) -> list[Layer]:
    """The panels of one of the actor's garments as layers."""
    panels = blueprint(placement.garment.class_index, actor.view)
    pieces = [(panel.all_points, panel.limb) for panel in panels]
    placed = placement.cm_of_all(pieces)
    layers = [
        _panel_layer(actor, placement, panel, actor.camera(cm), owner)
        for panel, cm in zip(panels, placed, strict=True)
    ]
    outline = placement.tube_cm()
    if len(outline):
        px = actor.camera(outline)
        side = placement.flank[-len(px) // 2 :]
        at_rest = np.vstack([side, side[::-1] * [-1.0, 1.0]])
        tube = Layer(
            outline_px=px,
            depth=placement.garment.layer - 0.5,
            owner=owner,
            panel="tube",
            paint=placement.garment.fabric,
            control_cm=at_rest,
            control_px=px,
            dim=0.9,
            px_per_cm=actor.camera.px_per_cm,
        )
        layers.append(tube)
    return layers


def _panel_layer(
    actor: Actor, placement: Placement, panel: Panel, px: FloatArray, owner: int
) -> Layer:
    outline, *trims = np.split(px, panel.piece_ends)
    pick = np.linspace(0, len(outline) - 1, CONTROL_POINTS).astype(int)
    seams = None
    if actor.pose.yaw:
        seams = _visible_runs(outline, placement.away(panel.outline, panel.limb))
    return Layer(
        outline_px=outline,
        fills=panel.fills,
        depth=_depth(actor, placement.garment, panel.name),
        owner=owner,
        panel=panel.name,
        paint=placement.garment.fabric,
        control_cm=panel.outline[pick, :2],
        control_px=outline[pick],
        details=tuple(Detail(p, t.kind) for p, t in zip(trims, panel.trims, strict=True)),
        seams_px=seams,
        dim=INSIDE_LIGHT if panel.name == "inside" else 1.0,
        px_per_cm=actor.camera.px_per_cm,
    )


def _visible_runs(outline: FloatArray, away: NDArray[np.bool_]) -> tuple[FloatArray, ...]:
    """Parts of a closed outline that face the camera, as open lines."""
    if not away.any():
        return (np.vstack([outline, outline[:1]]),)
    start = int(np.flatnonzero(away)[0])
    order = np.roll(np.arange(len(outline)), -start)
    runs = np.split(order, np.flatnonzero(np.diff(away[order].astype(int))) + 1)
    return tuple(outline[run] for run in runs if not away[run[0]] and len(run) > 1)


def _depth(actor: Actor, garment: Garment, panel: str) -> float:
    """Insides lie behind the body; the outermost sleeves in front of the arms."""
    if panel == "inside":
        return INSIDE_DEPTH - garment.layer / 10.0
    if not panel.startswith("sleeve"):
        return float(garment.layer)
    if actor.far_side and panel.endswith(actor.far_side):
        return FAR_DEPTH
    return garment.layer + (SLEEVE_STEP if garment is actor.top else 1.0)
