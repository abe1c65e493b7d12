"""Garments drawn into photos.

* ``draw``: masks, boxes, outlines, landmarks, measured lengths and names of garments in a photo.
* ``pen``: lines and points with a halo. ``text``: texts on plates, and places for them.
* ``contact_sheet``: pairs of pictures in a grid.
"""

from df2_landmarks.visualization.contact_sheet import contact_sheet
from df2_landmarks.visualization.draw import (
    DrawableLength,
    DrawingStyle,
    draw_garments,
)

__all__ = [
    "DrawableLength",
    "DrawingStyle",
    "contact_sheet",
    "draw_garments",
]
