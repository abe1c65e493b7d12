"""Registration of a landmark data set in Detectron2's catalogs."""

from __future__ import annotations

from pathlib import Path

from detectron2.data import DatasetCatalog, MetadataCatalog

from df2_landmarks.data.loading import load_landmark_json
from df2_landmarks.data.metadata import landmark_metadata

EVALUATOR_TYPE = "deepfashion2_landmarks"


def register_landmark_dataset(name: str, json_file: str | Path, image_root: str | Path) -> None:
    """Register `name`; the files are opened when the data set is first asked for.

    Args:
        name: name for ``DATASETS.TRAIN`` and ``DATASETS.TEST``.
        json_file: COCO JSON with 294 landmark slots.
        image_root: folder of the images.

    Raises:
        AssertionError: the name is already registered.
    """
    DatasetCatalog.register(name, lambda: load_landmark_json(json_file, image_root))
    MetadataCatalog.get(name).set(
        json_file=str(json_file),
        image_root=str(image_root),
        evaluator_type=EVALUATOR_TYPE,
        **landmark_metadata(),
    )
