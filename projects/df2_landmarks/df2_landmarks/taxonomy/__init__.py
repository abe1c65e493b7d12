"""The 13 categories and 294 landmarks of DeepFashion2, and what can be derived from them."""

from df2_landmarks.taxonomy.categories import CATEGORIES
from df2_landmarks.taxonomy.category import Category
from df2_landmarks.taxonomy.layout import LAYOUT, Layout
from df2_landmarks.taxonomy.measurement_file import read_measurements
from df2_landmarks.taxonomy.measurements import (
    LOW_CONFIDENCE,
    MEASUREMENTS,
    MeasuredLength,
    Measurement,
    measure,
    measurements_of,
)
from df2_landmarks.taxonomy.sigmas import ASYMMETRIC_PAIRS, SIGMAS

__all__ = [
    "ASYMMETRIC_PAIRS",
    "CATEGORIES",
    "LAYOUT",
    "LOW_CONFIDENCE",
    "MEASUREMENTS",
    "SIGMAS",
    "Category",
    "Layout",
    "MeasuredLength",
    "Measurement",
    "measure",
    "measurements_of",
    "read_measurements",
]
