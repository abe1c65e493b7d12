"""The raw files of the data set: find, read and check them.

* ``folder``: the numbered files of a split.
* ``annotation``: parse an annotation file.
* ``rules``: accept, repair or reject an item.
* ``image_size``: the size of an image as displayed.
* ``problems``: what is wrong with a file, as a record and as an error.
"""

from converters.raw.annotation import RawAnnotation, RawItem, parse_annotation, read_annotation
from converters.raw.folder import (
    ANNOTATION_SUFFIX,
    IMAGE_SUFFIX,
    SPLITS,
    count_files,
    list_numbered,
    list_splits,
    split_folders,
)
from converters.raw.image_size import ImageSize, read_image_size
from converters.raw.problems import Problem, RawFileError
from converters.raw.rules import (
    MIN_POLYGON_VALUES,
    VALUES_PER_LANDMARK,
    CheckedItem,
    RejectedError,
    check_item,
)

__all__ = [
    "ANNOTATION_SUFFIX",
    "IMAGE_SUFFIX",
    "MIN_POLYGON_VALUES",
    "SPLITS",
    "VALUES_PER_LANDMARK",
    "CheckedItem",
    "ImageSize",
    "Problem",
    "RawAnnotation",
    "RawFileError",
    "RawItem",
    "RejectedError",
    "check_item",
    "count_files",
    "list_numbered",
    "list_splits",
    "parse_annotation",
    "read_annotation",
    "read_image_size",
    "split_folders",
]
