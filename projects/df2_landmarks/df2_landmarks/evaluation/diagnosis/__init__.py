"""Why a score is what it is: error types, what each costs, and how far each part limits AP."""

from df2_landmarks.evaluation.diagnosis.diagnose import diagnosis
from df2_landmarks.evaluation.diagnosis.tables import diagnosis_text

__all__ = [
    "diagnosis",
    "diagnosis_text",
]
