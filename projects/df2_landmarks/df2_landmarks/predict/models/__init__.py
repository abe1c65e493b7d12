"""The models behind a `Predictor`: what it needs of one, and the files that it is read from.

* ``model``: `Model`, and what goes in and comes out; ``resizing``: a picture in its size.
* ``loading``: `load_model`, from a file to its model.
* ``torch_model``: a checkpoint of Detectron2.
* ``exported_model``: a file of `df2 export`; run by ``onnx_session``,
  ``openvino_session`` or ``torchscript_session``.

Nothing here imports torch, Detectron2 or ONNX Runtime before a file needs it.
"""

from df2_landmarks.predict.models.exported_model import ExportedModel
from df2_landmarks.predict.models.loading import EXPORT_SUFFIXES, load_exported, load_model
from df2_landmarks.predict.models.model import Detected, Model, Prepared

__all__ = [
    "EXPORT_SUFFIXES",
    "Detected",
    "ExportedModel",
    "Model",
    "Prepared",
    "load_exported",
    "load_model",
]
