"""Evaluation on the annotations' boxes: how good the landmarks are, apart from the detection."""

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

from df2_landmarks.data import LandmarkDatasetMapper, build_augmentation
from df2_landmarks.engine.trainer import Trainer

logger = logging.getLogger(__name__)

FOLDER = "ground_truth_boxes"
"""In OUTPUT_DIR: the files of this evaluation, which are no submission."""


def ground_truth_box_config(cfg: CfgNode) -> CfgNode:
    """Configuration of an evaluation on given boxes: files in a folder of their own, no rivals.

    Raises:
        ValueError: test-time augmentation is on.
    """
    if cfg.TEST.AUG.ENABLED:
        raise ValueError(
            "--ground-truth-boxes has no test-time augmentation: set TEST.AUG.ENABLED False"
        )
    cfg = cfg.clone()
    cfg.defrost()
    cfg.OUTPUT_DIR = str(Path(cfg.OUTPUT_DIR, FOLDER))
    # A given garment is there, however much of it another one covers.
    cfg.MODEL.ROI_LANDMARK_HEAD.SUPPRESS_ACROSS_CATEGORIES = False
    cfg.freeze()
    return cfg


class GroundTruthBoxTrainer(Trainer):
    """`Trainer` whose evaluation takes boxes and categories from the annotations (no crowds)."""

    @classmethod
    def build_test_loader(cls, cfg: CfgNode, dataset_name: str) -> Any:
        """Images as for a plain evaluation, with the garments of their annotations.

        Raises:
            ValueError: the data set has no annotations.
        """
        records = cls.test_records(dataset_name)
        if not any(record.get("annotations") for record in records):
            raise ValueError(
                f"--ground-truth-boxes: {dataset_name} has no annotations; name a data set that "
                "has them in DATASETS.TEST"
            )
        mapper = LandmarkDatasetMapper(
            cfg,
            is_train=True,  # so that it keeps the annotations
            augmentations=build_augmentation(cfg, is_train=False),
            use_masks=False,
        )
        return build_detection_test_loader(
            records, mapper=mapper, num_workers=cfg.DATALOADER.NUM_WORKERS
        )

    @classmethod
    def test(cls, cfg: CfgNode, model: nn.Module, evaluators: Any = None) -> dict[str, Any]:
        logger.info(
            "Boxes and categories are those of the ground truth: read the landmark and mask AP as "
            f"given these, and ignore the box AP. Files in {cfg.OUTPUT_DIR}"
        )
        return super().test(cfg, GivenBoxes(model), evaluators)


class GivenBoxes(nn.Module):
    """A `GeneralizedRCNN` that is told the boxes and categories, with score 1."""

    def __init__(self, model: GeneralizedRCNN) -> None:
        super().__init__()
        self.model = model
        # Detectron2's evaluation puts back the mode that it finds.
        self.train(model.training)

    def forward(self, batched_inputs: list[dict[str, Any]]) -> list[dict[str, Instances]]:
        """
        Args:
            batched_inputs: as for the model, each with `instances` that have `gt_boxes` and
                `gt_classes` in the space of the input image.

        Returns:
            As of the model.
        """
        given = [as_detections(one_input["instances"]) for one_input in batched_inputs]
        return self.model.inference(batched_inputs, given)


def as_detections(ground_truth: Instances) -> Instances:
    """Annotated garments as detections with score 1."""
    return Instances(
        ground_truth.image_size,
        # a copy, since Detectron2 scales the boxes of detections in place
        pred_boxes=Boxes(ground_truth.gt_boxes.tensor.clone()),
        pred_classes=ground_truth.gt_classes,
        scores=torch.ones(len(ground_truth)),
    )
