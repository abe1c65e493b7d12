"""Drawing: flat layers become a photo.

* ``layers``: `Layer`, what a picture is made of.
* ``fabric``: cloth, and how it lies on a panel.
* ``background``: what is behind the clothes.
* ``render``: layers drawn on a background, and the map of which layer is visible where.
* ``photo``: what a camera does to the picture.
"""

from df2_landmarks.synthetic.paint.background import background
from df2_landmarks.synthetic.paint.fabric import Colour, Fabric, Image, sample_colour, sample_fabric
from df2_landmarks.synthetic.paint.layers import NOBODY, Detail, Layer
from df2_landmarks.synthetic.paint.photo import jpeg_quality, photographed
from df2_landmarks.synthetic.paint.render import label_map_of, render

__all__ = [
    "NOBODY",
    "Colour",
    "Detail",
    "Fabric",
    "Image",
    "Layer",
    "background",
    "jpeg_quality",
    "label_map_of",
    "photographed",
    "render",
    "sample_colour",
    "sample_fabric",
]
