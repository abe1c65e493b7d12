"""From a file to its model: a checkpoint, or a file of `df2 export`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from df2_landmarks.common import UserError, check_input_file
from df2_landmarks.formats import check_graph
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
        given = {"config": config, "opts": opts, "tta": tta}
        if fixed := [name for name, value in given.items() if value]:
            raise UserError(
                f"{file}: {', '.join(fixed)}: an exported file has its configuration inside; give "
                "the checkpoint, or export it again with other --opts",
                exit_code=2,
            )
        if device not in (None, "cpu"):
            raise UserError(
                f"{file}: device {device}: an exported file runs on the CPU; on a GPU use the "
                "checkpoint",
                exit_code=2,
            )
        return load_exported(file, file.suffix, half=half)
    from df2_landmarks.predict.models.torch_model import TorchModel  # imports torch: seconds

    return TorchModel.load(file, config=config, opts=opts, device=device, half=half, tta=tta)


def load_exported(file: Path, suffix: str, *, half: bool = False) -> ExportedModel:
    """Load a file of `df2 export`.

    Args:
        file: its path.
        suffix: one of `EXPORT_SUFFIXES`, which says what it is.
        half: compute in bfloat16.

    Raises:
        UserError: it is missing, damaged or of another model, or what runs it is not installed.
    """
    check_input_file(file)
    session = SESSIONS[suffix](file, half)
    check_graph(session.metadata, str(file), lambda size: _digest(file, size))
    return ExportedModel(session, str(file), half=half)


def _onnx(file: Path, half: bool) -> Session:
    """ONNX Runtime; OpenVINO for bfloat16, or if it is the only one there."""
    if half or (find_spec("openvino") and not find_spec("onnxruntime")):
        from df2_landmarks.predict.models.openvino_session import OpenVinoSession

        return OpenVinoSession(file, half=half)
    from df2_landmarks.predict.models.onnx_session import OnnxSession

    return OnnxSession(file)


def _torchscript(file: Path, half: bool) -> Session:
    if half:
        raise UserError(f"{file}: half: a TorchScript file computes in float32", exit_code=2)
    from df2_landmarks.predict.models.torchscript_session import TorchScriptSession

    return TorchScriptSession(file)


SESSIONS: dict[str, Callable[[Path, bool], Session]] = {".onnx": _onnx, ".ts": _torchscript}
"""Ending of an exported file -> what runs it."""
EXPORT_SUFFIXES = tuple(SESSIONS)


def _digest(file: Path, size: int) -> str:
    """Hash the first bytes of a file: the graph, without the metadata behind it."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while size > 0 and (block := stream.read(min(size, 1 << 20))):
            digest.update(block)
            size -= len(block)
    return digest.hexdigest()
