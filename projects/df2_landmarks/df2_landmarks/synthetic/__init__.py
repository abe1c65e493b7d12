"""A drawn DeepFashion2: same files, same rules, exact labels.

* ``figures``, ``templates``, ``blueprint``: the mean shapes, in cm, cut into panels.
* ``shape``, ``pose``, ``actor``, ``body``: a garment's own shape, bent and placed in a picture.
* ``outfit``, ``scene``, ``occluders``, ``background``: what is in a picture.
* ``layers``, ``fabric``, ``render``, ``photo``: drawing.
* ``labels``, ``picture``, ``writer``: annotations from what was drawn, and the files.
* ``difficulty``, ``presets``: how hard, and the named data sets.
"""

from df2_landmarks.synthetic.difficulty import MODERATE, RICH, Difficulty
from df2_landmarks.synthetic.picture import draw_picture
from df2_landmarks.synthetic.presets import PRESETS, Preset
from df2_landmarks.synthetic.writer import fingerprint, write_dataset

__all__ = [
    "MODERATE",
    "PRESETS",
    "RICH",
    "Difficulty",
    "Preset",
    "draw_picture",
    "fingerprint",
    "write_dataset",
]
