"""COCO files with landmarks per category: one reader for loading, scoring and checking.

* ``reader``: records and items, checked, in bounded memory.
* ``records``: their types, and what tools write in another type.
* ``categories``: which id of a file stands for which category, by name; and the list to write.
* ``checks``: what one record cannot tell: units, sizes, boxes. ``report``: what was found.
* ``taxonomy_file``: taxonomies from and to files.
* ``rle``: masks in run-length encoding.
"""

from df2_landmarks.formats.coco.categories import listed_ids, plain_name
from df2_landmarks.formats.coco.images import read_image_records
from df2_landmarks.formats.coco.reader import CocoReader
from df2_landmarks.formats.coco.records import CocoAnnotation, CocoImage, CocoItem
from df2_landmarks.formats.coco.report import CocoReport, Finding
from df2_landmarks.formats.coco.rle import polygons_of_annotation
from df2_landmarks.formats.coco.taxonomy_file import read_taxonomy, write_taxonomy

__all__ = [
    "CocoAnnotation",
    "CocoImage",
    "CocoItem",
    "CocoReader",
    "CocoReport",
    "Finding",
    "listed_ids",
    "plain_name",
    "polygons_of_annotation",
    "read_image_records",
    "read_taxonomy",
    "write_taxonomy",
]
