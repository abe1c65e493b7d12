"""COCO files with landmarks per category: one reader for loading, scoring and checking.

* ``reader``: records and items, checked, in bounded memory.
* ``records``: their types, and what tools write in another type.
* ``categories``: which id of a file stands for which category, by name; and the list to write.
* ``checks``: what one record cannot tell: units, sizes, boxes. ``report``: what was found.
* ``rle``: masks in run-length encoding.
"""

from df2_landmarks.formats.coco.categories import coco_categories
from df2_landmarks.formats.coco.reader import CocoReader
from df2_landmarks.formats.coco.records import CocoAnnotation, CocoImage, CocoItem
from df2_landmarks.formats.coco.report import CocoReport, Finding
from df2_landmarks.formats.coco.rle import polygons_of_annotation

__all__ = [
    "CocoAnnotation",
    "CocoImage",
    "CocoItem",
    "CocoReader",
    "CocoReport",
    "Finding",
    "coco_categories",
    "polygons_of_annotation",
]
