"""The layers of a garment: its panels where the pose and the camera put them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.synthetic.garment import FloatArray, Panel
from df2_landmarks.synthetic.paint import Detail, Layer
from df2_landmarks.synthetic.scene.actor import Actor
from df2_landmarks.synthetic.scene.outfit import Garment
from df2_landmarks.synthetic.scene.placement import Placement

CONTROL_POINTS = 14
INSIDE_DEPTH, FAR_SLEEVE_DEPTH, SLEEVE_STEP = 5.0, 3.0, 35.0
INSIDE_LIGHT, TUBE_LIGHT = 0.55, 0.9


def garment_layers(actor: Actor, placement: Placement, owner: int) -> list[Layer]:
    """Return the layers of one of the actor's garments: its panels, in order, then its tube."""
    panels = placement.pattern.panels[actor.view]
    placed = placement.cm_of_all([(panel.all_points, panel.limb) for panel in panels])
    layers = [
        _panel_layer(actor, placement, panel, actor.camera(cm), owner)
        for panel, cm in zip(panels, placed, strict=True)
    ]
    outline = placement.tube_cm()
    return [*layers, _tube_layer(actor, placement, outline, owner)] if len(outline) else layers


def _panel_layer(
    actor: Actor, placement: Placement, panel: Panel, px: FloatArray, owner: int
) -> Layer:
    outline, *trims = np.split(px, panel.piece_ends)
    control = np.linspace(0, len(outline) - 1, CONTROL_POINTS).astype(int)
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
        control_cm=panel.outline[control, :2],
        control_px=outline[control],
        details=tuple(Detail(p, t.kind) for p, t in zip(trims, panel.trims, strict=True)),
        seams_px=seams,
        dim=INSIDE_LIGHT if panel.name == "inside" else 1.0,
        px_per_cm=actor.camera.px_per_cm,
    )


def _tube_layer(actor: Actor, placement: Placement, outline: FloatArray, owner: int) -> Layer:
    """Return the layer behind the panels of a turned garment: its silhouette."""
    px = actor.camera(outline)
    side = placement.flank[-len(px) // 2 :]
    return Layer(
        outline_px=px,
        depth=placement.garment.layer - 0.5,
        owner=owner,
        panel="tube",
        paint=placement.garment.fabric,
        control_cm=np.vstack([side, side[::-1] * [-1.0, 1.0]]),
        control_px=px,
        dim=TUBE_LIGHT,
        px_per_cm=actor.camera.px_per_cm,
    )


def _visible_runs(outline: FloatArray, away: NDArray[np.bool_]) -> tuple[FloatArray, ...]:
    """Return the parts of a closed outline that face the camera, as open lines."""
    if not away.any():
        return (np.vstack([outline, outline[:1]]),)
    start = int(np.flatnonzero(away)[0])
    order = np.roll(np.arange(len(outline)), -start)
    runs = np.split(order, np.flatnonzero(np.diff(away[order].astype(int))) + 1)
    return tuple(outline[run] for run in runs if not away[run[0]] and len(run) > 1)


def _depth(actor: Actor, garment: Garment, panel: str) -> float:
    """Return the depth of a panel: insides behind the body, outermost sleeves before the arms."""
    if panel == "inside":
        return INSIDE_DEPTH - garment.layer / 10.0
    if not panel.startswith("sleeve"):
        return float(garment.layer)
    if actor.far_side and panel.endswith(actor.far_side):
        return FAR_SLEEVE_DEPTH
    return garment.layer + (SLEEVE_STEP if garment is actor.top else 1.0)
