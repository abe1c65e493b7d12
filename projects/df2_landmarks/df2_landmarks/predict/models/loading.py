"""From a file to its model: a checkpoint, or a file of `df2 export`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from df2_landmarks.common import UserError, check_input_file
from df2_landmarks.predict.models.exported_model import ExportedModel, Session
from df2_landmarks.predict.models.model import Model


def load_model(
    file: Path,
    *,
    config: str | os.PathLike[str] | None = None,
    opts: Sequence[str] = (),
    device: str | None = None,
    half: bool = False,
    tta: bool = False,
) -> Model:
    """Load a model; the arguments are those of `Predictor.load`.

    Raises:
        UserError: the file, its configuration or an option is wrong.
    """
    if file.suffix in EXPORT_SUFFIXES:
        given = {"config": config, "opts": opts, "half": half, "tta": tta}
        if fixed := [name for name, value in given.items() if value]:
            raise UserError(
                f"{file}: {', '.join(fixed)}: an exported file has its configuration and precision "
                "inside; give the checkpoint, or export it again with other --opts",
                exit_code=2,
            )
        if device not in (None, "cpu"):
            raise UserError(
                f"{file}: device {device}: an exported file runs on the CPU; on a GPU the "
                "checkpoint is as fast",
                exit_code=2,
            )
        return load_exported(file, file.suffix)
    from df2_landmarks.predict.models.torch_model import TorchModel  # imports torch: seconds

    return TorchModel.load(file, config=config, opts=opts, device=device, half=half, tta=tta)


def load_exported(file: Path, suffix: str) -> ExportedModel:
    """Load a file of `df2 export`.

    Args:
        file: its path.
        suffix: one of `EXPORT_SUFFIXES`, which says what it is.

    Raises:
        UserError: it is missing, damaged or of another model, or what runs it is not installed.
    """
    check_input_file(file)
    return ExportedModel(SESSIONS[suffix](file), str(file))


def _onnx(file: Path) -> Session:
    from df2_landmarks.predict.models.onnx_session import OnnxSession

    return OnnxSession(file)


def _torchscript(file: Path) -> Session:
    from df2_landmarks.predict.models.torchscript_session import TorchScriptSession

    return TorchScriptSession(file)


SESSIONS: dict[str, Callable[[Path], Session]] = {".onnx": _onnx, ".ts": _torchscript}
"""Ending of an exported file -> what runs it."""
EXPORT_SUFFIXES = tuple(SESSIONS)
