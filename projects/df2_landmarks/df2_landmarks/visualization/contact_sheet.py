"""A grid of rows of pictures, such as ground truth beside prediction, with captions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from df2_landmarks.visualization.pen import WHITE
from df2_landmarks.visualization.text import text_plate

Image = NDArray[np.uint8]

BACKGROUND = 255
HEADING_PX = 22
CAPTION_PX = 12
CAPTION_ROW_PX = 18
LETTER_WIDTH = 0.5
"""Mean width of a letter in sizes of the font."""


def contact_sheet(
    rows: Iterable[Sequence[Image]],
    *,
    headings: Sequence[str] = ("ground truth", "prediction"),
    captions: Sequence[Sequence[str]] = (),
    num_columns: int = 3,
    tile_px: int = 240,
) -> Image:
    """Place rows of pictures in a grid, each picture scaled to fit its tile.

    Args:
        rows: BGR pictures of any size, as many in each row as there are headings. They are taken
            one row after the other, so that a generator need not hold them all.
        headings: written above the pictures.
        captions: lines of text below each row; what is too long for the row is cut.
        num_columns: rows beside each other.
        tile_px: side of the square that a picture is fitted into.

    Returns:
        (H, W, 3) uint8 BGR.

    Raises:
        ValueError: there are no rows.
    """
    cells = [np.hstack([_fit(picture, tile_px) for picture in row]) for row in rows]
    if not cells:
        raise ValueError("a contact sheet needs at least one row of pictures, but got none")
    if captions:
        num_lines = max(map(len, captions))
        cells = [
            np.vstack([cell, _caption(lines, num_lines, cell.shape[1])])
            for cell, lines in zip(cells, captions, strict=True)
        ]
    cells += [np.full_like(cells[0], BACKGROUND)] * (-len(cells) % num_columns)
    lines = [np.hstack(cells[i : i + num_columns]) for i in range(0, len(cells), num_columns)]
    heading = np.hstack([_heading(text, tile_px) for text in headings] * num_columns)
    return np.vstack([heading, *lines])


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


def _caption(lines: Sequence[str], num_lines: int, width: int) -> Image:
    """Return (num_lines * CAPTION_ROW_PX, width, 3), black on white."""
    strip = np.full((num_lines * CAPTION_ROW_PX, width, 3), BACKGROUND, dtype=np.uint8)
    for number, line in enumerate(lines):
        plate = text_plate(_cut(line, width), CAPTION_PX, WHITE, width)
        place = strip[number * CAPTION_ROW_PX : (number + 1) * CAPTION_ROW_PX]
        height = min(len(plate), len(place))
        columns = min(plate.shape[1], width)
        place[:height, :columns] = plate[:height, :columns]
    return strip


def _cut(line: str, width: int) -> str:
    """Return a line in ASCII, its middle left out where it is too long for a width in pixels.

    What is not ASCII, and every control character, is escaped.
    """
    text = ascii(line)[1:-1]
    most = max(8, int(width / (LETTER_WIDTH * CAPTION_PX)))
    if len(text) <= most:
        return text
    tail = most // 3
    return f"{text[: most - tail - 3]}...{text[-tail:]}"
