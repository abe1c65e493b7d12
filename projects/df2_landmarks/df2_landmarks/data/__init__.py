"""DeepFashion2 in Detectron2's catalogs, and the mapper that feeds the model.

Importing this package registers the data sets.
"""

from df2_landmarks.data import builtin  # registers the named splits
from df2_landmarks.data.augmentation import build_augmentation
from df2_landmarks.data.dataset_mapper import LandmarkDatasetMapper, read_image
from df2_landmarks.data.loading import LandmarkRecords, load_landmark_json
from df2_landmarks.data.register import register_landmark_dataset

__all__ = [
    "LandmarkDatasetMapper",
    "LandmarkRecords",
    "build_augmentation",
    "builtin",
    "load_landmark_json",
    "read_image",
    "register_landmark_dataset",
]
