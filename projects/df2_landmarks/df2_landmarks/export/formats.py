"""The formats of exported files as a table of data, and why others are not in it."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

from df2_landmarks.common import UserError


@dataclass(frozen=True)
class Format:
    """A format that a model is exported to; its writer is ``write`` in ``<name>_file.py``.

    Attributes:
        name: on the command line.
        suffix: of its files, by which `Predictor.load` knows them.
        packages: what its writer and the check of parity import, beside torch and Detectron2.
        extra: of df2_landmarks, which installs them; "" for none.
        runs_on: what a machine needs to run the file.
    """

    name: str
    suffix: str
    packages: tuple[str, ...]
    extra: str
    runs_on: str


FORMATS = {
    f.name: f
    for f in (
        Format("onnx", ".onnx", ("onnx", "onnxruntime"), "onnx", "numpy, Pillow, onnxruntime"),
        Format("torchscript", ".ts", (), "", "torch, torchvision; from C++ too"),
    )
}

NOT_EXPORTED = {
    "torch.export": "does not take an R-CNN: its numbers of boxes depend on the picture "
    "(pytorch/pytorch#118884, #146152; pytorch/vision#9321)",
    "onnx-dynamo": "torch.onnx.export(dynamo=True) starts with torch.export "
    "(pytorch/vision#9306, #9462)",
    "executorch": "starts with torch.export (pytorch/pytorch#146152, pytorch/vision#8788)",
    "coreml": "its converter lacks roi_align (apple/coremltools#1793, #2479)",
    "tensorrt": "wants one fixed size of picture, and numbers of boxes that are padded "
    "(NVIDIA/TensorRT#4418); on a GPU use the checkpoint with --half",
}
"""Format -> why a model is not exported to it."""


def find_format(name: str) -> Format:
    """Return a format whose packages are installed.

    Raises:
        UserError: there is no such format, it cannot be exported, or a package is missing.

    Example:
        >>> find_format("coreml")
        Traceback (most recent call last):
        df2_landmarks.common.errors.UserError: format coreml: its converter lacks roi_align \
(apple/coremltools#1793, #2479). Formats: onnx, torchscript
    """
    formats = f"Formats: {', '.join(FORMATS)}"
    if name in NOT_EXPORTED:
        raise UserError(f"format {name}: {NOT_EXPORTED[name]}. {formats}", exit_code=2)
    if name not in FORMATS:
        raise UserError(f"there is no format {name!r}. {formats}", exit_code=2)
    found = FORMATS[name]
    missing = [package for package in found.packages if not importlib.util.find_spec(package)]
    if missing:
        raise UserError(
            f"format {name} needs {', '.join(missing)}: `pip install {' '.join(missing)}`, or the "
            f"extra [{found.extra}] of df2_landmarks",
            exit_code=2,
        )
    return found
