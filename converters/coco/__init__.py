"""Raw files to COCO JSON.

* ``convert_split``: write the COCO files of one split, with any number of processes.
* ``chunks``: convert some images; this part runs in parallel.
* ``records``: the text of one record.
* ``summary``: what was read, written, repaired and left out.
"""

from converters.coco.chunks import Split
from converters.coco.convert_split import convert_split
from converters.coco.records import VISIBILITIES
from converters.coco.summary import Summary

__all__ = ["VISIBILITIES", "Split", "Summary", "convert_split"]
