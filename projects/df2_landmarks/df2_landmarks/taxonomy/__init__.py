"""Categories and their landmarks: DeepFashion2's 13 and 294, others from files, and what follows.

* ``category``: one category; ``taxonomy``: a table of them and all that is derived from it.
* ``deepfashion2``, ``sigmas``: the default. ``rows``: taxonomies as plain data, in COCO's form.
* ``measurements``, ``measurement_file``: lengths between landmarks.
"""

from df2_landmarks.taxonomy.category import DEFAULT_SIGMA, Category
from df2_landmarks.taxonomy.deepfashion2 import DEEPFASHION2
from df2_landmarks.taxonomy.measurement_file import read_measurements
from df2_landmarks.taxonomy.measurements import (
    LOW_CONFIDENCE,
    MeasuredLength,
    Measurement,
    measure,
    measurements_of,
)
from df2_landmarks.taxonomy.rows import (
    TEXT_PREFIX,
    TaxonomyFile,
    category_rows,
    guessed_pairs,
    taxonomy_from_rows,
    taxonomy_of,
    taxonomy_text,
)
from df2_landmarks.taxonomy.sigmas import ASYMMETRIC_PAIRS
from df2_landmarks.taxonomy.taxonomy import Taxonomy

__all__ = [
    "ASYMMETRIC_PAIRS",
    "DEEPFASHION2",
    "DEFAULT_SIGMA",
    "LOW_CONFIDENCE",
    "TEXT_PREFIX",
    "Category",
    "MeasuredLength",
    "Measurement",
    "Taxonomy",
    "TaxonomyFile",
    "category_rows",
    "guessed_pairs",
    "measure",
    "measurements_of",
    "read_measurements",
    "taxonomy_from_rows",
    "taxonomy_of",
    "taxonomy_text",
]
