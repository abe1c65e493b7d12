"""A few iterations and an evaluation, to catch errors early and estimate time, memory and disk."""

from __future__ import annotations

import logging
import shutil
import statistics
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog
from detectron2.evaluation import DatasetEvaluator, DatasetEvaluators
from detectron2.utils import comm

from df2_landmarks.common import UserError
from df2_landmarks.engine.evaluation import ScoresFile
from df2_landmarks.engine.trainer import Trainer
from df2_landmarks.engine.training import peak_memory

logger = logging.getLogger(__name__)

NUM_STEPS = 10
"""Iterations; Detectron2 does not time the first two, which cost extra."""

NUM_IMAGES = 20


def dry_run(cfg: CfgNode) -> None:
    """Train for `NUM_STEPS` iterations, save, evaluate `NUM_IMAGES` images, and log an estimate.

    All processes of a training call it. The checkpoints are removed again.

    Args:
        cfg: configuration of the training, with a folder for the dry run as OUTPUT_DIR.

    Raises:
        UserError: the disk is too small for the checkpoints of the training, or anything that the
            training itself would raise.
    """
    sizes = {name: _size(name) for name in (*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST)}
    watch = _Stopwatch()
    trainer = _trainer_class(watch)(cfg)
    trainer.max_iter = NUM_STEPS  # the schedule of the learning rate keeps the real number
    folder = Path(cfg.OUTPUT_DIR)
    try:
        trainer.resume_or_load(resume=False)
        trainer.train()
        peak = max(comm.all_gather(peak_memory(cfg.MODEL.DEVICE)))
        if comm.is_main_process():
            _report(trainer, sizes, watch, peak)
    finally:
        if comm.is_main_process():
            for path in (*folder.glob("*.pth"), folder / "last_checkpoint"):
                path.unlink(missing_ok=True)


class _Stopwatch(DatasetEvaluator):
    """An evaluator, placed before the others, that measures the time of the model on the images."""

    def __init__(self) -> None:
        self.files: set[str] = set()  # with augmentation each image is processed twice
        self.seconds = 0.0

    def reset(self) -> None:
        self._start = time.perf_counter()

    def process(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        self.files.update(image_input["file_name"] for image_input in inputs)

    def evaluate(self) -> None:
        self.seconds += time.perf_counter() - self._start


def _trainer_class(watch: _Stopwatch) -> type[Trainer]:
    class DryRunTrainer(Trainer):
        @classmethod
        def test_records(cls, dataset_name: str) -> Sequence[dict[str, Any]]:
            records = super().test_records(dataset_name)
            return records[:: max(1, len(records) // NUM_IMAGES)][:NUM_IMAGES]

        @classmethod
        def build_evaluator(
            cls, cfg: CfgNode, dataset_name: str, scores_file: ScoresFile | None = None
        ) -> DatasetEvaluators:
            return DatasetEvaluators(
                [watch, super().build_evaluator(cfg, dataset_name, scores_file)]
            )

    return DryRunTrainer


def _size(dataset_name: str) -> tuple[int, int]:
    """Number of images and of garments."""
    records = DatasetCatalog.get(dataset_name)
    return len(records), sum(len(record["annotations"]) for record in records)


def _report(
    trainer: Trainer, sizes: dict[str, tuple[int, int]], watch: _Stopwatch, peak: int
) -> None:
    cfg = trainer.cfg  # batch and schedule are scaled to the number of GPUs
    solver, period = cfg.SOLVER, cfg.TEST.EVAL_PERIOD
    steps = sorted(value for value, _ in trainer.storage.histories()["time"].values())
    step = statistics.median(steps)
    fast, slow = (_time(value * solver.MAX_ITER) for value in (steps[0], steps[-1]))
    lines = [
        f"data        {name}: {images:,} images, {garments:,} garments"
        for name, (images, garments) in sizes.items()
    ]
    lines.append(
        f"training    {step:.2f} s per iteration of {solver.IMS_PER_BATCH} images (median of "
        f"{len(steps)}, from {steps[0]:.2f} to {steps[-1]:.2f}); {solver.MAX_ITER:,} iterations "
        f"take {_time(step * solver.MAX_ITER)} (from {fast} to {slow}: new shapes of images cost "
        "extra, mostly at the start)"
    )
    if watch.files:
        num_processes = comm.get_world_size()
        image = watch.seconds / len(watch.files)
        num_images = sum(sizes[name][0] for name in cfg.DATASETS.TEST)
        evaluation = image * num_images / num_processes
        count = 1 if period <= 0 else -(-solver.MAX_ITER // period)
        lines.append(
            f"evaluation  {image:.2f} s per image; {num_images:,} images take {_time(evaluation)}, "
            f"and {count} evaluation{'s' * (count > 1)} {_time(count * evaluation)}"
        )
    device = "process (its data loaders apart)" if cfg.MODEL.DEVICE == "cpu" else "GPU"
    lines.append(f"memory      at most {_bytes(peak)} per {device}, in {NUM_STEPS} iterations")
    folder = Path(cfg.OUTPUT_DIR)
    weights = sum(t.numel() * t.element_size() for t in trainer.model.state_dict().values())
    checkpoint = (folder / "model_final.pth").stat().st_size
    count = solver.MAX_ITER // solver.CHECKPOINT_PERIOD
    if solver.CHECKPOINTS_KEPT:  # one more while the oldest is still there
        count = min(count, solver.CHECKPOINTS_KEPT + 1)
    count += 1  # model_final.pth
    needed = count * checkpoint + (weights if period > 0 else 0)
    free = shutil.disk_usage(folder).free + checkpoint
    lines.append(
        f"disk        {count} checkpoints of {_bytes(checkpoint)} need {_bytes(needed)}; "
        f"{_bytes(free)} are free"
    )
    logger.info("Dry run (its scores mean nothing):\n" + "\n".join(f"  {line}" for line in lines))
    if needed > free:
        raise UserError(
            f"OUTPUT_DIR {folder.parent}: the checkpoints of the training need {_bytes(needed)}, "
            f"but {_bytes(free)} are free. Make room, or set a lower SOLVER.CHECKPOINTS_KEPT",
            exit_code=2,
        )


def _time(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def _bytes(number: int) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"
