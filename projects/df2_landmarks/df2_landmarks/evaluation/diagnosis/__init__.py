"""Why a score is what it is: error types, the AP lost to each of them, and what limits AP.

* ``detection_errors``, ``landmark_errors``: the error type of each detection and each landmark.
* ``shares``: the share of each error type, fast enough for every evaluation.
* ``corrections``: the detections with errors of a type corrected.
* ``cases``: the errors image by image, the costliest first.
* ``calibration``: scores, confidence and visibility beside what is observed.
* ``confusion``: which category is predicted for which.
* ``diagnose``: the AP after each correction, the baseline and the oracles.
* ``tables``: the diagnosis as text.
"""

from df2_landmarks.evaluation.diagnosis.calibration import MEANINGS, Calibration, calibration
from df2_landmarks.evaluation.diagnosis.cases import ERROR_SCORE, Cases, GarmentCase, ImageCase
from df2_landmarks.evaluation.diagnosis.confusion import Confusion, confusion
from df2_landmarks.evaluation.diagnosis.corrections import CorrectedAP
from df2_landmarks.evaluation.diagnosis.detection_errors import (
    DETECTION_TYPES,
    MISSED,
)
from df2_landmarks.evaluation.diagnosis.diagnose import Diagnosis, diagnose
from df2_landmarks.evaluation.diagnosis.landmark_errors import LANDMARK_TYPES, LandmarkErrors
from df2_landmarks.evaluation.diagnosis.shares import error_shares
from df2_landmarks.evaluation.diagnosis.tables import diagnosis_text

__all__ = [
    "DETECTION_TYPES",
    "ERROR_SCORE",
    "LANDMARK_TYPES",
    "MEANINGS",
    "MISSED",
    "Calibration",
    "Cases",
    "Confusion",
    "CorrectedAP",
    "Diagnosis",
    "GarmentCase",
    "ImageCase",
    "LandmarkErrors",
    "calibration",
    "confusion",
    "diagnose",
    "diagnosis_text",
    "error_shares",
]
