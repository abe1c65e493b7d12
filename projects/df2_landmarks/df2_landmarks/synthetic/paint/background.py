"""What is behind the clothes: a plain studio wall, or a cluttered room."""

from __future__ import annotations

import cv2
import numpy as np

from df2_landmarks.synthetic.paint.fabric import Image, sample_colour

COARSE = 4
"""Backgrounds are drawn this much smaller: they are out of focus."""


def background(rng: np.random.Generator, size: tuple[int, int], clutter: float) -> Image:
    """Paint what is behind the clothes.

    Args:
        size: (height, width).
        clutter: 0 for a studio, up to 1 for a full room.

    Returns:
        (H, W, 3) BGR.
    """
    height, width = size
    if clutter == 0.0:
        tone = np.array([[rng.uniform(200, 252)] * 3], np.float64) + rng.normal(0, 4, 3)
        spread = 6.0
    else:
        tone, spread = np.array([sample_colour(rng)], np.float64), 22.0
    corners = tone + rng.normal(0, spread, (2, 2, 1)) + rng.normal(0, spread / 4, (2, 2, 3))
    small = (-(-width // COARSE), -(-height // COARSE))
    wall = cv2.resize(corners.clip(0, 255).astype(np.float32), small).astype(np.uint8)
    if clutter and rng.random() < 0.6:
        _surface(rng, wall)
    for _ in range(int(rng.poisson(12 * clutter))):
        _thing(rng, wall)
    return cv2.resize(wall, (width, height), interpolation=cv2.INTER_LINEAR)


def _surface(rng: np.random.Generator, wall: Image) -> None:
    """Draw a floor below a horizon, or boards and tiles all over. In place."""
    height, width = wall.shape[:2]
    colour = sample_colour(rng)
    if rng.random() < 0.5:
        horizon = int(height * rng.uniform(0.55, 0.9))
        cv2.rectangle(wall, (0, horizon), (width, height), colour, -1)
        return
    step = int(rng.integers(8, 30))
    for x in range(int(rng.integers(step)), width, step):
        cv2.line(wall, (x, 0), (x, height), colour, 1)
    for y in range(int(rng.integers(step)), height, step * int(rng.integers(1, 4))):
        cv2.line(wall, (0, y), (width, y), colour, 1)


def _thing(rng: np.random.Generator, wall: Image) -> None:
    """Draw a box, a ball or a beam. In place."""
    height, width = wall.shape[:2]
    colour = sample_colour(rng)
    x, y = int(rng.integers(width)), int(rng.integers(height))
    a, b = (int(v) for v in rng.integers(3, max(6, min(height, width) // 3), 2))
    which = int(rng.integers(3))
    if which == 0:
        cv2.rectangle(wall, (x, y), (x + a, y + b), colour, -1)
    elif which == 1:
        cv2.ellipse(wall, (x, y), (a, b), float(rng.uniform(0, 180)), 0, 360, colour, -1)
    else:
        end = (int(rng.integers(width)), int(rng.integers(height)))
        cv2.line(wall, (x, y), end, colour, int(rng.integers(1, 5)), cv2.LINE_AA)
