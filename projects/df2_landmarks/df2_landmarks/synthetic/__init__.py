"""A drawn DeepFashion2: same files, same rules, exact labels.

* ``recipe``: what decides a picture, and the named data sets.
* ``garment``: garments at rest. ``scene``: who wears what, how, and who sees it.
* ``paint``: from layers to a photo. ``labels``: annotations from what was drawn.
* ``picture``: one picture. ``folder``, ``writer``: the files of a data set.
"""

from df2_landmarks.synthetic.folder import fingerprint
from df2_landmarks.synthetic.picture import Picture, Plan, draw_picture, plan_picture
from df2_landmarks.synthetic.recipe import (
    BALANCES,
    MODERATE,
    PRESETS,
    RICH,
    SPLITS,
    Difficulty,
    Preset,
    Recipe,
)
from df2_landmarks.synthetic.writer import fingerprint_of, write_dataset

__all__ = [
    "BALANCES",
    "MODERATE",
    "PRESETS",
    "RICH",
    "SPLITS",
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
