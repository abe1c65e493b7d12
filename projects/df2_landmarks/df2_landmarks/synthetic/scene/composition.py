"""A scene's layers, and its garments with the exact positions of their landmarks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.synthetic.garment.blueprint import blueprint
from df2_landmarks.synthetic.garment.templates import FloatArray
from df2_landmarks.synthetic.paint.layers import Layer
from df2_landmarks.synthetic.scene.actor import Actor, garment_layers
from df2_landmarks.synthetic.scene.body import body_layers
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
    """All layers of a scene, and its garments; a layer's owner is the index of its garment.

    Each further actor stands in front of the ones before, and the occluders in front of all.
    """
    layers: list[Layer] = []
    items: list[PlacedItem] = []
    for number, actor in enumerate(scene.actors):
        own: list[Layer] = body_layers(actor, actor.person) if actor.person else []
        for garment in actor.garments:
            placement = Placement(garment, actor.pose)
            panels = garment_layers(actor, placement, owner=len(items))
            items.append(_item(actor, placement, len(layers) + len(own)))
            own += panels
        step = ACTOR_DEPTH_STEP * number
        layers += [replace(layer, depth=layer.depth + step) if step else layer for layer in own]
    return [*layers, *scene.occluders], items


def _item(actor: Actor, placement: Placement, first_layer: int) -> PlacedItem:
    garment = placement.garment
    rows: list[list[int]] = [[] for _ in placement.limbs]
    for offset, panel in enumerate(blueprint(garment.class_index, actor.view)):
        for row in panel.rows:
            rows[row].append(first_layer + offset)
    far = f"arm_{actor.far_side}"
    return PlacedItem(
        garment=garment,
        viewpoint=_viewpoint(actor),
        landmarks_px=actor.camera(placement.landmarks_cm()),
        hidden=np.array([not own for own in rows]) | placement.landmarks_away(),
        hidden_unless_seen=np.array([limb == far for limb in placement.limbs]),
        layers_of_row=tuple(tuple(own) for own in rows),
    )


def _viewpoint(actor: Actor) -> int:
    if actor.person is None:
        return NO_WEAR
    return SIDE_OR_BACK if actor.pose.yaw or actor.pose.back else FRONTAL
