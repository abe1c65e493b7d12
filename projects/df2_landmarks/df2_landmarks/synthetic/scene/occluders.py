"""Things in front of the clothes: bags, phones, arms, poles, plants."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from df2_landmarks.synthetic.garment import FloatArray
from df2_landmarks.synthetic.paint import NOBODY, Layer, sample_colour
from df2_landmarks.synthetic.scene.actor import Actor

OCCLUDER_DEPTH = 500.0
MAX_OCCLUDERS = 4
Shapes = list[tuple[FloatArray, bool]]
"""Outlines in cm, and whether it is skin."""


def sample_occluders(rng: np.random.Generator, actors: Sequence[Actor], mean: float) -> list[Layer]:
    """Sample a Poisson number of things, each somewhere on a garment of a random actor."""
    layers: list[Layer] = []
    for _ in range(min(int(rng.poisson(mean)), MAX_OCCLUDERS)):
        actor = actors[int(rng.integers(len(actors)))]
        garment = actor.garments[int(rng.integers(len(actor.garments)))]
        points = garment.pattern.points[:, :2]
        at = rng.uniform(points.min(0) * 0.8, points.max(0) * [0.8, 1.0])
        make = THINGS[int(rng.integers(len(THINGS)))]
        colour = sample_colour(rng)
        for shape, is_skin in make(rng):
            paint = actor.person.skin if is_skin and actor.person else colour
            px = actor.camera(shape + at)
            scale = actor.camera.px_per_cm
            layers.append(Layer(px, OCCLUDER_DEPTH, NOBODY, "thing", paint, px_per_cm=scale))
    return layers


def _bag(rng: np.random.Generator) -> Shapes:
    """Sample a rounded handbag with a handle."""
    half = rng.uniform([7, 6], [11, 9])
    body = _ring(24, 0.5) * half
    arc = _ring(24, 1.0)[12:] * [half[0] * 0.6, half[1] * 1.3] + [0.0, -half[1] * 0.7]
    handle = np.vstack([arc, arc[::-1] * 0.82 + [0.0, -half[1] * 0.1]])
    return [(handle, False), (body, False)]


def _shoulder_bag(rng: np.random.Generator) -> Shapes:
    """Sample a small bag on a strap that crosses the body."""
    sign = float(rng.choice([-1.0, 1.0]))
    end = np.array([sign * rng.uniform(14, 24), -rng.uniform(30, 45)])
    strap, bag = _bar(np.zeros(2), end, 1.1), _ring(24, 0.5) * rng.uniform([6, 4], [9, 7])
    return [(strap, False), (bag, False)]


def _phone(rng: np.random.Generator) -> Shapes:
    """Sample a phone in a hand whose forearm comes from below."""
    half = np.array([3.8, 7.5])
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
    wrist = np.array([rng.uniform(-16, 16), rng.uniform(18, 28)])
    return [(_bar(np.array([0.0, 4.0]), wrist, 3.4), True), (corners, False)]


def _pole(rng: np.random.Generator) -> Shapes:
    """Sample a long thin thing: a pole, a rail, somebody's arm."""
    angle, length = rng.uniform(0, np.pi), rng.uniform(20.0, 50.0)
    along = np.array([np.cos(angle), np.sin(angle)]) * length
    return [(_bar(-along, along, rng.uniform(1.5, 4.0)), False)]


def _plant(rng: np.random.Generator) -> Shapes:
    """Sample a few leaves."""
    leaves = []
    for angle in rng.uniform(-1.2, 1.2, int(rng.integers(2, 5))):
        size = np.array([rng.uniform(1.5, 3.5), rng.uniform(9, 16)])
        leaf = _ring(14, 1.0) * size + [0.0, -size[1]]
        cos, sin = np.cos(angle), np.sin(angle)
        leaves.append((leaf @ np.array([[cos, sin], [-sin, cos]]), False))
    return leaves


THINGS: tuple[Callable[[np.random.Generator], Shapes], ...] = (
    _bag, _shoulder_bag, _phone, _pole, _plant,
)  # fmt: skip


def _ring(count: int, power: float) -> FloatArray:
    """Return (count, 2) of the unit circle (power 1) or a rounded square (power 0.5)."""
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    ring = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    rounded: FloatArray = np.sign(ring) * np.abs(ring) ** power
    return rounded


def _bar(start: FloatArray, end: FloatArray, half: float) -> FloatArray:
    along = (end - start) / np.hypot(*(end - start))
    across = np.array([-along[1], along[0]]) * half
    return np.array([start + across, end + across, end - across, start - across])
