"""Landmark data sets in Detectron2's catalogs, and the named splits.

The splits lie under ``DETECTRON2_DATASETS`` (default ``./datasets``).
"""

from __future__ import annotations

import os
from pathlib import Path

from detectron2.data import DatasetCatalog, MetadataCatalog

from df2_landmarks.data.loading import load_landmark_json
from df2_landmarks.taxonomy import DEEPFASHION2, Taxonomy

FOLDERS = ("deepfashion2", "deepfashion2_synthetic", "deepfashion2_synthetic_benchmark")
"""Data folders that are always registered, each with ``annotations/`` as `make convert` writes it;
the prefix of the names."""

SPLITS = {
    "train": "train",
    "validation": "validation",
    "validation_visible": "validation",
    "test": "test",
}
"""Name of the split and of its JSON -> folder of its images."""


EVALUATOR_TYPE = "deepfashion2_landmarks"
"""What the metadata of landmark data sets say."""


def register_landmark_dataset(
    name: str,
    json_file: str | Path,
    image_root: str | Path,
    taxonomy: Taxonomy = DEEPFASHION2,
) -> None:
    """Register a data set; its files are opened when it is first loaded.

    Detectron2's metadata of keypoints describes one set of landmarks; here each category has its
    own, in ``taxonomy``.

    Args:
        name: name for ``DATASETS.TRAIN`` and ``DATASETS.TEST``.
        json_file: COCO JSON with landmarks per category.
        image_root: folder of the images.
        taxonomy: the categories.

    Raises:
        AssertionError: the name is already registered.
    """
    DatasetCatalog.register(name, lambda: load_landmark_json(json_file, image_root, taxonomy))
    MetadataCatalog.get(name).set(
        json_file=str(json_file),
        image_root=str(image_root),
        evaluator_type=EVALUATOR_TYPE,
        taxonomy=taxonomy,
        thing_classes=[category.official_name for category in taxonomy.categories],
        thing_colors=[category.rgb for category in taxonomy.categories],
        thing_dataset_id_to_contiguous_id={c.id: i for i, c in enumerate(taxonomy.categories)},
    )


def register_all(root: Path) -> None:
    """Register every split of every data folder under `root`."""
    for folder in FOLDERS:
        for split, images in SPLITS.items():
            register_landmark_dataset(
                f"{folder}_{split}",
                root / folder / "annotations" / f"{split}.json",
                root / folder / images / "image",
            )


def data_root() -> Path:
    """Return the folder of the data sets."""
    return Path(os.environ.get("DETECTRON2_DATASETS", "datasets")).expanduser()


register_all(data_root())
