"""Why a score is what it is: error types, the AP lost to each of them, and what limits AP.

* ``detection_errors``, ``landmark_errors``: the error type of each detection and each landmark.
* ``shares``: the share of each error type, fast enough for every evaluation.
* ``corrections``: the detections with errors of a type corrected.
* ``diagnose``: the AP after each correction, the baseline and the oracles.
* ``tables``: the diagnosis as text.
"""

from df2_landmarks.evaluation.diagnosis.diagnose import Diagnosis, diagnose
from df2_landmarks.evaluation.diagnosis.shares import error_shares
from df2_landmarks.evaluation.diagnosis.tables import diagnosis_text

__all__ = [
    "Diagnosis",
    "diagnose",
    "diagnosis_text",
    "error_shares",
]
