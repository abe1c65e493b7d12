"""One picture of the data set: what is annotated, and what is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.synthetic.labels import annotate, with_landmark_noise, with_quirk
from df2_landmarks.synthetic.paint import (
    Image,
    Layer,
    background,
    jpeg_quality,
    label_map_of,
    photographed,
    render,
)
from df2_landmarks.synthetic.recipe import (
    KEY_STREAM,
    NOISE_STREAM,
    PAINT_STREAM,
    SLACK_STREAM,
    Recipe,
)
from df2_landmarks.synthetic.scene import PlacedItem, Scene, compose, sample_scene

ATTEMPTS = 20
SHOP_DEGRADE = 0.1
"""Share of the camera's faults that shop photos have."""


@dataclass(frozen=True)
class Plan:
    """Everything about a picture but its pixels.

    Attributes:
        scene: what is in the picture.
        layers, items: the layers of the scene, and its garments.
        label_map: (H, W) 1 + index of the layer that is visible, 0 for the background.
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
    """Plan picture ``index`` (0-based) of a split without drawing it.

    At least one garment is in it.

    Example:
        >>> from df2_landmarks.synthetic import MODERATE, Recipe
        >>> recipe = Recipe(size_px=160, difficulty=MODERATE)
        >>> sorted(plan_picture(recipe, "train", 0).annotation)
        ['item1', 'pair_id', 'source']
    """
    for attempt in range(ATTEMPTS):
        scene = sample_scene(recipe, split, index, attempt)
        layers, items = compose(scene)
        label_map = label_map_of(layers, scene.size)
        slack = recipe.stream(split, SLACK_STREAM, index)
        exact = annotate(scene, layers, items, label_map, slack, recipe.difficulty.box_slack)
        if "item1" in exact:
            annotation = _as_in_files(exact, recipe, split, index, scene.size)
            return Plan(scene, layers, items, label_map, annotation)
    raise AssertionError(f"no garment in picture {index} of {split} in {ATTEMPTS} attempts")


def draw_picture(recipe: Recipe, split: str, index: int) -> Picture:
    """Draw picture ``index`` (0-based) of a split; at least one garment is in it.

    Example:
        >>> from df2_landmarks.synthetic import MODERATE, Recipe
        >>> draw_picture(Recipe(size_px=160, difficulty=MODERATE), "train", 0).image.shape
        (186, 149, 3)
    """
    plan = plan_picture(recipe, split, index)
    rng = recipe.stream(split, PAINT_STREAM, index)
    is_shop = plan.scene.source == "shop"
    degrade = recipe.difficulty.degrade * (SHOP_DEGRADE if is_shop else 1.0)
    wall = background(rng, plan.scene.size, 0.0 if is_shop else recipe.difficulty.clutter)
    image = photographed(rng, render(plan.layers, wall), degrade)
    return Picture(image, plan.annotation, jpeg_quality(rng, degrade))


def _as_in_files(
    annotation: dict[str, Any], recipe: Recipe, split: str, index: int, size: tuple[int, int]
) -> dict[str, Any]:
    """Return an annotation with noise and quirks, if the recipe has them, and keys in any order."""
    if recipe.landmark_noise and split == "train":
        noise = recipe.stream(split, NOISE_STREAM, index)
        annotation = with_landmark_noise(annotation, noise, size)
    order = recipe.stream(split, KEY_STREAM, index).permutation(sorted(annotation))
    annotation = {key: annotation[key] for key in order.tolist()}
    return with_quirk(annotation, index, size) if recipe.quirks else annotation
