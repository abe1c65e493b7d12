"""A trained model as a file for other runners, checked against the model that it came from.

* ``formats``: what is written, and what cannot be, and why.
* ``exporting``: `export_model`, the whole job.
* ``traceable``: the model's inference as a function of tensors.
* ``onnx_file``, ``torchscript_file``: the writers.
* ``parity``: the same pictures through the model and through its file.

The readers are in ``df2_landmarks.predict``. Nothing heavy is imported before it is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from df2_landmarks.export.formats import FORMATS, NOT_EXPORTED, Format, find_format

if TYPE_CHECKING:
    from df2_landmarks.export.exporting import export_model
    from df2_landmarks.export.traceable import TraceableRCNN

__all__ = [
    "FORMATS",
    "NOT_EXPORTED",
    "Format",
    "TraceableRCNN",
    "export_model",
    "find_format",
]


def __getattr__(name: str) -> Any:
    if name == "export_model":
        from df2_landmarks.export.exporting import export_model

        return export_model
    if name == "TraceableRCNN":
        from df2_landmarks.export.traceable import TraceableRCNN

        return TraceableRCNN
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
