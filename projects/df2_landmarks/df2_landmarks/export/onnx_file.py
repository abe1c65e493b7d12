"""ONNX: the graph by torch's tracing exporter, the metadata behind it."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from df2_landmarks.common import UserError
from df2_landmarks.export.traceable import TraceableRCNN
from df2_landmarks.formats import ExportRecord, export_metadata

OPSET = 17
"""Has all operators that the graph needs; RoiAlign as Detectron2 aligns it is in 16 and later."""
TESTED_TORCH = "2.12"


def write(
    file: Path,
    model: TraceableRCNN,
    example: tuple[torch.Tensor, ...],
    record: Mapping[str, Any],
    export: ExportRecord,
) -> None:
    """Write a model as ONNX.

    The file is the graph, followed by the metadata. Both are messages of Protocol Buffers, which
    are merged when they are read one after the other. So a reader can check the hash of the graph,
    which is in the metadata, without the package onnx.

    Args:
        file: to be written.
        model: the model.
        example: inputs of `model`.
        record: of `formats.model_record`.
        export: what else is written into the metadata; hash and versions are filled in here.

    Raises:
        UserError: this torch has no tracing exporter.
    """
    _check_exporter()
    sized = {name: {0: "detections"} for name in model.output_names if name != "best_score"}
    with warnings.catch_warnings():
        # About values that become constants, and about the exporter's age: parity decides.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            example,
            str(file),
            dynamo=False,
            opset_version=OPSET,
            input_names=["image", "min_score"],
            output_names=list(model.output_names),
            dynamic_axes={"image": {0: "height", 1: "width"}, **sized},
        )
    proto = onnx.load_model(file)
    _limit_suppression(proto.graph)
    onnx.checker.check_model(proto)
    graph = proto.SerializeToString(deterministic=True)
    export.graph_bytes = len(graph)
    export.graph_sha256 = hashlib.sha256(graph).hexdigest()
    export.software |= {"onnx": onnx.__version__, "opset": str(OPSET)}
    behind = onnx.ModelProto()
    onnx.helper.set_model_props(behind, export_metadata(record, export))
    file.write_bytes(graph + behind.SerializeToString(deterministic=True))


def _check_exporter() -> None:
    """Check that torch still has the exporter that traces.

    Raises:
        UserError: it has not.
    """
    takes_dynamo = "dynamo" in inspect.signature(torch.onnx.export).parameters
    if not takes_dynamo or importlib.util.find_spec("torch.onnx.utils") is None:
        raise UserError(
            f"torch {torch.__version__} has lost its tracing ONNX exporter, and its successor does "
            "not take this model (pytorch/vision#9321); export with torch "
            f"{TESTED_TORCH}, which was tested. The file runs without torch",
            exit_code=2,
        )


def _limit_suppression(graph: Any) -> None:
    """Let non-maximum suppression keep 2^31 - 1 boxes, in place.

    torchvision writes 2^63 - 1, which runners with 32-bit numbers may read as -1.
    """
    constants = {n.output[0]: n for n in graph.node if n.op_type == "Constant"}
    limit = numpy_helper.from_array(np.array([2**31 - 1], dtype=np.int64))
    for node in graph.node:
        if node.op_type == "NonMaxSuppression":
            constants[node.input[2]].attribute[0].t.CopyFrom(limit)
