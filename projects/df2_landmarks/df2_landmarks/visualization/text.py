"""Texts in a picture: on plates of a colour, where they hide no other text.

H, W = height and width of the picture, h, w = height and width of a plate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL import ImageDraw, ImageFont

from df2_landmarks.visualization.pen import DIRECTIONS, Color, Image, contrast_to

SMALLEST_TEXT_PX = 8
RENDERED_PX = 32
"""Smaller letters are rendered near this size and reduced."""
ROW = 1.15
"""Distance between rows of plates in heights of a plate: more than the gap between texts."""
Corners = Callable[[int, int], NDArray]
"""(h, w) of a plate -> (N, 2) positions of its top left corner, the best ones first."""


class TextLayer:
    """Collect texts for a picture: inside it, not over each other, and rather not over marks.

    Args:
        height: of the picture.
        width: of the picture.
        marks_xy: (M, 2) points that a text should leave free where it can.
        mark_radius: of each point, in pixels.
        gap: between texts, in pixels.

    Example:
        >>> import numpy as np
        >>> from df2_landmarks.visualization.text import TextLayer, around
        >>> texts = TextLayer(60, 90, np.empty((0, 2)), mark_radius=2, gap=1)
        >>> texts.add("skirt", 10, (0, 191, 143), around((10, 30), (1, 0), 4)) is None
        False
        >>> canvas = np.zeros((60, 90, 3), np.uint8)
        >>> texts.paste(canvas)
        >>> canvas[30, 14].tolist(), canvas[30, 13].tolist()
        ([0, 191, 143], [0, 0, 0])
    """

    def __init__(
        self, height: int, width: int, marks_xy: NDArray, *, mark_radius: float, gap: int
    ) -> None:
        self._limits = np.array([width, height])
        self._marks = np.hstack([marks_xy - mark_radius, marks_xy + mark_radius])
        self._gap = np.array([-gap, -gap, gap, gap])
        self._taken = np.empty((0, 4))
        self._plates: list[tuple[Image, int, int]] = []

    def add(
        self, text: str, text_px: int, color: Color, *wishes: Corners
    ) -> NDArray[np.float64] | None:
        """Add a text where it covers no other one and the fewest marks.

        Args:
            text: one line of ASCII.
            text_px: size of the font; smaller where the text would be wider than the picture.
            color: BGR, of the plate. The letters are black or white.
            wishes: positions, each moved into the picture first. Those of the second wish count
                only if none of the first is free.

        Returns:
            (2,) the middle of its plate; None if there is no room: the text is left out.
        """
        plate = text_plate(text, text_px, color, self._limits[0])
        size = np.array(plate.shape[1::-1])
        if (size > self._limits).any():
            return None
        for wish in wishes:
            corners = np.clip(np.round(wish(*plate.shape[:2])), 0, self._limits - size)
            boxes = np.hstack([corners, corners + size])
            is_free = _count_overlaps(boxes, self._taken) == 0
            if is_free.any():
                covered_marks = np.where(is_free, _count_overlaps(boxes, self._marks), np.inf)
                best = int(covered_marks.argmin())
                self._taken = np.vstack([self._taken, boxes[best] + self._gap])
                x, y = corners[best].astype(int).tolist()
                self._plates.append((plate, x, y))
                return corners[best] + size / 2
        return None

    def paste(self, canvas: Image) -> None:
        """Put the texts into a picture (H, W, 3), in place."""
        for plate, x, y in self._plates:
            canvas[y : y + plate.shape[0], x : x + plate.shape[1]] = plate


def text_plate(text: str, text_px: int, color: Color, max_width: int) -> Image:
    """Render one line of text on a plate of a BGR colour.

    Returns:
        (h, w, 3) uint8 BGR, wider than ``max_width`` only where the text would have to be smaller
        than `SMALLEST_TEXT_PX`.
    """
    letters = _letters(text, text_px)
    if letters.shape[1] > max_width:
        fitting_px = text_px * max_width // letters.shape[1]
        letters = _letters(text, max(SMALLEST_TEXT_PX, fitting_px))
    opacity = letters[..., None] / 255
    plate = (1 - opacity) * color + opacity * contrast_to(color)
    return np.round(plate).astype(np.uint8)


def _letters(text: str, text_px: int) -> Image:
    """Return (h, w): 255 inside the letters, 0 outside, with a margin around the line.

    Small letters are rendered larger and reduced: on a grid of whole pixels they would stand at
    uneven distances.
    """
    factor = max(1, RENDERED_PX // text_px)
    font = _font(factor * text_px)
    ascent, descent = font.getmetrics()
    margin = factor * text_px / 5
    size = (math.ceil(font.getlength(text) + 2 * margin), ascent + descent)
    picture = PIL.Image.new("L", size)
    ImageDraw.Draw(picture).text((margin, 0), text, fill=255, font=font)
    return np.asarray(picture.reduce(factor))


@lru_cache(maxsize=16)
def _font(size_px: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size_px)
    assert isinstance(font, ImageFont.FreeTypeFont), font
    return font


def _count_overlaps(boxes: NDArray, others: NDArray) -> NDArray[np.int64]:
    """Return for each box x1, y1, x2, y2 (N, 4) how many of the others (M, 4) it overlaps."""
    starts = np.maximum(boxes[:, None, :2], others[None, :, :2])
    ends = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return (starts < ends).all(axis=2).sum(axis=1)


def beside_box(box_xyxy: NDArray) -> Corners:
    """Wish for a place at a box: at a corner outside of it, then in four rows inside of it."""

    def corners(height: int, width: int) -> NDArray:
        x1, y1, x2, y2 = box_xyxy
        columns = x1, x2 - width
        rows = y1 - height, y2, *(y1 + row * ROW * height for row in range(4))
        return np.array([(x, y) for y in rows for x in columns])

    return corners


def at_border(picture_height: int, picture_width: int) -> Corners:
    """Wish for a place in a column at the left border of the picture, or at the right one."""

    def corners(height: int, width: int) -> NDArray:
        rows = np.arange(0, picture_height, ROW * height)
        return np.array([(x, y) for x in (0, picture_width - width) for y in rows])

    return corners


def centered(points_xy: NDArray) -> Corners:
    """Wish for a plate with its middle at one of the points (N, 2)."""
    return lambda height, width: points_xy - np.array([width, height]) / 2


def around(xy: NDArray, outward: NDArray, gap: float) -> Corners:
    """Wish for a place around a point, near ones first.

    Args:
        xy: (2,).
        outward: (2,) the direction to begin with.
        gap: between the point and the nearest plates, in pixels.
    """

    def corners(height: int, width: int) -> NDArray:
        best_first = np.argsort(-DIRECTIONS @ np.asarray(outward), kind="stable")
        half = np.array([width, height]) / 2
        gaps = gap * np.array([1.0, 2.5, 4.5])[:, None, None]
        middles = np.asarray(xy) + DIRECTIONS[best_first] * (gaps + half)
        return middles.reshape(-1, 2) - half

    return corners
