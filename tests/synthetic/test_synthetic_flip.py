"""The flip of a drawn picture is the picture of the flipped scene."""

from dataclasses import replace

import numpy as np
import pytest

from df2_landmarks.synthetic import MODERATE, RICH, Recipe
from df2_landmarks.synthetic.paint import label_map_of, render
from df2_landmarks.synthetic.scene import Camera, compose, sample_scene
from df2_landmarks.taxonomy import DEEPFASHION2

RECIPES = [Recipe(size_px=240, difficulty=d, seed=3) for d in (MODERATE, RICH)]


def mirrored_pose(pose):
    waves = pose.waves * [-1, 1, 1, 1, 1] + [0, 0, np.pi, 0, 0]
    pairs = {name: getattr(pose, name)[::-1] for name in ("arm", "elbow", "leg", "knee")}
    return replace(pose, waves=waves, yaw=-pose.yaw, **pairs)


def mirrored_scene(scene):
    """The scene as a mirror would show it, with the same garments facing the same way."""
    width = scene.size[1]
    mirror = np.array([[-1.0, 0, width - 1], [0, 1, 0], [0, 0, 1]])
    actors = tuple(
        replace(
            actor,
            pose=mirrored_pose(actor.pose),
            camera=Camera(mirror @ actor.camera.matrix @ np.diag([-1.0, 1.0, 1.0])),
        )
        for actor in scene.actors
    )
    occluders = tuple(
        replace(layer, outline_px=layer.outline_px * [-1, 1] + [width - 1, 0])
        for layer in scene.occluders
    )
    return replace(scene, actors=actors, occluders=occluders)


def plain(layers):
    """The layers in flat colours: a fabric's grain does not flip with the picture."""
    return [
        replace(layer, paint=layer.paint if isinstance(layer.paint, tuple) else layer.paint.base)
        for layer in layers
    ]


@pytest.mark.parametrize("recipe", RECIPES, ids=["moderate", "rich"])
def test_flip_of_the_picture_is_the_picture_of_the_flip(recipe):
    for index in range(40):
        scene = sample_scene(recipe, "train", index)
        flip = mirrored_scene(scene)
        layers, items = compose(scene)
        flipped_layers, flipped_items = compose(flip)
        for item, other in zip(items, flipped_items, strict=True):
            category = item.garment.pattern.category
            swap = DEEPFASHION2.flip_indices[category.id - 1, : category.num_landmarks]
            expected = item.landmarks_px[swap] * [-1, 1] + [scene.size[1] - 1, 0]
            np.testing.assert_allclose(other.landmarks_px, expected, atol=1e-6)
            np.testing.assert_array_equal(other.hidden, item.hidden[swap])
        owners = np.array([*(layer.owner for layer in layers), -1])
        seen = owners[label_map_of(layers, scene.size).astype(int) - 1]
        flipped_seen = owners[label_map_of(flipped_layers, scene.size).astype(int) - 1]
        assert (seen[:, ::-1] == flipped_seen).mean() > 0.985
        wall = np.full((*scene.size, 3), 200, np.uint8)
        picture = render(plain(layers), wall)[:, ::-1].astype(int)
        other_picture = render(plain(flipped_layers), wall).astype(int)
        assert (np.abs(picture - other_picture).max(-1) <= 40).mean() > 0.96
