"""Mixed precision on a CPU. Detectron2's own (SOLVER.AMP) needs a GPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def has_bfloat16() -> bool:
    """Whether the processor computes in bfloat16 natively, by AVX512-BF16 or AMX."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def train_in_bfloat16(model: nn.Module) -> None:
    """Make a model's forward pass in training run in bfloat16 where that is safe (autocast).

    Parameters, gradients and evaluation stay float32.
    """
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    forward = model.forward

    def autocast_forward(*args: Any, **kwargs: Any) -> Any:
        with torch.autocast("cpu", torch.bfloat16, enabled=model.training):
            return forward(*args, **kwargs)

    model.forward = autocast_forward
