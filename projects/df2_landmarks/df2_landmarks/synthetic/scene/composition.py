"""A scene's layers, and its garments with the exact positions of their landmarks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.synthetic.garment import FloatArray
from df2_landmarks.synthetic.paint import Layer
from df2_landmarks.synthetic.scene.actor import Actor
from df2_landmarks.synthetic.scene.body import body_layers
from df2_landmarks.synthetic.scene.clothes import garment_layers
from df2_landmarks.synthetic.scene.outfit import Garment
from df2_landmarks.synthetic.scene.placement import Placement
from df2_landmarks.synthetic.scene.scene import Scene

ACTOR_DEPTH_STEP = 100.0
NO_WEAR, FRONTAL, SIDE_OR_BACK = 1, 2, 3


@dataclass(frozen=True)
class PlacedItem:
    """A garment of a scene before it is annotated.

    Attributes:
        garment: what it is.
        viewpoint: 1 not worn, 2 frontal, 3 side or back.
        landmarks_px: (K, 2) exact positions.
        hidden: (K,) landmarks that the view hides, whatever is drawn.
        hidden_unless_seen: (K,) landmarks of the far sleeve of a turned person.
        layers_of_row: landmark -> indices of the layers of the panels that it lies on.
    """

    garment: Garment
    viewpoint: int
    landmarks_px: FloatArray
    hidden: NDArray[np.bool_]
    hidden_unless_seen: NDArray[np.bool_]
    layers_of_row: tuple[tuple[int, ...], ...]


def compose(scene: Scene) -> tuple[list[Layer], list[PlacedItem]]:
    """Return all layers of a scene, and its garments; a layer's owner is its garment's index.

    Each further actor stands in front of those before, and the occluders in front of all.
    """
    layers: list[Layer] = []
    items: list[PlacedItem] = []
    for number, actor in enumerate(scene.actors):
        actor_layers = body_layers(actor, actor.person) if actor.person else []
        for garment in actor.garments:
            placement = Placement(garment, actor.pose)
            item = _item(actor, placement, first_layer=len(layers) + len(actor_layers))
            actor_layers += garment_layers(actor, placement, owner=len(items))
            items.append(item)
        step = ACTOR_DEPTH_STEP * number
        layers += [replace(layer, depth=layer.depth + step) for layer in actor_layers]
    return [*layers, *scene.occluders], items


def _item(actor: Actor, placement: Placement, first_layer: int) -> PlacedItem:
    pattern = placement.pattern
    layers_of_row: list[list[int]] = [[] for _ in pattern.limbs]
    for layer, panel in enumerate(pattern.panels[actor.view], start=first_layer):
        for row in panel.rows:
            layers_of_row[row].append(layer)
    has_no_panel = np.array([not layers for layers in layers_of_row])
    far_limb = f"arm_{actor.far_side}"
    return PlacedItem(
        garment=placement.garment,
        viewpoint=_viewpoint(actor),
        landmarks_px=actor.camera(placement.landmarks_cm()),
        hidden=has_no_panel | placement.landmarks_away(),
        hidden_unless_seen=np.array([limb == far_limb for limb in pattern.limbs]),
        layers_of_row=tuple(tuple(layers) for layers in layers_of_row),
    )


def _viewpoint(actor: Actor) -> int:
    if actor.person is None:
        return NO_WEAR
    return SIDE_OR_BACK if actor.pose.yaw or actor.pose.back else FRONTAL
