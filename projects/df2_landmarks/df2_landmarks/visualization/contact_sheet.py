"""A grid of pairs of pictures: ground truth beside prediction."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

BACKGROUND = 255
HEADING_PX = 22


def contact_sheet(
    pairs: Sequence[tuple[Image, Image]],
    *,
    headings: tuple[str, str] = ("ground truth", "prediction"),
    num_columns: int = 3,
    tile_px: int = 240,
) -> Image:
    """Place pairs of pictures in a grid, each scaled to fit its tile.

    Args:
        pairs: (left, right) BGR pictures of any size.
        headings: written above the left and the right pictures.
        num_columns: pairs beside each other.
        tile_px: side of the square that a picture is fitted into.

    Returns:
        (H, W, 3) uint8 BGR.

    Raises:
        ValueError: there are no pairs.
    """
    if not pairs:
        raise ValueError("a contact sheet needs at least one pair of pictures, but got none")
    cells = [np.hstack([_fit(picture, tile_px) for picture in pair]) for pair in pairs]
    cells += [np.full_like(cells[0], BACKGROUND)] * (-len(cells) % num_columns)
    rows = [np.hstack(cells[i : i + num_columns]) for i in range(0, len(cells), num_columns)]
    heading = np.hstack([_heading(text, tile_px) for text in headings] * num_columns)
    return np.vstack([heading, *rows])


def _fit(picture: Image, tile_px: int) -> Image:
    inner = tile_px - 6
    scale = inner / max(picture.shape[:2])
    height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    resized = cv2.resize(picture, (width, height), interpolation=interpolation)
    tile = np.full((tile_px, tile_px, 3), BACKGROUND, dtype=np.uint8)
    top, left = (tile_px - height) // 2, (tile_px - width) // 2
    tile[top : top + height, left : left + width] = resized
    return tile


def _heading(text: str, width: int) -> Image:
    strip = np.full((HEADING_PX, width, 3), BACKGROUND, dtype=np.uint8)
    position = (6, HEADING_PX - 6)
    cv2.putText(strip, text, position, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return strip
