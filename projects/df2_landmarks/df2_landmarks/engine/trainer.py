"""Detectron2's trainer with this project's mapper, evaluators and optimizer."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.data import (
    DatasetCatalog,
    build_detection_test_loader,
    build_detection_train_loader,
)
from detectron2.engine import DefaultTrainer
from detectron2.evaluation import DatasetEvaluators
from detectron2.solver import build_optimizer, get_default_optimizer_params
from detectron2.solver.build import maybe_add_gradient_clipping
from torch import nn
from torch.utils.data import ConcatDataset

import df2_landmarks.modeling  # noqa: F401 (registers the heads)
from df2_landmarks.data import LandmarkDatasetMapper
from df2_landmarks.data.loading import LandmarkRecords
from df2_landmarks.engine.box_mask_evaluator import BoxMaskEvaluator
from df2_landmarks.engine.checkpoint import LandmarkCheckpointer
from df2_landmarks.engine.cpu_precision import has_bfloat16, train_in_bfloat16
from df2_landmarks.evaluation.landmark_evaluator import LandmarkEvaluator


class Trainer(DefaultTrainer):
    """`DefaultTrainer` for landmark data sets."""

    @classmethod
    def build_model(cls, cfg: CfgNode) -> nn.Module:
        model = super().build_model(cfg)
        if cfg.SOLVER.BF16_ON_CPU and cfg.MODEL.DEVICE == "cpu" and has_bfloat16():
            train_in_bfloat16(model)
        return model

    @classmethod
    def build_train_loader(cls, cfg: CfgNode) -> Any:
        # The records stay on disk; Detectron2's own way makes a list of all of them.
        splits = [DatasetCatalog.get(name) for name in cfg.DATASETS.TRAIN]
        if cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS:
            splits = [s.with_garments() if isinstance(s, LandmarkRecords) else s for s in splits]
        dataset = splits[0] if len(splits) == 1 else ConcatDataset(splits)
        if len(dataset) == 0:
            raise ValueError(f"DATASETS.TRAIN {cfg.DATASETS.TRAIN}: no image has a garment")
        mapper = LandmarkDatasetMapper(cfg, is_train=True)
        return build_detection_train_loader(cfg, mapper=mapper, dataset=dataset)

    @classmethod
    def build_test_loader(cls, cfg: CfgNode, dataset_name: str) -> Any:
        return build_detection_test_loader(
            DatasetCatalog.get(dataset_name),
            mapper=LandmarkDatasetMapper(cfg, is_train=False),
            num_workers=cfg.DATALOADER.NUM_WORKERS,
        )

    @classmethod
    def build_evaluator(cls, cfg: CfgNode, dataset_name: str) -> DatasetEvaluators:
        """Box and mask AP, then landmark AP; results and the submission go to OUTPUT_DIR."""
        tasks = ("bbox", "segm") if cfg.MODEL.MASK_ON else ("bbox",)
        return DatasetEvaluators(
            [
                BoxMaskEvaluator(dataset_name, tasks=tasks, output_dir=cfg.OUTPUT_DIR),
                LandmarkEvaluator(dataset_name, output_dir=cfg.OUTPUT_DIR),
            ]
        )

    @classmethod
    def build_optimizer(cls, cfg: CfgNode, model: nn.Module) -> torch.optim.Optimizer:
        """SGD or AdamW.

        Raises:
            ValueError: SOLVER.OPTIMIZER is neither.
        """
        if cfg.SOLVER.OPTIMIZER == "SGD":
            return build_optimizer(cfg, model)
        if cfg.SOLVER.OPTIMIZER != "AdamW":
            raise ValueError(
                f'SOLVER.OPTIMIZER must be "SGD" or "AdamW", got {cfg.SOLVER.OPTIMIZER!r}'
            )
        parameters = get_default_optimizer_params(
            model,
            base_lr=cfg.SOLVER.BASE_LR,
            weight_decay=cfg.SOLVER.WEIGHT_DECAY,
            weight_decay_norm=cfg.SOLVER.WEIGHT_DECAY_NORM,
            bias_lr_factor=cfg.SOLVER.BIAS_LR_FACTOR,
            weight_decay_bias=cfg.SOLVER.WEIGHT_DECAY_BIAS,
        )
        optimizer_class = maybe_add_gradient_clipping(cfg, torch.optim.AdamW)
        return optimizer_class(
            parameters,
            lr=cfg.SOLVER.BASE_LR,
            weight_decay=cfg.SOLVER.WEIGHT_DECAY,
            fused=True,
        )

    def resume_or_load(self, resume: bool = True) -> None:
        """As the stock one, with `LandmarkCheckpointer`'s checks and errors."""
        # The hooks keep saving through the stock checkpointer; both use the same folder.
        self.checkpointer = LandmarkCheckpointer(
            self.model, self.cfg.OUTPUT_DIR, trainer=weakref.proxy(self)
        )
        super().resume_or_load(resume=resume)
