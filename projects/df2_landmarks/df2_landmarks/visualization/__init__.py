"""Garments drawn into photos.

* ``draw``: masks, boxes, outlines, landmarks, measured lengths and names of garments in a photo.
* ``pen``: lines and points with a halo. ``text``: texts on plates, and places for them.
* ``contact_sheet``: rows of pictures in a grid. ``errors``: lines from predictions to the truth.
* ``drawable``: garments of files and results as garments that can be drawn.
"""

from df2_landmarks.visualization.contact_sheet import contact_sheet
from df2_landmarks.visualization.draw import (
    DrawableLength,
    DrawingStyle,
    draw_garments,
)
from df2_landmarks.visualization.drawable import FAR_PX, drawable_detection, drawable_garment
from df2_landmarks.visualization.errors import LandmarkErrors, draw_errors

__all__ = [
    "FAR_PX",
    "DrawableLength",
    "DrawingStyle",
    "LandmarkErrors",
    "contact_sheet",
    "draw_errors",
    "draw_garments",
    "drawable_detection",
    "drawable_garment",
]
