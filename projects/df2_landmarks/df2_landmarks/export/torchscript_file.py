"""TorchScript: the graph by `torch.jit.trace`, the metadata as an extra file in its archive."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from df2_landmarks.export.traceable import TraceableRCNN
from df2_landmarks.formats import ExportRecord, export_metadata


def write(
    file: Path,
    model: TraceableRCNN,
    example: tuple[torch.Tensor, ...],
    record: Mapping[str, Any],
    export: ExportRecord,
) -> None:
    """Write a model as TorchScript; the arguments are those of `onnx_file.write`."""
    with warnings.catch_warnings():
        # About values that become constants, and about TorchScript's age: parity decides.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(model, example, check_trace=False)
        torch.jit.save(traced, str(file), _extra_files=export_metadata(record, export))
