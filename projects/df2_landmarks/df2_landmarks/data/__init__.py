"""DeepFashion2 in Detectron2's catalogs, and the mapper that feeds the model.

Importing this module registers the data sets.
"""

from df2_landmarks.data import builtin
from df2_landmarks.data.dataset_mapper import LandmarkDatasetMapper
from df2_landmarks.data.loading import load_landmark_json
from df2_landmarks.data.register import register_landmark_dataset

__all__ = ["LandmarkDatasetMapper", "builtin", "load_landmark_json", "register_landmark_dataset"]
