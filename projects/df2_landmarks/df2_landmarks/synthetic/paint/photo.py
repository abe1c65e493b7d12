"""What a camera does to a picture: colour cast, blur, noise, compression."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from df2_landmarks.synthetic.paint.fabric import Image

_BANK = 700


def photographed(rng: np.random.Generator, picture: Image, degrade: float) -> Image:
    """Return (H, W, 3) as a camera would deliver it; ``degrade`` 0 leaves it as it is."""
    if degrade == 0.0:
        return picture
    gain = 1.0 + rng.normal(0, 0.12, 3) * degrade
    offset = rng.normal(0, 10) * degrade
    table = np.arange(256)[:, None] * gain + offset
    out = cv2.LUT(picture, table.clip(0, 255).astype(np.uint8)[None])
    if rng.random() < 0.4 * degrade:
        out = cv2.GaussianBlur(out, (0, 0), rng.uniform(0.5, 0.5 + degrade))
    height, width = out.shape[:2]
    strength = rng.uniform(0, 9) * degrade
    y, x = (int(rng.integers(_BANK)) for _ in range(2))
    noise = _noise()[y : y + height, x : x + width]
    if noise.shape[:2] != (height, width):
        noise = cv2.resize(noise, (width, height), interpolation=cv2.INTER_NEAREST)
    return cv2.addWeighted(out, 1.0, noise, strength / 40, -128 * strength / 40)


def jpeg_quality(rng: np.random.Generator, degrade: float) -> int:
    """Sample the quality of the JPEG file, lower in bad photos."""
    return int(92 - 35 * degrade * rng.random())


@cache
def _noise() -> Image:
    """Return (N, N, 3) grey noise of mean 128 and standard deviation 40."""
    rng = np.random.default_rng(1)
    grey = rng.normal(128, 40, (2 * _BANK, 2 * _BANK)).clip(0, 255).astype(np.uint8)
    return cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
