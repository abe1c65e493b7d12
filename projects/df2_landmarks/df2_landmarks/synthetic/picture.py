"""One picture of the data set: what is annotated, and what is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.synthetic.labels import labels as rules
from df2_landmarks.synthetic.labels.noise import with_landmark_noise
from df2_landmarks.synthetic.labels.quirks import with_quirk
from df2_landmarks.synthetic.paint.background import background
from df2_landmarks.synthetic.paint.fabric import Image
from df2_landmarks.synthetic.paint.layers import Layer
from df2_landmarks.synthetic.paint.photo import jpeg_quality, photographed
from df2_landmarks.synthetic.paint.render import label_map_of, render
from df2_landmarks.synthetic.scene.composition import PlacedItem, compose
from df2_landmarks.synthetic.scene.scene import Recipe, Scene, sample_scene, stream

ATTEMPTS = 20
SHOP_DEGRADE = 0.1
"""Share of the camera's faults that shop photos have."""
SLACK_STREAM, KEY_STREAM, PAINT_STREAM, NOISE_STREAM = 10, 11, 12, 13


@dataclass(frozen=True)
class Plan:
    """Everything about a picture but its pixels.

    Attributes:
        layers, items: what is in the scene.
        label_map: (H, W) 1 + index of the layer that one sees, 0 for the background.
        annotation: in the data set's raw form.
    """

    scene: Scene
    layers: list[Layer]
    items: list[PlacedItem]
    label_map: NDArray[np.uint8]
    annotation: dict[str, Any]


@dataclass(frozen=True)
class Picture:
    """(H, W, 3) BGR image, raw annotation, and the quality to save it with."""

    image: Image
    annotation: dict[str, Any]
    jpeg_quality: int


def plan_picture(recipe: Recipe, split: str, index: int) -> Plan:
    """Picture ``index`` (0-based) of a split, not drawn yet; at least one garment is in it."""
    for attempt in range(ATTEMPTS):
        scene = sample_scene(recipe, split, index, attempt)
        layers, items = compose(scene)
        label_map = label_map_of(layers, scene.size)
        rng = stream(recipe.seed, split, SLACK_STREAM, index)
        record = _annotate(scene, layers, items, label_map, rng, recipe.difficulty.box_slack)
        if "item1" in record:
            if recipe.landmark_noise and split == "train":
                noise = stream(recipe.seed, split, NOISE_STREAM, index)
                record = with_landmark_noise(record, noise, scene.size)
            order = stream(recipe.seed, split, KEY_STREAM, index).permutation(sorted(record))
            record = {key: record[key] for key in order.tolist()}
            if recipe.quirks:
                record = with_quirk(record, index, scene.size)
            return Plan(scene, layers, items, label_map, record)
    raise AssertionError(f"no garment in picture {index} of {split} in {ATTEMPTS} attempts")


def draw_picture(recipe: Recipe, split: str, index: int) -> Picture:
    """Picture ``index`` (0-based) of a split; at least one garment is in it."""
    plan = plan_picture(recipe, split, index)
    rng = stream(recipe.seed, split, PAINT_STREAM, index)
    is_shop = plan.scene.source == "shop"
    degrade = recipe.difficulty.degrade * (SHOP_DEGRADE if is_shop else 1.0)
    wall = background(rng, plan.scene.size, 0.0 if is_shop else recipe.difficulty.clutter)
    image = photographed(rng, render(plan.layers, wall), degrade)
    return Picture(image, plan.annotation, jpeg_quality(rng, degrade))


def _annotate(
    scene: Scene,
    layers: list[Layer],
    items: list[PlacedItem],
    label_map: NDArray[np.uint8],
    rng: np.random.Generator,
    box_slack: float,
) -> dict[str, Any]:
    """The annotation in the data set's raw form; no ``item1`` when no garment can be seen."""
    owners = np.array([layer.owner for layer in layers])
    depths = np.array([layer.depth for layer in layers])
    records = []
    for index, item in enumerate(items):
        slack = rng.uniform(0.0, box_slack, 4)
        mask = rules.owned_mask(label_map, owners, index)
        landmarks, outside = rules.labelled(item, depths, label_map)
        if not rules.is_annotated(mask, landmarks):
            continue
        records.append(rules.item_record(item, mask, landmarks, outside=outside, slack=slack))
    numbered = {f"item{number}": record for number, record in enumerate(records, start=1)}
    return {"source": scene.source, "pair_id": scene.pair_id, **numbered}
