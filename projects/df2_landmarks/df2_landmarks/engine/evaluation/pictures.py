"""Pictures of ground truth beside detections."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog
from detectron2.evaluation import inference_context
from numpy.typing import NDArray
from torch import nn

from df2_landmarks.common import atomic_write
from df2_landmarks.data import LandmarkDatasetMapper, read_image
from df2_landmarks.engine.evaluation.scores_file import scores_come_first
from df2_landmarks.formats import MIN_SCORE, garments_of_instances, garments_of_record
from df2_landmarks.taxonomy import taxonomy_of
from df2_landmarks.visualization import DrawingStyle, contact_sheet, draw_garments

logger = logging.getLogger(__name__)

Image = NDArray[np.uint8]

SHOWN_PX = 400
"""Texts and lines of a larger photo are drawn for a contact sheet that shrinks it to this size."""

FOLDER = "pictures"
"""Folder in OUTPUT_DIR for the pictures of an evaluation."""


def landmark_pictures(
    cfg: CfgNode, model: nn.Module, count: int, dataset_name: str | None = None
) -> list[tuple[Image, Image]]:
    """Draw pairs of ground truth and detections with a score of at least `MIN_SCORE`.

    Args:
        cfg: configuration with the input size.
        model: on any device; its mode is restored afterwards.
        count: number of pairs at most; always the same pictures, spread over the data set.
        dataset_name: the data set; by default the first of DATASETS.TEST.

    Returns:
        Pairs of (H, W, 3) uint8 BGR pictures, each pair in the size of its photo.
    """
    records = _shown_records(dataset_name or cfg.DATASETS.TEST[0], count)
    mapper = LandmarkDatasetMapper(cfg, is_train=False)
    taxonomy = taxonomy_of(cfg)
    pairs = []
    with inference_context(model), torch.no_grad():
        for record in records:
            image = read_image(record, image_format="BGR")
            instances = model([mapper(record)])[0]["instances"].to("cpu")
            style = DrawingStyle(scale=max(1.0, max(image.shape[:2]) / SHOWN_PX))
            truth, detections = (
                garments_of_record(record, taxonomy),
                garments_of_instances(instances, MIN_SCORE, taxonomy),
            )
            pairs.append(
                (draw_garments(image, truth, style), draw_garments(image, detections, style))
            )
    return pairs


def picture_sheets(cfg: CfgNode, model: nn.Module) -> Iterator[Image]:
    """Yield TEST.NUM_PICTURES pictures of each data set, under their file's name.

    Args:
        cfg: configuration with the data sets, DATASETS.TEST.
        model: as of `landmark_pictures`.

    Yields:
        (H, W, 3) uint8 BGR: ground truth beside detections, two tiles of `SHOWN_PX`.
    """
    count = cfg.TEST.NUM_PICTURES
    for dataset_name in cfg.DATASETS.TEST if count > 0 else ():
        pairs = landmark_pictures(cfg, model, count, dataset_name)
        for record, pair in zip(_shown_records(dataset_name, count), pairs, strict=True):
            headings = (f"ground truth of {Path(record['file_name']).name}", "prediction")
            yield contact_sheet([pair], headings=headings, num_columns=1, tile_px=SHOWN_PX)


def write_pictures(cfg: CfgNode, model: nn.Module) -> None:
    """Write the `picture_sheets` of an evaluation as 1.jpg, 2.jpg... in OUTPUT_DIR/pictures.

    Those of the second data set follow those of the first.
    Called in the main process only. A file that cannot be written is left out with a warning.
    """
    folder = Path(cfg.OUTPUT_DIR, FOLDER)
    with scores_come_first():
        for number, sheet in enumerate(picture_sheets(cfg, model), 1):
            is_encoded, jpeg = cv2.imencode(".jpg", sheet)
            assert is_encoded, sheet.shape
            with atomic_write(folder / f"{number}.jpg") as file:
                file.write(jpeg.tobytes())
            if number == 1:
                logger.info(f"Pictures of ground truth beside detections: {folder}")


def _shown_records(dataset_name: str, count: int) -> Sequence[dict[str, Any]]:
    """Return at most ``count`` images, spread over a data set."""
    records = DatasetCatalog.get(dataset_name)
    return records[:: max(1, len(records) // count)][:count]
