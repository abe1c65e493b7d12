"""Garments drawn into photos with OpenCV.

* ``draw``: boxes, outlines, landmarks and names of garments in a photo.
* ``contact_sheet``: pairs of pictures in a grid.
"""

from df2_landmarks.visualization.contact_sheet import contact_sheet
from df2_landmarks.visualization.draw import draw_garments

__all__ = ["contact_sheet", "draw_garments"]
