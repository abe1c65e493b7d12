"""Pictures of ground truth beside detections."""

from __future__ import annotations

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog
from detectron2.evaluation import inference_context
from numpy.typing import NDArray
from torch import nn

from df2_landmarks.data import LandmarkDatasetMapper, read_image
from df2_landmarks.formats import MIN_SCORE, garments_of_instances, garments_of_record
from df2_landmarks.taxonomy import taxonomy_of
from df2_landmarks.visualization import DrawingStyle, draw_garments

Image = NDArray[np.uint8]

SHOWN_PX = 400
"""Texts and lines of a larger photo are drawn for a contact sheet that shrinks it to this size."""


def landmark_pictures(cfg: CfgNode, model: nn.Module, count: int) -> list[tuple[Image, Image]]:
    """Draw pairs of ground truth and detections with a score of at least `MIN_SCORE`.

    Args:
        cfg: configuration with the data set, the first of DATASETS.TEST, and the input size.
        model: on any device; its mode is restored afterwards.
        count: number of pairs at most; always the same pictures, spread over the data set.

    Returns:
        Pairs of (H, W, 3) uint8 BGR pictures, each pair in the size of its photo.
    """
    records = DatasetCatalog.get(cfg.DATASETS.TEST[0])
    mapper = LandmarkDatasetMapper(cfg, is_train=False)
    taxonomy = taxonomy_of(cfg)
    pairs = []
    with inference_context(model), torch.no_grad():
        for record in records[:: max(1, len(records) // count)][:count]:
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
