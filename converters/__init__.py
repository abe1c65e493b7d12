"""Converters from the raw DeepFashion2 files to COCO JSON, and tools for a data folder.

Commands, run from the repository root:

    python -m converters.deepfashion2_to_coco --root datasets/deepfashion2
    python -m converters.check_dataset datasets/deepfashion2
    python -m converters.make_subset datasets/deepfashion2 datasets/df2_subset --images 1000

* ``raw``: find, read and check the raw files.
* ``coco``: write COCO JSON.
* ``check``: examine a data folder before a training.

They need numpy, msgspec and Pillow (and tqdm for a progress bar), but neither torch nor Detectron2,
and nothing has to be installed from this repository.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec("df2_landmarks") is None:  # not installed: take it from the source tree
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "projects" / "df2_landmarks"))
