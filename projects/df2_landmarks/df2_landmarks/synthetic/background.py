"""What is behind the clothes: a plain studio wall, or a cluttered room."""

from __future__ import annotations

import cv2
import numpy as np

from df2_landmarks.synthetic.fabric import Image

COARSE = 4
"""Backgrounds are drawn this much smaller: they are out of focus."""


def background(rng: np.random.Generator, size: tuple[int, int], clutter: float) -> Image:
    """(H, W, 3) BGR.

    Args:
        size: (height, width).
        clutter: 0 for a studio, up to 1 for a full room.
    """
    height, width = size
    corners = rng.uniform(60, 250, 3) + rng.normal(0, 12, (2, 2, 3))
    if clutter == 0.0:
        corners = rng.uniform(205, 252) + rng.normal(0, 5, (2, 2, 3))
    small = (-(-width // COARSE), -(-height // COARSE))
    wall = cv2.resize(corners.clip(0, 255).astype(np.float32), small).astype(np.uint8)
    for _ in range(int(rng.poisson(14 * clutter))):
        _thing(rng, wall)
    return cv2.resize(wall, (width, height), interpolation=cv2.INTER_LINEAR)


def _thing(rng: np.random.Generator, wall: Image) -> None:
    """A box, a ball or a beam. In place."""
    height, width = wall.shape[:2]
    colour = [int(v) for v in rng.integers(20, 250, 3)]
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
