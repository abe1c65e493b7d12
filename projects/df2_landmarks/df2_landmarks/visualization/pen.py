"""Lines and points with a halo, in widths that suit the size of a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from df2_landmarks.formats import to_pixel_indices

Image = NDArray[np.uint8]
Color = tuple[int, int, int]
"""Blue, green, red, 0..255."""

BLACK: Color = (0, 0, 0)
WHITE: Color = (255, 255, 255)
BRIGHT = 140
"""From this luminance on (0..255) a colour is drawn with black, below it with white."""
HALO = 0.7
"""Width of the halo, on both sides together, in widths of the line."""
SUBPIXEL_BITS = 4
DIRECTIONS = np.stack([np.cos(a := np.arange(16) * math.pi / 8), np.sin(a)], axis=1)
"""(16, 2) of length 1, all around. A disc is drawn as a polygon in these directions: OpenCV's own
circle of less than 3 px is a diamond."""


def contrast_to(color: Color) -> Color:
    """Return black or white, whichever is seen better beside a colour."""
    blue, green, red = color
    return BLACK if 0.114 * blue + 0.587 * green + 0.299 * red >= BRIGHT else WHITE  # BT.601


class Pen:
    """Draw lines and points into a canvas, each with a halo in black or white.

    Args:
        canvas: (H, W, 3) uint8 BGR, changed in place.
        side_px: side of a square picture that the widths and sizes suit.

    Attributes:
        line_px, thin_px: widths of lines, without their halos.
        radius: of a point, without its halo.
        text_px, small_text_px: sizes of the font of labels, and of texts at landmarks.
    """

    def __init__(self, canvas: Image, side_px: float) -> None:
        self.canvas = canvas
        self.line_px = max(1, round(side_px / 300))
        self.thin_px = math.ceil(0.6 * self.line_px)
        self.radius = max(1.8, side_px / 180)
        self.text_px = max(10, round(side_px / 44))
        self.small_text_px = max(9, round(side_px / 55))

    def line(self, paths_xy: Sequence[NDArray], color: Color, *, width_px: int) -> None:
        """Draw open paths, each (n, 2) in continuous coordinates."""
        fixed = [_fixed(path) for path in paths_xy]
        halo_px = max(1, round(HALO * width_px))
        for width, ink in ((width_px + halo_px, contrast_to(color)), (width_px, color)):
            cv2.polylines(self.canvas, fixed, False, ink, width, cv2.LINE_AA, SUBPIXEL_BITS)

    def point(self, xy: tuple[float, float], color: Color, *, is_hollow: bool) -> None:
        """Draw a disc at continuous coordinates; a hollow one has the colour of its halo inside."""
        halo = contrast_to(color)
        discs = [(self.radius + max(0.8, HALO / 2 * self.line_px), halo), (self.radius, color)]
        if is_hollow:
            discs.append((0.6 * self.radius, halo))
        for radius, ink in discs:
            disc = _fixed(xy + radius * DIRECTIONS)
            cv2.fillConvexPoly(self.canvas, disc, ink, cv2.LINE_AA, SUBPIXEL_BITS)


def _fixed(points_xy: NDArray) -> NDArray[np.int32]:
    """Convert continuous coordinates to OpenCV's fixed point numbers, which count from pixel 0."""
    pixels = to_pixel_indices(np.asarray(points_xy, dtype=np.float64))
    return np.round(pixels * 2**SUBPIXEL_BITS).astype(np.int32)
