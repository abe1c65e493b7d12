"""A drawn DeepFashion2: same files, same rules, exact labels.

* ``figures``, ``templates``, ``axes``, ``blueprint``, ``trims``: mean shapes in cm, as panels.
* ``shape``, ``pose``, ``view``, ``placement``: a garment's own shape, bent, turned and warped.
* ``outfit``, ``actor``, ``body``, ``occluders``, ``scene``: what is in a picture.
* ``composition``, ``layers``, ``fabric``, ``background``, ``render``, ``photo``: drawing.
* ``labels``, ``picture``, ``writer``: annotations from what was drawn, and the files.
* ``noise``, ``quirks``: annotators' noise and the oddities of the real files, on request.
* ``difficulty``, ``presets``, ``fingerprint``: how hard, and the named data sets.
"""

from df2_landmarks.synthetic.difficulty import MODERATE, RICH, Difficulty
from df2_landmarks.synthetic.fingerprint import fingerprint, fingerprint_of
from df2_landmarks.synthetic.picture import Picture, Plan, draw_picture, plan_picture
from df2_landmarks.synthetic.presets import PRESETS, Preset
from df2_landmarks.synthetic.scene.scene import Recipe
from df2_landmarks.synthetic.writer import write_dataset

__all__ = [
    "MODERATE",
    "PRESETS",
    "RICH",
    "Difficulty",
    "Picture",
    "Plan",
    "Preset",
    "Recipe",
    "draw_picture",
    "fingerprint",
    "fingerprint_of",
    "plan_picture",
    "write_dataset",
]
