"""Scenes: which outfit stands where in which photo. A scene is numbers only, nothing is drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from df2_landmarks.synthetic.paint import Layer
from df2_landmarks.synthetic.recipe import (
    ORDER_STREAM,
    OUTFIT_STREAM,
    SCENE_STREAM,
    Difficulty,
    Recipe,
)
from df2_landmarks.synthetic.scene.actor import Actor, Camera, Person
from df2_landmarks.synthetic.scene.occluders import sample_occluders
from df2_landmarks.synthetic.scene.outfit import (
    CYCLE_LENGTH,
    Garment,
    leading_pattern,
    sample_outfit,
    sample_pattern,
)
from df2_landmarks.synthetic.scene.placement import Placement
from df2_landmarks.synthetic.scene.pose import Pose, sample_pose

MAX_ITEMS = 4
Region = tuple[float, float, float, float]
"""Centre x, y, width and height of an actor's part of the picture, in px."""
SKINS = ((190, 210, 235), (150, 180, 225), (120, 150, 205), (80, 115, 170), (50, 75, 120))
HAIRS = ((25, 25, 30), (40, 60, 90), (60, 110, 160), (120, 180, 220), (40, 40, 110))


@dataclass(frozen=True)
class Scene:
    """A photo to be.

    Attributes:
        size: (height, width) in px.
        source: "shop" or "user".
        pair_id: shared by the pictures that show the same outfit.
        actors: those at the back first.
        occluders: layers in front of everything.
    """

    size: tuple[int, int]
    source: str
    pair_id: int
    actors: tuple[Actor, ...]
    occluders: tuple[Layer, ...]


def sample_scene(recipe: Recipe, split: str, index: int, attempt: int = 0) -> Scene:
    """Sample the scene of picture ``index`` (0-based); it depends on these arguments alone."""
    d = recipe.difficulty
    group, rank = _group(index, d.group_size)
    rng = recipe.stream(split, SCENE_STREAM, index, attempt)
    outfits = [_outfit_of_group(recipe, split, group)]
    if rng.random() < d.second_actor:
        room = MAX_ITEMS - len(outfits[0])
        outfits.append(_stranger(rng, recipe)[:room])
    size = _picture_size(rng, d, recipe.size_px, len(outfits))
    regions = _regions(rng, size, len(outfits))
    actors = [_actor(rng, d, *pair) for pair in zip(outfits, regions, strict=True)]
    return Scene(
        size=size,
        source="shop" if rank == 0 else "user",
        pair_id=group + 1,
        actors=tuple(actors),
        occluders=tuple(sample_occluders(rng, actors, d.occluders)),
    )


def _group(index: int, group_size: int) -> tuple[int, int]:
    """Return the pair group of a picture and its rank in it; neighbours have different groups."""
    block, place = divmod(index, CYCLE_LENGTH * group_size)
    rank, member = divmod(place, CYCLE_LENGTH)
    return block * CYCLE_LENGTH + member, rank


def _outfit_of_group(recipe: Recipe, split: str, group: int) -> tuple[Garment, ...]:
    """Sample the outfit that all pictures of a pair group show."""
    d = recipe.difficulty
    cycle, place = divmod(group, CYCLE_LENGTH)
    lead = leading_pattern(recipe.stream(split, ORDER_STREAM, cycle), recipe.balance, place)
    rng = recipe.stream(split, OUTFIT_STREAM, group)
    return sample_outfit(rng, lead, balance=recipe.balance, partner=d.partner, spread=d.shape)


def _stranger(rng: np.random.Generator, recipe: Recipe) -> tuple[Garment, ...]:
    """Sample an outfit that appears in this picture only: style 0."""
    d, balance = recipe.difficulty, recipe.balance
    lead = sample_pattern(rng, balance)
    outfit = sample_outfit(rng, lead, balance=balance, partner=d.partner / 2, spread=d.shape)
    return tuple(replace(garment, style=0) for garment in outfit)


def _picture_size(
    rng: np.random.Generator, d: Difficulty, size_px: int, actors: int
) -> tuple[int, int]:
    short = round(size_px * rng.uniform(1.0 - d.size_spread, 1.0 + d.size_spread))
    aspect = float(rng.choice(d.aspects))
    if actors > 1:
        aspect = min(aspect, 1.0 / aspect)
    if aspect >= 1.0:
        return round(short * aspect), short
    return short, round(short / aspect)


def _regions(rng: np.random.Generator, size: tuple[int, int], count: int) -> list[Region]:
    """Return the region of each actor."""
    height, width = size
    order = rng.permutation(count)
    return [(width * (i + 0.5) / count, height / 2, width / count, height) for i in order]


def _actor(
    rng: np.random.Generator, d: Difficulty, garments: tuple[Garment, ...], region: Region
) -> Actor:
    worn = bool(rng.random() < d.worn)
    pose = sample_pose(rng, d, worn=worn)
    skin, hair = SKINS[int(rng.integers(len(SKINS)))], HAIRS[int(rng.integers(len(HAIRS)))]
    person = Person(skin, hair, bool(rng.random() < d.long_hair))
    camera = _frame(rng, d, garments, pose, region)
    return Actor(garments, pose, person if worn else None, camera)


def _frame(
    rng: np.random.Generator,
    d: Difficulty,
    garments: tuple[Garment, ...],
    pose: Pose,
    region: Region,
) -> Camera:
    """Sample the camera: how much of their region the garments fill, and from where."""
    cm = np.vstack([Placement(garment, pose).landmarks_cm() for garment in garments])
    centre = (cm.min(0) + cm.max(0)) / 2
    angle = np.radians(rng.uniform(-d.tilt, d.tilt))
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]])
    turned = (cm - centre) @ turn.T
    middle = (turned.min(0) + turned.max(0)) / 2
    extent = turned.max(0) - turned.min(0)
    x, y, width, height = region
    fit = min(width / extent[0], height / extent[1])
    scale = fit * rng.uniform(*d.fill)
    shift = rng.uniform(-d.off_centre, d.off_centre, 2) * [width, height]
    slope = rng.uniform(-0.5, 0.5, 2) * d.perspective / (extent.max() / 2)
    to_origin = np.eye(3)
    to_origin[:2, :2], to_origin[:2, 2] = turn, -turn @ centre - middle
    perspective = np.eye(3)
    perspective[2, :2] = slope
    to_picture = np.diag([scale, scale, 1.0])
    to_picture[:2, 2] = np.array([x, y]) + shift
    return Camera(to_picture @ perspective @ to_origin)
