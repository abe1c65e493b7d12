"""DeepFashion2 in Detectron2's catalogs, and the mapper that feeds the model.

Importing this package registers the data sets.

* ``catalog``: registration and the named splits. ``sources``: data sets by folder and file.
* ``loading``, ``cache``: dataset dicts of a COCO JSON, from a file that processes share.
* ``dataset_mapper``: dataset dict -> training example; ``augmentation``: what it changes at random;
  ``polygon_masks``, ``resize``: its masks, its resizing.
* ``order``: the endless shuffled order of the images, which can be entered at any place.
"""

from df2_landmarks.data.augmentation import build_augmentation
from df2_landmarks.data.catalog import EVALUATOR_TYPE, FOLDERS, SPLITS, register_landmark_dataset
from df2_landmarks.data.dataset_mapper import LandmarkDatasetMapper, read_image, training_mapper
from df2_landmarks.data.loading import LandmarkRecords, load_landmark_json
from df2_landmarks.data.order import (
    ImageOrder,
    OrderedImages,
    OrderedSampler,
    places_left,
    seed_by,
)
from df2_landmarks.data.sources import TRAIN, VALIDATION, registered_name

__all__ = [
    "EVALUATOR_TYPE",
    "FOLDERS",
    "SPLITS",
    "TRAIN",
    "VALIDATION",
    "ImageOrder",
    "LandmarkDatasetMapper",
    "LandmarkRecords",
    "OrderedImages",
    "OrderedSampler",
    "build_augmentation",
    "load_landmark_json",
    "places_left",
    "read_image",
    "register_landmark_dataset",
    "registered_name",
    "seed_by",
    "training_mapper",
]
