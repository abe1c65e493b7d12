"""One iteration of training in micro-batches, or in bfloat16 on a CPU."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.engine import SimpleTrainer
from detectron2.utils import comm
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from df2_landmarks.common import UserError
from df2_landmarks.data import OrderedSampler, seed_by

LOADER_SECONDS = 600.0
"""A loader that gives no batch for so long ends the training: its processes hang or are gone."""


class WatchedLoader:
    """A training loader that remembers its last images and does not wait for ever.

    With each batch it gives the random numbers of the iteration that trains on it, which decide
    what the losses are computed from: they depend on the seed and the number of the batch only.

    Attributes:
        files: of the last batch.
        sampler: decides the order of the images; None where Detectron2's own does.
    """

    def __init__(
        self, loader: Any, sampler: OrderedSampler | None = None, *, num_batches: int = 0
    ) -> None:
        """
        Args:
            loader: Detectron2's.
            sampler: of the loader.
            num_batches: that an earlier loader of this training has given.
        """
        self._num_batches = num_batches
        self.files: list[str] = []
        self.sampler = sampler
        self._loader = loader
        for part in (loader, getattr(loader, "dataset", None)):  # inside Detectron2's own loaders
            if isinstance(part, DataLoader) and part.num_workers:
                part.timeout = LOADER_SECONDS

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def __iter__(self) -> Iterator[list[dict[str, Any]]]:
        batches = iter(self._loader)
        while True:
            try:
                batch = next(batches)
            except RuntimeError as error:
                if "timed out" not in str(error):
                    raise
                raise UserError(
                    f"the loader has given no batch for {LOADER_SECONDS:.0f} s: its processes hang "
                    "(a network file system, or shared memory that is full?). Try "
                    "DATALOADER.NUM_WORKERS 0"
                ) from error
            self.files = [image.get("file_name", "?") for image in batch]
            if self.sampler is not None:
                seed_by(self.sampler.order.seed, self._num_batches, comm.get_rank(), 1)
            self._num_batches += 1
            yield batch


def check_accumulation(cfg: CfgNode) -> None:
    """Check that each process can split its batch into SOLVER.ACCUMULATE_STEPS equal parts.

    Raises:
        UserError: it cannot.
    """
    steps, batch = cfg.SOLVER.ACCUMULATE_STEPS, cfg.SOLVER.IMS_PER_BATCH
    per_process = batch // comm.get_world_size()
    if steps < 1 or per_process % steps:
        raise UserError(
            f"SOLVER.ACCUMULATE_STEPS must divide the images of a batch that a process gets: "
            f"{per_process} (SOLVER.IMS_PER_BATCH {batch} over {comm.get_world_size()} "
            f"processes), but got {steps}"
        )


def trains_in_bfloat16(cfg: CfgNode) -> bool:
    """Return whether training on the CPU runs in bfloat16.

    It does if SOLVER.BF16_ON_CPU asks for it and the processor computes in bfloat16 natively, by
    AVX512-BF16 or AMX. Mixed precision on a GPU is Detectron2's own (SOLVER.AMP).
    """
    capabilities = torch.cpu.get_capabilities()
    is_native = bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return cfg.SOLVER.BF16_ON_CPU and cfg.MODEL.DEVICE == "cpu" and is_native


def training_step(trainer: SimpleTrainer, *, num_parts: int = 1, bfloat16: bool = False) -> None:
    """Do `trainer.run_step()` with the batch split into micro-batches, or in bfloat16 on a CPU.

    Gradients and logged losses are means over the micro-batches. They equal those of the whole
    batch where the loss is a mean over images. A loss that is normalized by the number of regions
    or landmarks in the batch (mask, landmarks) is normalized per micro-batch, and batch
    normalization sees one micro-batch at a time.

    Args:
        trainer: a `SimpleTrainer` or `AMPTrainer` of Detectron2 v0.5 or later.
        num_parts: number of micro-batches, a divisor of the length of the batch.
        bfloat16: compute the forward pass in bfloat16 where that is safe (autocast). Parameters and
            gradients stay float32.
    """
    start = time.perf_counter()
    batch = next(trainer._data_loader_iter)
    data_time = time.perf_counter() - start

    scaler = getattr(trainer, "grad_scaler", None)  # an AMPTrainer's
    logged: dict[str, torch.Tensor] = {}
    trainer.optimizer.zero_grad()
    size = len(batch) // num_parts
    for first in range(0, len(batch), size):
        is_last = first + size >= len(batch)
        with _gradients_exchanged(trainer.model, is_last):
            with _precision(mixed=scaler is not None, bfloat16=bfloat16):
                losses = trainer.model(batch[first : first + size])
                loss = sum(losses.values()) / num_parts
            (scaler.scale(loss) if scaler else loss).backward()
        for name, value in losses.items():
            logged[name] = logged.get(name, 0) + value.detach() / num_parts
    trainer._write_metrics(logged, data_time)
    if scaler:
        scaler.step(trainer.optimizer)
        scaler.update()
    else:
        trainer.optimizer.step()


def _gradients_exchanged(model: torch.nn.Module, is_last: bool) -> AbstractContextManager[None]:
    """Let processes exchange gradients with the last micro-batch only."""
    if isinstance(model, DistributedDataParallel) and not is_last:
        return model.no_sync()
    return nullcontext()


def _precision(*, mixed: bool, bfloat16: bool) -> AbstractContextManager[None]:
    if bfloat16:
        return torch.autocast("cpu", torch.bfloat16)
    return torch.autocast("cuda") if mixed else nullcontext()
