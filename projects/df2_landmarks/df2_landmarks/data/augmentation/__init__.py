"""What a training does to a picture and its annotations, so that no two epochs are alike.

* ``views``: the picture as a whole: size, rotation, cut, mirror, colour, blur (`INPUT.AUGMENT`).
* ``outlines``: boxes and polygons of a picture that was turned or cut.
* ``occlusion``: garments that something hides in part; pasted garments, and cut-outs.
"""

from df2_landmarks.data.augmentation.occlusion import (
    OccludingMapper,
    Records,
    cut_out,
    hide,
    paste,
)
from df2_landmarks.data.augmentation.outlines import cuts_or_turns, refitted_box
from df2_landmarks.data.augmentation.views import build_augmentation

__all__ = [
    "OccludingMapper",
    "Records",
    "build_augmentation",
    "cut_out",
    "cuts_or_turns",
    "hide",
    "paste",
    "refitted_box",
]
