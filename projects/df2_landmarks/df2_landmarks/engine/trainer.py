"""Detectron2's trainer with this project's data, model, evaluators, optimizer and hooks."""

from __future__ import annotations

import importlib.util
import logging
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.data import (
    DatasetCatalog,
    build_detection_test_loader,
    build_detection_train_loader,
)
from detectron2.data.samplers import RepeatFactorTrainingSampler
from detectron2.engine import AMPTrainer, DefaultTrainer, HookBase, SimpleTrainer, TrainerBase
from detectron2.engine.hooks import EvalHook
from detectron2.evaluation import DatasetEvaluators
from detectron2.utils import comm
from detectron2.utils.events import CommonMetricPrinter, EventWriter, JSONWriter
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import ConcatDataset

import df2_landmarks.modeling  # noqa: F401 (registers the heads)
from df2_landmarks.common import UserError, remove_leftovers
from df2_landmarks.data import (
    ImageOrder,
    LandmarkDatasetMapper,
    LandmarkRecords,
    OrderedImages,
    OrderedSampler,
    places_left,
    training_mapper,
)
from df2_landmarks.engine.checkpoint import LandmarkCheckpointer
from df2_landmarks.engine.evaluation import (
    BoxMaskEvaluator,
    LandmarkEvaluator,
    ScoresFile,
    augmented_table,
)
from df2_landmarks.engine.evaluation_hook import EarlyStop, EvaluationHook
from df2_landmarks.engine.training import (
    AverageWeights,
    PeakMemory,
    WatchedLoader,
    WeightAverage,
    build_optimizer,
    check_accumulation,
    training_step,
    trains_in_bfloat16,
)
from df2_landmarks.formats import model_record
from df2_landmarks.modeling import LandmarkRCNNWithTTA
from df2_landmarks.taxonomy import taxonomy_of

logger = logging.getLogger(__name__)

TTA_SUFFIX = "_TTA"
"""End of the names of tasks that were evaluated with test-time augmentation, as in Detectron2."""

TTA_FOLDER = "inference_TTA"
"""Folder in OUTPUT_DIR for the files of the augmented evaluation."""


class Trainer(DefaultTrainer):
    """`DefaultTrainer` for landmark data sets."""

    def __init__(self, cfg: CfgNode) -> None:
        """
        Args:
            cfg: frozen configuration.

        Raises:
            UserError: the configuration cannot be trained with.
        """
        TrainerBase.__init__(self)  # Detectron2's own constructor knows processes on GPUs only
        self.cfg = cfg = self.auto_scale_workers(cfg, comm.get_world_size())
        model = self.build_model(cfg)
        optimizer = self.build_optimizer(cfg, model)
        loader = self.build_train_loader(cfg)
        step = AMPTrainer if cfg.SOLVER.AMP.ENABLED else SimpleTrainer
        self._trainer = step(_parallel(model), loader, optimizer)
        self.scheduler = self.build_lr_scheduler(cfg, optimizer)
        self.start_iter, self.max_iter = 0, cfg.SOLVER.MAX_ITER
        self.register_hooks(self.build_hooks())
        check_accumulation(self.cfg)  # its batch has been scaled to the number of processes
        self._num_parts = self.cfg.SOLVER.ACCUMULATE_STEPS
        self._bfloat16 = trains_in_bfloat16(self.cfg)

    def resume_or_load(self, resume: bool = True) -> None:
        """Load the newest whole checkpoint of this training, or the weights to start from.

        A new training in the folder of an earlier one gets a name of its own, so that it is never
        resumed from the checkpoints of the other.
        """
        found = resume and self.checkpointer.has_checkpoint()
        if resume and not found:
            logger.warning(
                f"--resume: OUTPUT_DIR {self.cfg.OUTPUT_DIR} holds no checkpoint; starting anew"
            )
        super().resume_or_load(resume)
        if found:
            self._continue_order()
        comm.synchronize()  # all have looked at the folder as it was
        self.checkpointer.start_run(new=not found)
        if comm.is_main_process():
            remove_leftovers(self.cfg.OUTPUT_DIR)
        if found and self.start_iter >= self.max_iter:
            if not self.checkpointer.path_of("model_final").exists():  # killed while it was written
                self.checkpointer.save("model_final", iteration=self.start_iter - 1)
            logger.warning(
                f"--resume: this training is finished ({self.start_iter} of SOLVER.MAX_ITER "
                f"{self.max_iter} iterations); raise SOLVER.MAX_ITER to go on"
            )

    def _continue_order(self) -> None:
        """Go on in the order of the images where the training was interrupted."""
        sampler = self._trainer.data_loader.sampler
        if sampler is None or not self.start_iter:
            return
        loader = self.build_train_loader(
            self.cfg, seed=sampler.order.seed, num_batches=self.start_iter
        )
        self._trainer.data_loader = loader
        if "_data_loader_iter" in vars(self._trainer):  # Detectron2 v0.5 makes it at once
            self._trainer._data_loader_iter = iter(loader)
        else:
            self._trainer._data_loader_iter_obj = None

    @classmethod
    def build_model(cls, cfg: CfgNode) -> nn.Module:
        model = super().build_model(cfg)
        if trains_in_bfloat16(cfg):
            model.to(memory_format=torch.channels_last)
        return model

    @classmethod
    def build_train_loader(
        cls, cfg: CfgNode, *, seed: int | None = None, num_batches: int = 0
    ) -> WatchedLoader:
        """Return the loader of a training.

        Args:
            cfg: frozen configuration.
            seed: of the order of the images and of their augmentation; None: a new one, which
                cfg.SEED decides.
            num_batches: that have been trained on already, and are not loaded again.
        """
        # The records stay on disk; Detectron2's own loader makes a list of all of them.
        splits = [DatasetCatalog.get(name) for name in cfg.DATASETS.TRAIN]
        if cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS:
            splits = [s.with_garments() if isinstance(s, LandmarkRecords) else s for s in splits]
        if not any(len(split) for split in splits):
            raise UserError(f"DATASETS.TRAIN {cfg.DATASETS.TRAIN}: no image has a garment")
        dataset = splits[0] if len(splits) == 1 else ConcatDataset(splits)
        mapper = training_mapper(cfg, dataset)
        repeat_factors = None
        if cfg.DATALOADER.SAMPLER_TRAIN == "RepeatFactorTrainingSampler":
            repeat_factors = RepeatFactorTrainingSampler.repeat_factors_from_category_frequency(
                dataset, cfg.DATALOADER.REPEAT_THRESHOLD
            )
        elif cfg.DATALOADER.SAMPLER_TRAIN != "TrainingSampler":
            return WatchedLoader(build_detection_train_loader(cfg, mapper=mapper, dataset=dataset))
        seed = comm.shared_random_seed() if seed is None else seed
        order = ImageOrder(len(dataset), seed=seed, repeat_factors=repeat_factors)
        by_shape = cfg.DATALOADER.ASPECT_RATIO_GROUPING
        waiting, start = places_left(
            order,
            dataset,
            num_batches=num_batches,
            batch_size=cfg.SOLVER.IMS_PER_BATCH // comm.get_world_size(),
            by_shape=by_shape,
        )
        sampler = OrderedSampler(order, waiting, start)
        loader = build_detection_train_loader(
            OrderedImages(dataset, mapper, order),
            mapper=None,
            sampler=sampler,
            total_batch_size=cfg.SOLVER.IMS_PER_BATCH,
            aspect_ratio_grouping=by_shape,
            num_workers=cfg.DATALOADER.NUM_WORKERS,
        )
        return WatchedLoader(loader, sampler, num_batches=num_batches)

    @classmethod
    def test_records(cls, dataset_name: str) -> Sequence[dict[str, Any]]:
        """Return the images that are evaluated."""
        return DatasetCatalog.get(dataset_name)

    @classmethod
    def build_test_loader(cls, cfg: CfgNode, dataset_name: str) -> Any:
        return build_detection_test_loader(
            cls.test_records(dataset_name),
            mapper=LandmarkDatasetMapper(cfg, is_train=False),
            num_workers=cfg.DATALOADER.NUM_WORKERS,
        )

    @classmethod
    def build_evaluator(
        cls, cfg: CfgNode, dataset_name: str, scores_file: ScoresFile | None = None
    ) -> DatasetEvaluators:
        """Return box and mask AP, then landmark AP; files go to OUTPUT_DIR."""
        output = {"output_dir": cfg.OUTPUT_DIR, "scores_file": scores_file}
        tasks = ("bbox", "segm") if cfg.MODEL.MASK_ON else ("bbox",)
        return DatasetEvaluators(
            [
                BoxMaskEvaluator(dataset_name, tasks=tasks, **output),
                LandmarkEvaluator(dataset_name, **output),
            ]
        )

    @classmethod
    def test(
        cls, cfg: CfgNode, model: nn.Module, evaluators: Any = None, **evaluated: Any
    ) -> dict[str, Any]:
        """Evaluate as Detectron2; with TEST.AUG.ENABLED also augmented, as `<task>_TTA`.

        Both results are then logged beside each other.

        Args:
            cfg: configuration with the data sets and the folder of the files.
            model: the model.
            evaluators: as Detectron2's; None: those of `build_evaluator`, which also write
                ``scores.json``.
            evaluated: what ``scores.json`` says about the model: ``weights`` or ``iterations``.
        """
        if not cfg.TEST.AUG.ENABLED:
            return cls._test(cfg, model, evaluators, evaluated)
        augmented_model = LandmarkRCNNWithTTA(cfg, model)
        plain = cls._test(cfg, model, evaluators, evaluated)
        augmented = cls._test(tta_config(cfg), augmented_model, evaluators, evaluated)
        return merge_results(plain, augmented, cfg)

    @classmethod
    def _test(
        cls, cfg: CfgNode, model: nn.Module, evaluators: Any, evaluated: dict[str, Any]
    ) -> dict[str, Any]:
        if evaluators is None:
            scores_file = ScoresFile(cfg.OUTPUT_DIR, **evaluated)
            names = cfg.DATASETS.TEST
            evaluators = [cls.build_evaluator(cfg, name, scores_file) for name in names]
        return super().test(cfg, model, evaluators)

    @classmethod
    def build_optimizer(cls, cfg: CfgNode, model: nn.Module) -> torch.optim.Optimizer:
        return build_optimizer(cfg, model)

    def build_hooks(self) -> list[HookBase]:
        """Return the stock hooks with averaged weights and with `EvaluationHook` as evaluation."""
        model = self.model.module if comm.get_world_size() > 1 else self.model
        decay = self.cfg.SOLVER.EMA_DECAY
        average = WeightAverage(model, decay) if decay else None
        trainer = weakref.proxy(self)  # so that hooks do not keep models alive
        sampler, taxonomy = self._trainer.data_loader.sampler, taxonomy_of(self.cfg)
        # Replaced before the stock hooks are built, whose hook for saving takes this checkpointer.
        self.checkpointer = LandmarkCheckpointer(
            model,
            self.cfg.OUTPUT_DIR,
            average=average,
            record=model_record(self.cfg.dump(), taxonomy),
            taxonomy=taxonomy,
            num_kept=self.cfg.SOLVER.CHECKPOINTS_KEPT,
            trainer=trainer,
            **({} if sampler is None else {"order_of_images": sampler}),
        )
        hooks = super().build_hooks()
        place = next(i for i, hook in enumerate(hooks) if isinstance(hook, EvalHook))
        hooks[place] = EvaluationHook(
            self.cfg,
            evaluate=lambda: trainer._evaluate(),
            checkpointer=self.checkpointer,
            with_pictures=has_tensorboard(),
        )
        hooks.insert(0, PeakMemory(self.cfg.MODEL.DEVICE))  # before the hook that writes
        return hooks if average is None else [AverageWeights(average), *hooks]

    def _evaluate(self) -> dict[str, Any]:
        # After the last iteration `iter` is `max_iter`.
        iterations = min(self.iter + 1, self.max_iter)
        results = self.test(self.cfg, self.checkpointer.evaluated_model, iterations=iterations)
        self._last_eval_results = results  # what `train` of Detectron2 returns
        return results

    def build_writers(self) -> list[EventWriter]:
        """Return the stock writers, without TensorBoard where it is not installed."""
        metrics = Path(self.cfg.OUTPUT_DIR, "metrics.json")
        drop_unfinished_line(metrics)
        if has_tensorboard():
            return super().build_writers()
        logger.warning("tensorboard is not installed: losses and scores go to metrics.json only.")
        return [CommonMetricPrinter(self.max_iter), JSONWriter(str(metrics))]

    def run_step(self) -> None:
        """Do one iteration.

        Raises:
            UserError: the loss is not finite, or the loader gives no batch.
        """
        try:
            if self._num_parts == 1 and not self._bfloat16:
                super().run_step()
            else:
                self._trainer.iter = self.iter
                training_step(self._trainer, num_parts=self._num_parts, bfloat16=self._bfloat16)
        except FloatingPointError as error:
            raise UserError(self._about_the_loss(error)) from error

    def _about_the_loss(self, error: FloatingPointError) -> str:
        losses = " ".join(str(error).partition("loss_dict = ")[2].split())
        files = ", ".join(getattr(self._trainer.data_loader, "files", ()))
        last = self.checkpointer.get_checkpoint_file()
        from_before = f"the last checkpoint is {last}" if last else "there is no checkpoint yet"
        return (
            f"iteration {self.iter}: the loss is not a finite number ({losses}); images: {files}. "
            "Look at their annotations (`df2 check`), or try a lower SOLVER.BASE_LR, more "
            f"SOLVER.WARMUP_ITERS, or SOLVER.CLIP_GRADIENTS.ENABLED True; {from_before}"
        )

    def train(self) -> Any:
        """Train as Detectron2; end early, and save, where an evaluation raises `EarlyStop`."""
        loop = logging.getLogger(TrainerBase.__module__)
        loop.addFilter(without_traceback)
        try:
            return super().train()
        except EarlyStop as stop:
            logger.info(str(stop))
            self.checkpointer.save("model_final")
            return self._last_eval_results
        finally:
            loop.removeFilter(without_traceback)

    def state_dict(self) -> dict[str, Any]:
        # Detectron2 v0.5 leaves out the optimizer, so that a resumed training loses its momentum.
        return {
            **super().state_dict(),
            "_trainer": self._trainer.state_dict(),
            "images_per_batch": self.cfg.SOLVER.IMS_PER_BATCH,
            "processes": comm.get_world_size(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._check_batch(state_dict)
        if "_trainer" in state_dict:
            self._check_optimizer(state_dict["_trainer"]["optimizer"])
        super().load_state_dict(state_dict)
        if "_trainer" in state_dict:
            self._trainer.load_state_dict(state_dict["_trainer"])

    def _check_batch(self, saved: dict[str, Any]) -> None:
        """Check that an iteration has as many images as before, in whatever number of processes.

        Raises:
            UserError: it has not, so that learning rates and places in the order would be wrong.
        """
        batch, processes = self.cfg.SOLVER.IMS_PER_BATCH, comm.get_world_size()
        saved_batch = saved.get("images_per_batch", batch)
        saved_processes = saved.get("processes", processes)
        if saved_batch != batch:
            raise UserError(
                f"--resume: the training had {saved_batch} images in a batch ({saved_processes} "
                f"processes), now it has {batch} ({processes}). Resume with SOLVER.IMS_PER_BATCH "
                f"{saved_batch} and SOLVER.REFERENCE_WORLD_SIZE 0 (SOLVER.ACCUMULATE_STEPS saves "
                "memory), or start another training from it: MODEL.WEIGHTS, and another OUTPUT_DIR"
            )
        if saved_processes != processes:
            logger.warning(
                f"--resume: {processes} processes go on with what {saved_processes} began, with "
                f"{batch} images in a batch as before"
            )

    def _check_optimizer(self, saved: dict[str, Any]) -> None:
        """Check that a saved optimizer is of the same kind; torch would load another one silently.

        Raises:
            UserError: it is not.
        """
        # AdamW's groups have "betas", SGD's have "momentum".
        saved_kinds, kinds = (
            ["betas" in group for group in groups]
            for groups in (saved["param_groups"], self.optimizer.param_groups)
        )
        if saved_kinds != kinds:
            raise UserError(
                f"--resume: the last checkpoint in OUTPUT_DIR {self.cfg.OUTPUT_DIR} is of another "
                "optimizer or model, or of an older version of this code. Resume with its config, "
                "or start another training from it: MODEL.WEIGHTS, and another OUTPUT_DIR"
            )


def _parallel(model: nn.Module) -> nn.Module:
    """Let the processes exchange gradients, on GPUs and on CPUs."""
    if comm.get_world_size() == 1:
        return model
    device = next(model.parameters()).device
    device_ids = None if device.type == "cpu" else [device.index]
    return DistributedDataParallel(model, device_ids=device_ids, broadcast_buffers=False)


def tta_config(cfg: CfgNode) -> CfgNode:
    """Return the configuration of the augmented pass: its own folder, images in original size.

    The views are made from the original image. Detectron2's own projects make them from the image
    that is resized for the plain evaluation, which resizes twice.
    """
    cfg = cfg.clone()
    cfg.defrost()
    cfg.OUTPUT_DIR = str(Path(cfg.OUTPUT_DIR, TTA_FOLDER))
    cfg.INPUT.MIN_SIZE_TEST = 0  # Detectron2's value for "do not resize"
    cfg.freeze()
    views = cfg.TEST.AUG
    logger.info(
        f"Once more with test-time augmentation: short sides {views.MIN_SIZES}, "
        f"{'each also mirrored' if views.FLIP else 'not mirrored'}; files in {cfg.OUTPUT_DIR}"
    )
    return cfg


def merge_results(plain: dict[str, Any], augmented: dict[str, Any], cfg: CfgNode) -> dict[str, Any]:
    """Merge results of `DefaultTrainer.test`, and log the table of both.

    The augmented ones are named ``<task>_TTA``.
    """
    if len(cfg.DATASETS.TEST) > 1:  # a level of data sets above the tasks
        return OrderedDict(
            (name, _side_by_side(name, plain[name], augmented[name])) for name in plain
        )
    return _side_by_side("".join(cfg.DATASETS.TEST), plain, augmented)


def _side_by_side(
    dataset_name: str, plain: dict[str, Any], augmented: dict[str, Any]
) -> dict[str, Any]:
    if plain:  # empty without ground truth, and in all but the main process
        logger.info(
            f"{dataset_name} without and with test-time augmentation:\n"
            f"{augmented_table(plain, augmented)}"
        )
    return OrderedDict({**plain, **{task + TTA_SUFFIX: v for task, v in augmented.items()}})


def without_traceback(record: logging.LogRecord) -> bool:
    """Make one line of what Detectron2 logs about a user's error; a filter for loggers."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, UserError):
        record.msg, record.args, record.exc_info = f"{record.msg} {error}", (), None
    return True


def drop_unfinished_line(path: Path) -> None:
    """Cut off what a killed run wrote of a last line; Detectron2 appends to the file."""
    if path.is_file():
        with path.open("rb+") as file:
            file.truncate(file.read().rfind(b"\n") + 1)


def has_tensorboard() -> bool:
    """Return whether TensorBoard is installed."""
    return importlib.util.find_spec("tensorboard") is not None
