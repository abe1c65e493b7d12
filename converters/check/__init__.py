"""Examination of a raw data folder before a training.

* ``split``: examine one split: its files, and its counts against those that were released.
* ``facts``: examine some images and their annotations; this part runs in parallel.
* ``mirror_fit``: how well garments fit their mirror images under a table of flip pairs.
* ``meanings``: how bad each finding is, and what to do about it.
* ``report``: the findings for machines and for people.
"""

from converters.check.facts import SplitFacts
from converters.check.mirror_fit import DISPUTES, fit_garments
from converters.check.report import make_report, report_text
from converters.check.split import check_split

__all__ = [
    "DISPUTES",
    "SplitFacts",
    "check_split",
    "fit_garments",
    "make_report",
    "report_text",
]
