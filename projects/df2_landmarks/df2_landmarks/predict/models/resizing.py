"""A picture in the size that a model takes; the same for every runner.

Plain Pillow, so that it needs no torch. Training and evaluation use the same filter by torch
(`data.resize`); values differ by 1 at most, in rounding.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def resized(image: NDArray[np.uint8], min_size_px: int, max_size_px: int) -> NDArray[np.uint8]:
    """Resize a picture as Detectron2's `ResizeShortestEdge` does.

    A picture longer than `max_size_px` times its short side is squashed before, so that no side
    becomes 0.

    Args:
        image: (H, W, 3).
        min_size_px: of the short side; 0 leaves the size.
        max_size_px: the long side is at most so long; the short side becomes shorter for it.

    Returns:
        (height, width, 3).

    Example:
        >>> import numpy as np
        >>> resized(np.zeros((600, 300, 3), np.uint8), 200, 320).shape
        (320, 160, 3)
    """
    image = squashed(image, max_size_px)
    if min_size_px == 0:
        return image
    height, width = image.shape[:2]
    scale = min_size_px * 1.0 / min(height, width)
    if height < width:
        new_height, new_width = float(min_size_px), scale * width
    else:
        new_height, new_width = scale * height, float(min_size_px)
    longest = max(new_height, new_width)
    if longest > max_size_px:
        scale = max_size_px * 1.0 / longest
        new_height, new_width = new_height * scale, new_width * scale
    return _resized_to(image, int(new_height + 0.5), int(new_width + 0.5))


def squashed(image: NDArray[np.uint8], max_size_px: int) -> NDArray[np.uint8]:
    """Return a thin (H, W, 3) picture squashed, so that no side becomes 0 when it is resized."""
    height, width = image.shape[:2]
    longest = max_size_px * min(height, width)
    if max(height, width) <= longest:
        return image
    return _resized_to(image, min(height, longest), min(width, longest))


def _resized_to(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    resample = Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(image).resize((width, height), resample))
