"""Detectron2's trainer with this project's mapper, evaluators and optimizer."""

from __future__ import annotations

import importlib.util
import logging
import weakref
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.data import (
    DatasetCatalog,
    build_detection_test_loader,
    build_detection_train_loader,
)
from detectron2.engine import DefaultTrainer, HookBase
from detectron2.engine.hooks import EvalHook
from detectron2.evaluation import DatasetEvaluators
from detectron2.solver import build_optimizer, get_default_optimizer_params
from detectron2.solver.build import maybe_add_gradient_clipping
from detectron2.utils import comm
from detectron2.utils.events import CommonMetricPrinter, EventWriter, JSONWriter
from torch import nn
from torch.utils.data import ConcatDataset

import df2_landmarks.modeling  # noqa: F401 (registers the heads)
from df2_landmarks.data import LandmarkDatasetMapper, LandmarkRecords
from df2_landmarks.engine.accumulation import accumulated_step, check_accumulation
from df2_landmarks.engine.averaging import AverageWeights, WeightAverage
from df2_landmarks.engine.box_mask_evaluator import BoxMaskEvaluator
from df2_landmarks.engine.checkpoint import LandmarkCheckpointer
from df2_landmarks.engine.cpu_precision import has_bfloat16, train_in_bfloat16
from df2_landmarks.engine.evaluation_hook import EarlyStop, EvaluationHook
from df2_landmarks.engine.landmark_evaluator import LandmarkEvaluator
from df2_landmarks.engine.tta_evaluation import merge_results, tta_config
from df2_landmarks.modeling import LandmarkRCNNWithTTA

logger = logging.getLogger(__name__)


class Trainer(DefaultTrainer):
    """`DefaultTrainer` for landmark data sets."""

    def __init__(self, cfg: CfgNode) -> None:
        """
        Args:
            cfg: frozen configuration.

        Raises:
            ValueError: the batch cannot be split as SOLVER.ACCUMULATE_STEPS asks.
        """
        super().__init__(cfg)
        check_accumulation(self.cfg)  # after its batch has been scaled to the number of GPUs

    def resume_or_load(self, resume: bool = True) -> None:
        if resume and not self.checkpointer.has_checkpoint():
            logger.warning(
                f"--resume: OUTPUT_DIR {self.cfg.OUTPUT_DIR} holds no checkpoint; starting anew"
            )
        super().resume_or_load(resume)

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
        if not any(len(split) for split in splits):
            raise ValueError(f"DATASETS.TRAIN {cfg.DATASETS.TRAIN}: no image has a garment")
        dataset = splits[0] if len(splits) == 1 else ConcatDataset(splits)
        mapper = LandmarkDatasetMapper(cfg, is_train=True)
        return build_detection_train_loader(cfg, mapper=mapper, dataset=dataset)

    @classmethod
    def test_records(cls, dataset_name: str) -> Sequence[dict[str, Any]]:
        """The images that are evaluated."""
        return DatasetCatalog.get(dataset_name)

    @classmethod
    def build_test_loader(cls, cfg: CfgNode, dataset_name: str) -> Any:
        return build_detection_test_loader(
            cls.test_records(dataset_name),
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
    def test(cls, cfg: CfgNode, model: nn.Module, evaluators: Any = None) -> dict[str, Any]:
        """As the stock one; with TEST.AUG.ENABLED each task's result and beside it `<task>_TTA`."""
        if not cfg.TEST.AUG.ENABLED:
            return super().test(cfg, model, evaluators)
        augmented_model = LandmarkRCNNWithTTA(cfg, model)
        plain = super().test(cfg, model, evaluators)
        augmented = super().test(tta_config(cfg), augmented_model, evaluators)
        return merge_results(plain, augmented, cfg)

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

    def build_hooks(self) -> list[HookBase]:
        """The stock ones, with averaged weights and with `EvaluationHook` for the evaluation."""
        model = self.model.module if comm.get_world_size() > 1 else self.model
        decay = self.cfg.SOLVER.EMA_DECAY
        average = WeightAverage(model, decay) if decay else None
        # Replaced here, since the stock hook for saving takes the checkpointer that is there now.
        self.checkpointer = LandmarkCheckpointer(
            model, self.cfg.OUTPUT_DIR, average=average, trainer=weakref.proxy(self)
        )
        hooks = super().build_hooks()
        place = next(i for i, hook in enumerate(hooks) if isinstance(hook, EvalHook))
        hooks[place] = EvaluationHook(self.cfg, with_pictures=has_tensorboard())
        return hooks if average is None else [AverageWeights(average), *hooks]

    def build_writers(self) -> list[EventWriter]:
        """The stock ones; where TensorBoard is not installed, without it."""
        if has_tensorboard():
            return super().build_writers()
        logger.warning("tensorboard is not installed: losses and scores go to metrics.json only.")
        return [
            CommonMetricPrinter(self.max_iter),
            JSONWriter(str(Path(self.cfg.OUTPUT_DIR, "metrics.json"))),
        ]

    def evaluated_weights(self) -> AbstractContextManager[None]:
        """The model has the weights to evaluate inside: the average, where there is one."""
        return self.checkpointer.evaluated_weights()

    def run_step(self) -> None:
        if self.cfg.SOLVER.ACCUMULATE_STEPS == 1:
            super().run_step()
            return
        self._trainer.iter = self.iter
        accumulated_step(self._trainer, self.cfg.SOLVER.ACCUMULATE_STEPS)

    def train(self) -> Any:
        """As the stock one; ends early, and saves, when an evaluation says so."""
        try:
            return super().train()
        except EarlyStop as stop:
            logger.info(str(stop))
            self.checkpointer.save("model_final")
            return self._last_eval_results

    def state_dict(self) -> dict[str, Any]:
        # Detectron2 v0.5 leaves out the optimizer, so that a resumed training loses its momentum.
        return {**super().state_dict(), "_trainer": self._trainer.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        if "_trainer" in state_dict:
            self._trainer.load_state_dict(state_dict["_trainer"])


def has_tensorboard() -> bool:
    return importlib.util.find_spec("tensorboard") is not None
