"""The named splits, relative to ``DETECTRON2_DATASETS`` (default ``./datasets``)."""

from __future__ import annotations

import os
from pathlib import Path

from df2_landmarks.data.register import register_landmark_dataset

FOLDERS = ("deepfashion2", "deepfashion2_synthetic", "deepfashion2_synthetic_benchmark")
"""Data folders, each with ``annotations/`` as `make convert` writes it; the prefix of the names."""

SPLITS = {
    "train": "train",
    "validation": "validation",
    "validation_visible": "validation",
    "test": "test",
}
"""Name of the split and of its JSON -> folder of its images."""


def register_all(root: Path) -> None:
    """Register every split of every data folder under `root`."""
    for folder in FOLDERS:
        for split, images in SPLITS.items():
            register_landmark_dataset(
                f"{folder}_{split}",
                root / folder / "annotations" / f"{split}.json",
                root / folder / images / "image",
            )


register_all(Path(os.environ.get("DETECTRON2_DATASETS", "datasets")).expanduser())
