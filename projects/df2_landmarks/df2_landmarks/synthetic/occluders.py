"""Things in front of the clothes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from df2_landmarks.synthetic.actor import Actor
from df2_landmarks.synthetic.layers import NOBODY, Layer
from df2_landmarks.synthetic.templates import FloatArray

OCCLUDER_DEPTH = 200.0


def sample_occluders(rng: np.random.Generator, actors: Sequence[Actor], mean: float) -> list[Layer]:
    """A Poisson number of things, each somewhere on the clothes of a random actor."""
    layers = []
    for _ in range(min(int(rng.poisson(mean)), 4)):
        actor = actors[int(rng.integers(len(actors)))]
        at = np.array([rng.uniform(-22, 22), rng.uniform(15, 90)])
        shape = _bag(rng) if rng.random() < 0.6 else _pole(rng)
        colour = tuple(int(v) for v in rng.integers(20, 235, 3))
        px = actor.camera(shape + at)
        layers.append(
            Layer(px, OCCLUDER_DEPTH, NOBODY, "thing", (colour[0], colour[1], colour[2]),
                  px_per_cm=actor.camera.px_per_cm)
        )  # fmt: skip
    return layers


def _bag(rng: np.random.Generator) -> FloatArray:
    """A rounded handbag, cm."""
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ring = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    rounded = np.sign(ring) * np.abs(ring) ** 0.5
    return rounded * rng.uniform([7, 6], [12, 10])


def _pole(rng: np.random.Generator) -> FloatArray:
    """A long thin thing: a strap, a pole, somebody's arm."""
    angle, half, length = rng.uniform(0, np.pi), rng.uniform(1.5, 4.0), rng.uniform(20.0, 50.0)
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    ends = [along * length + across * half, along * length - across * half]
    return np.array([*ends, *(-point for point in ends)])
