"""Garments at rest: a pattern per category, and the shape of one garment.

* ``figures``: mean shape and size of each category.
* ``template``: the landmarks of a category in cm; ``axes``: the axes of its sleeves and legs.
* ``panels``, ``trims``, ``curves``: the pieces of cloth, and what is sewn on them.
* ``pattern``: `Pattern`, all of this for a category, built once.
* ``shape``: what makes one garment differ from its pattern.
"""

from df2_landmarks.synthetic.garment.axes import (
    LENGTHS,
    MIDDLE_JOINTS,
    halves,
    is_arm,
    on_axis,
    sign_of,
)
from df2_landmarks.synthetic.garment.figures import FIGURE_XY
from df2_landmarks.synthetic.garment.panels import BACK, FRONT, Panel
from df2_landmarks.synthetic.garment.pattern import BOTTOM, DRESS, OUTER, PATTERNS, TOP, Pattern
from df2_landmarks.synthetic.garment.shape import Shape, sample_shape, shaped
from df2_landmarks.synthetic.garment.template import FloatArray
from df2_landmarks.synthetic.garment.trims import BAND, BUTTONS

__all__ = [
    "BACK",
    "BAND",
    "BOTTOM",
    "BUTTONS",
    "DRESS",
    "FIGURE_XY",
    "FRONT",
    "LENGTHS",
    "MIDDLE_JOINTS",
    "OUTER",
    "PATTERNS",
    "TOP",
    "FloatArray",
    "Panel",
    "Pattern",
    "Shape",
    "halves",
    "is_arm",
    "on_axis",
    "sample_shape",
    "shaped",
    "sign_of",
]
