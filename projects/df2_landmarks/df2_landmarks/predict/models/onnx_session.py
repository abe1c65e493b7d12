"""ONNX Runtime for an exported file. No torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.common import UserError, num_processors

ONNX_HELP = "an ONNX file needs ONNX Runtime or OpenVINO: `pip install onnxruntime`"


class OnnxSession:
    """A graph in ONNX Runtime, on the CPU."""

    metadata: Mapping[str, str]

    def __init__(self, file: Path) -> None:
        """
        Args:
            file: written by `df2 export --format onnx`.

        Raises:
            UserError: ONNX Runtime is not installed or cannot read the file.
        """
        try:
            import onnxruntime
        except ImportError:
            raise UserError(ONNX_HELP, exit_code=2) from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS") or num_processors())
        options.log_severity_level = 4  # errors come as exceptions
        try:
            self._session = onnxruntime.InferenceSession(
                str(file), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # each kind has a class of its own, without a common one
            reason = " ".join(str(error).split())[:200]
            raise UserError(
                f"{file}: ONNX Runtime {onnxruntime.__version__} cannot read it ({reason}); is it "
                "a whole file of df2 export, and not of a newer ONNX?"
            ) from None
        self.metadata = self._session.get_modelmeta().custom_metadata_map
        self._names = [output.name for output in self._session.get_outputs()]

    def run(self, image: NDArray[np.uint8], min_score: float) -> dict[str, NDArray[Any]]:
        """Return the outputs of the graph by name."""
        inputs = {"image": image, "min_score": np.array(min_score, dtype=np.float32)}
        return dict(zip(self._names, self._session.run(None, inputs), strict=True))
