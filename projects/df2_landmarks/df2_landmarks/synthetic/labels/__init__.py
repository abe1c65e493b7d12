"""Labels: the raw annotation of a drawn picture.

* ``annotation``: computed from what was drawn, exactly.
* ``noise``: landmarks moved as annotators differ; ``quirks``: the oddities of the real files.
"""

from df2_landmarks.synthetic.labels.annotation import annotate, near_px, owned_mask
from df2_landmarks.synthetic.labels.noise import with_landmark_noise
from df2_landmarks.synthetic.labels.quirks import QUIRKS, with_quirk

__all__ = [
    "QUIRKS",
    "annotate",
    "near_px",
    "owned_mask",
    "with_landmark_noise",
    "with_quirk",
]
