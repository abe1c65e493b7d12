"""Evaluation in the annotated boxes: how good the landmarks are, apart from the detection."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.data import build_detection_test_loader
from detectron2.modeling import GeneralizedRCNN
from detectron2.structures import Boxes, Instances
from torch import nn

from df2_landmarks.common import UserError
from df2_landmarks.data import LandmarkDatasetMapper, build_augmentation
from df2_landmarks.engine.trainer import Trainer

logger = logging.getLogger(__name__)

FOLDER = "ground_truth_boxes"
"""Folder in OUTPUT_DIR for the files of this evaluation, which are not a submission."""


def ground_truth_box_config(cfg: CfgNode) -> CfgNode:
    """Return the configuration of an evaluation in given boxes, with files in their own folder.

    Raises:
        UserError: test-time augmentation is on.
    """
    if cfg.TEST.AUG.ENABLED:
        raise UserError(
            "--ground-truth-boxes has no test-time augmentation: set TEST.AUG.ENABLED False"
        )
    cfg = cfg.clone()
    cfg.defrost()
    cfg.OUTPUT_DIR = str(Path(cfg.OUTPUT_DIR, FOLDER))
    # A given garment is not a duplicate, however much its box overlaps another one.
    cfg.MODEL.ROI_LANDMARK_HEAD.SUPPRESS_ACROSS_CATEGORIES = False
    cfg.freeze()
    return cfg


class GroundTruthBoxTrainer(Trainer):
    """`Trainer` that evaluates in the boxes and categories of the annotations (no crowds)."""

    @classmethod
    def build_test_loader(cls, cfg: CfgNode, dataset_name: str) -> Any:
        """Load images as for a plain evaluation, with the garments of their annotations.

        Raises:
            UserError: the data set has no annotations.
        """
        records = cls.test_records(dataset_name)
        if not any(record.get("annotations") for record in records):
            raise UserError(
                f"--ground-truth-boxes: {dataset_name} has no annotations; name a data set that "
                "has them in DATASETS.TEST"
            )
        mapper = LandmarkDatasetMapper(
            cfg,
            is_train=True,  # keeps the annotations
            augmentations=build_augmentation(cfg, is_train=False),
            use_masks=False,
        )
        return build_detection_test_loader(
            records, mapper=mapper, num_workers=cfg.DATALOADER.NUM_WORKERS
        )

    @classmethod
    def test(
        cls, cfg: CfgNode, model: nn.Module, evaluators: Any = None, **evaluated: Any
    ) -> dict[str, Any]:
        logger.info(
            "Boxes and categories are those of the ground truth: landmark and mask AP are those of "
            f"perfect detection; ignore the box AP. Files in {cfg.OUTPUT_DIR}"
        )
        return super().test(cfg, GivenBoxes(model), evaluators, **evaluated)


class GivenBoxes(nn.Module):
    """A `GeneralizedRCNN` that gets the boxes and categories, with score 1."""

    def __init__(self, model: GeneralizedRCNN) -> None:
        super().__init__()
        self.model = model
        # Detectron2's evaluation restores this mode afterwards.
        self.train(model.training)

    def forward(self, batched_inputs: list[dict[str, Any]]) -> list[dict[str, Instances]]:
        """
        Args:
            batched_inputs: as for the model, each with `instances` that have `gt_boxes` and
                `gt_classes` in the space of the input image.

        Returns:
            What the model returns.
        """
        given = [as_detections(image_input["instances"]) for image_input in batched_inputs]
        return self.model.inference(batched_inputs, given)


def as_detections(ground_truth: Instances) -> Instances:
    """Return annotated garments as detections with score 1."""
    return Instances(
        ground_truth.image_size,
        # A copy, since Detectron2 scales the boxes of detections in place.
        pred_boxes=Boxes(ground_truth.gt_boxes.tensor.clone()),
        pred_classes=ground_truth.gt_classes,
        scores=torch.ones(len(ground_truth)),
    )
