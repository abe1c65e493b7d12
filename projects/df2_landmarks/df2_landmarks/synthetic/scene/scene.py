"""Scenes: which outfit stands where in which photo. A scene is numbers only, nothing is drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from df2_landmarks.synthetic.difficulty import Difficulty
from df2_landmarks.synthetic.garment.templates import FloatArray
from df2_landmarks.synthetic.paint.layers import Layer
from df2_landmarks.synthetic.scene.actor import Actor, Camera, Person
from df2_landmarks.synthetic.scene.occluders import sample_occluders
from df2_landmarks.synthetic.scene.outfit import (
    Garment,
    cycle_length,
    lead_class,
    lead_weights,
    sample_outfit,
)
from df2_landmarks.synthetic.scene.placement import Placement
from df2_landmarks.synthetic.scene.pose import Pose, sample_pose
from df2_landmarks.taxonomy import LAYOUT

SPLITS = ("train", "validation", "test")
MAX_ITEMS = 4
SCENE_STREAM, OUTFIT_STREAM, ORDER_STREAM = 1, 2, 3
SKINS = ((190, 210, 235), (150, 180, 225), (120, 150, 205), (80, 115, 170), (50, 75, 120))
HAIRS = ((25, 25, 30), (40, 60, 90), (60, 110, 160), (120, 180, 220), (40, 40, 110))


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides what a picture of a given split and number is.

    Attributes:
        seed: of everything.
        size_px: nominal short side of the pictures.
        balance: "uniform" over the categories, or "real" for the published long tail.
        difficulty: what the scenes are like.
        landmark_noise: the training labels differ from what was drawn, as annotators do.
        quirks: the annotations have the oddities of the real files.
    """

    seed: int = 0
    size_px: int
    balance: str = "uniform"
    difficulty: Difficulty
    landmark_noise: bool = False
    quirks: bool = False


@dataclass(frozen=True)
class Scene:
    """A photo to be.

    Attributes:
        size: (height, width) in px.
        source: "shop" or "user".
        pair_id: shared by the pictures that show the same outfit.
        actors: the ones at the back first.
        occluders: layers in front of everything.
    """

    size: tuple[int, int]
    source: str
    pair_id: int
    actors: tuple[Actor, ...]
    occluders: tuple[Layer, ...]


def stream(seed: int, split: str, *path: int) -> np.random.Generator:
    """The random numbers of one thing of one split, whatever else is drawn before."""
    return np.random.default_rng(np.random.SeedSequence([seed, SPLITS.index(split), *path]))


def sample_scene(recipe: Recipe, split: str, index: int, attempt: int = 0) -> Scene:
    """The scene of picture ``index`` (0-based); it depends on nothing but these arguments."""
    d = recipe.difficulty
    group, rank = _group(index, d.group_size)
    rng = stream(recipe.seed, split, SCENE_STREAM, index, attempt)
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
    """Pair group of a picture, and its rank in it; neighbours belong to different groups."""
    members = cycle_length()
    block, place = divmod(index, members * group_size)
    rank, member = divmod(place, members)
    return block * members + member, rank


def _outfit_of_group(recipe: Recipe, split: str, group: int) -> tuple[Garment, ...]:
    """The outfit that all pictures of a pair group show."""
    d = recipe.difficulty
    cycle, place = divmod(group, cycle_length())
    order = stream(recipe.seed, split, ORDER_STREAM, cycle)
    lead = lead_class(order, recipe.balance, place)
    rng = stream(recipe.seed, split, OUTFIT_STREAM, group)
    return sample_outfit(rng, lead, balance=recipe.balance, partner=d.partner, spread=d.shape)


def _stranger(rng: np.random.Generator, recipe: Recipe) -> tuple[Garment, ...]:
    """An outfit that appears in this picture only: style 0."""
    d, balance = recipe.difficulty, recipe.balance
    lead = int(rng.choice(LAYOUT.num_categories, p=lead_weights(balance)))
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


def _regions(
    rng: np.random.Generator, size: tuple[int, int], count: int
) -> list[tuple[float, float, float, float]]:
    """Centre x, y, width and height of the region of each actor."""
    height, width = size
    order = rng.permutation(count)
    return [(width * (i + 0.5) / count, height / 2, width / count, height) for i in order]


def _actor(
    rng: np.random.Generator,
    d: Difficulty,
    garments: tuple[Garment, ...],
    region: tuple[float, float, float, float],
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
    region: tuple[float, float, float, float],
) -> Camera:
    """The camera that makes the garments fill their region as much as drawn."""
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
    return Camera(_homography(centre, turn, middle, slope, scale, np.array([x, y]) + shift))


def _homography(
    centre: FloatArray,
    turn: FloatArray,
    middle: FloatArray,
    slope: FloatArray,
    scale: float,
    target: FloatArray,
) -> FloatArray:
    place = np.eye(3)
    place[:2, :2], place[:2, 2] = turn, -turn @ centre - middle
    view = np.eye(3)
    view[2, :2] = slope
    out = np.diag([scale, scale, 1.0])
    out[:2, 2] = target
    return out @ view @ place
