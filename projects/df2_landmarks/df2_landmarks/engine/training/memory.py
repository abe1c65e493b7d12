"""How much memory a training needs."""

from __future__ import annotations

import sys

import torch
from detectron2.engine import HookBase

MEMORY = "max_mem_mb"
"""Name of the peak memory in metrics.json and TensorBoard, in MB."""


class PeakMemory(HookBase):
    """A hook that records the peak memory of each process so far; the main one's is written."""

    def __init__(self, device: str) -> None:
        """
        Args:
            device: of the model, "cpu" or another.
        """
        self._device = device

    def after_step(self) -> None:
        peak_mb = peak_memory(self._device) / 1e6
        self.trainer.storage.put_scalar(MEMORY, peak_mb, smoothing_hint=False)


def peak_memory(device: str) -> int:
    """Return the most bytes that this process held: on its GPU, else in main memory."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated()
    import resource  # not on Windows, where the predictor works

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
