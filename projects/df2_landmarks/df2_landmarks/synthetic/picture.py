"""One picture of the data set: scene -> image and annotation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.synthetic import labels as rules
from df2_landmarks.synthetic.actor import Actor, garment_layers
from df2_landmarks.synthetic.background import background
from df2_landmarks.synthetic.blueprint import blueprint
from df2_landmarks.synthetic.body import body_layers
from df2_landmarks.synthetic.difficulty import Difficulty
from df2_landmarks.synthetic.fabric import Image
from df2_landmarks.synthetic.layers import Layer
from df2_landmarks.synthetic.outfit import Garment
from df2_landmarks.synthetic.photo import jpeg_quality, photographed
from df2_landmarks.synthetic.placement import Placement
from df2_landmarks.synthetic.render import render
from df2_landmarks.synthetic.scene import Scene, sample_scene
from df2_landmarks.synthetic.templates import FloatArray

ATTEMPTS = 20
SHOP_DEGRADE = 0.1
"""Share of the camera's faults that shop photos have."""


@dataclass(frozen=True)
class DrawnItem:
    """A garment of a picture before it is annotated.

    Attributes:
        garment: what it is.
        viewpoint: 1 not worn, 2 frontal, 3 side or back.
        landmarks_px: (K, 2) exact positions.
        hidden: (K,) landmarks that the view hides, whatever is drawn.
        hidden_unless_seen: (K,) landmarks of the far sleeve of a turned person.
        panel_layers: panel name -> index of its layer.
        view: "front" or "back".
    """

    garment: Garment
    viewpoint: int
    landmarks_px: FloatArray
    hidden: NDArray[np.bool_]
    hidden_unless_seen: NDArray[np.bool_]
    panel_layers: dict[str, int]
    view: str


def compose(scene: Scene) -> tuple[list[Layer], list[DrawnItem]]:
    """All layers of a scene, and its garments; a layer's owner is the index of its garment."""
    layers: list[Layer] = []
    items: list[DrawnItem] = []
    for number, actor in enumerate(scene.actors):
        own: list[Layer] = body_layers(actor, actor.person) if actor.person else []
        for garment in actor.garments:
            placement = Placement(garment, actor.pose)
            panels = garment_layers(actor, placement, owner=len(items))
            items.append(_item(actor, placement, panels, len(layers) + len(own)))
            own += panels
        layers += [_behind(layer, number) for layer in own]
    return [*layers, *scene.occluders], items


def _item(actor: Actor, placement: Placement, panels: list[Layer], first: int) -> DrawnItem:
    garment = placement.garment
    on_panels = {row for p in blueprint(garment.class_index, actor.view) for row in p.rows}
    count = len(placement.limbs)
    not_cut = np.array([row not in on_panels for row in range(count)])
    far = f"arm_{actor.far_side}"
    viewpoint = rules.FRONTAL if actor.person else rules.NO_WEAR
    if actor.pose.yaw or actor.pose.back:
        viewpoint = rules.SIDE_OR_BACK
    return DrawnItem(
        garment=garment,
        viewpoint=viewpoint,
        landmarks_px=actor.camera(placement.landmarks_cm()),
        hidden=not_cut | placement.landmarks_away(),
        hidden_unless_seen=np.array([limb == far for limb in placement.limbs]),
        panel_layers={layer.panel: first + i for i, layer in enumerate(panels)},
        view=actor.view,
    )


def _behind(layer: Layer, actor_number: int) -> Layer:
    """Each further actor stands in front of the ones before."""
    if not actor_number:
        return layer
    return Layer(**{**layer.__dict__, "depth": layer.depth + 100.0 * actor_number})


def annotate(
    scene: Scene, layers: list[Layer], items: list[DrawnItem], label_map: NDArray[np.uint8],
    *, rng: np.random.Generator, box_slack: float,
) -> dict[str, Any]:  # fmt: skip
    """The annotation of a drawn scene in the data set's raw form; no items, no ``item1``."""
    owners = np.array([layer.owner for layer in layers])
    record: dict[str, Any] = {"source": scene.source, "pair_id": scene.pair_id}
    count = 0
    for index, item in enumerate(items):
        slack = rng.uniform(0.0, box_slack, 4) if box_slack else np.zeros(4)
        mask = rules.owned_mask(label_map, owners, index)
        if np.count_nonzero(mask) < rules.MIN_SHARE * mask.size:
            continue
        table = rules.layers_of_rows(item.garment.class_index, item.view, item.panel_layers)
        xy = np.floor(item.landmarks_px + 0.5).astype(np.int64)
        visibility = rules.seen_landmarks(xy, label_map, table)
        outside = int((visibility == 0).sum())
        visibility[item.hidden | (item.hidden_unless_seen & (visibility == 1))] = 0
        if np.count_nonzero(visibility) < rules.MIN_LANDMARKS:
            continue
        xy[visibility == 0] = 0
        count += 1
        record[f"item{count}"] = rules.item_record(
            item.garment.class_index,
            mask,
            np.column_stack([xy, visibility]),
            outside=outside,
            slack=slack,
            style=item.garment.style,
            viewpoint=item.viewpoint,
        )
    return record


@dataclass(frozen=True)
class Picture:
    """(H, W, 3) BGR image, raw annotation, and the quality to save it with."""

    image: Image
    annotation: dict[str, Any]
    jpeg_quality: int


def draw_picture(
    seed: int, split: str, index: int, *, difficulty: Difficulty, size_px: int, balance: str
) -> Picture:
    """Picture ``index`` (0-based) of a split; at least one garment is in it."""
    for attempt in range(ATTEMPTS):
        scene = sample_scene(
            seed,
            split,
            index,
            difficulty=difficulty,
            size_px=size_px,
            balance=balance,
            attempt=attempt,
        )
        rng = np.random.default_rng(scene.seed)
        layers, items = compose(scene)
        is_shop = scene.source == "shop"
        wall = background(rng, scene.size, 0.0 if is_shop else difficulty.clutter)
        picture, label_map = render(layers, wall)
        record = annotate(scene, layers, items, label_map, rng=rng, box_slack=difficulty.box_slack)
        if "item1" in record:
            degrade = difficulty.degrade * (SHOP_DEGRADE if is_shop else 1.0)
            image = photographed(rng, picture, degrade)
            keys = rng.permutation(sorted(record)).tolist()
            annotation = {key: record[key] for key in keys}
            return Picture(image, annotation, jpeg_quality(rng, degrade))
    raise AssertionError(f"no garment in picture {index} of {split} in {ATTEMPTS} attempts")
