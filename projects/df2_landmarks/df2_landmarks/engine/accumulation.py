"""One optimizer step over a batch that is too large for the memory at once."""

from __future__ import annotations

import time
from contextlib import nullcontext

import torch
from detectron2.config import CfgNode
from detectron2.engine import SimpleTrainer
from detectron2.utils import comm
from torch.nn.parallel import DistributedDataParallel


def check_accumulation(cfg: CfgNode) -> None:
    """Check that each process can split its batch into SOLVER.ACCUMULATE_STEPS equal parts.

    Raises:
        ValueError: it cannot.
    """
    steps, batch = cfg.SOLVER.ACCUMULATE_STEPS, cfg.SOLVER.IMS_PER_BATCH
    per_process = batch // comm.get_world_size()
    if steps < 1 or per_process % steps:
        raise ValueError(
            f"SOLVER.ACCUMULATE_STEPS must divide the images of a batch that a process gets: "
            f"{per_process} (SOLVER.IMS_PER_BATCH {batch} over {comm.get_world_size()} "
            f"processes), but got {steps}"
        )


def accumulated_step(trainer: SimpleTrainer, steps: int) -> None:
    """`trainer.run_step()` with the batch split into `steps` micro-batches.

    Gradients and logged losses are means over the micro-batches. They equal those of the whole
    batch where the loss is a mean over images; a loss normalised by what it finds in the batch
    (mask, landmarks) is normalised per micro-batch, and batch normalisation sees one at a time.

    Args:
        trainer: a `SimpleTrainer` or `AMPTrainer` of Detectron2 v0.5 or later.
        steps: a divisor of the length of its batches.
    """
    start = time.perf_counter()
    batch = next(trainer._data_loader_iter)
    data_time = time.perf_counter() - start

    scaler = getattr(trainer, "grad_scaler", None)  # an AMPTrainer's
    logged: dict[str, torch.Tensor] = {}
    trainer.optimizer.zero_grad()
    size = len(batch) // steps
    for first in range(0, len(batch), size):
        is_last = first + size >= len(batch)
        waits = isinstance(trainer.model, DistributedDataParallel) and not is_last
        # processes exchange gradients once, with the last micro-batch
        with trainer.model.no_sync() if waits else nullcontext():
            with torch.autocast("cuda") if scaler else nullcontext():
                losses = trainer.model(batch[first : first + size])
                loss = sum(losses.values()) / steps
            (scaler.scale(loss) if scaler else loss).backward()
        for name, value in losses.items():
            logged[name] = logged.get(name, 0) + value.detach() / steps
    trainer._write_metrics(logged, data_time)
    if scaler:
        scaler.step(trainer.optimizer)
        scaler.update()
    else:
        trainer.optimizer.step()
