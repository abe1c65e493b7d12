"""Garments drawn into photos with OpenCV."""

from df2_landmarks.visualization.contact_sheet import contact_sheet
from df2_landmarks.visualization.draw import draw_garments

__all__ = ["contact_sheet", "draw_garments"]
