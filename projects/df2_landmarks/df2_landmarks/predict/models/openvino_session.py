"""OpenVINO for an exported ONNX file. No torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.common import UserError, num_processors
from df2_landmarks.formats import RECORD_KEY

OPENVINO_HELP = (
    "half: an ONNX file needs OpenVINO to compute in bfloat16: `pip install openvino`, or the "
    "extra [openvino] of df2_landmarks"
)


class OpenVinoSession:
    """A graph in OpenVINO, on the CPU."""

    metadata: Mapping[str, str]

    def __init__(self, file: Path, *, half: bool) -> None:
        """
        Args:
            file: written by `df2 export --format onnx`.
            half: compute in bfloat16 where OpenVINO finds it safe.

        Raises:
            UserError: OpenVINO is not installed or cannot read the file.
        """
        try:
            import openvino
        except ImportError:
            raise UserError(OPENVINO_HELP, exit_code=2) from None
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if half else "f32",
            "INFERENCE_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or str(num_processors()),
        }
        core = openvino.Core()
        try:
            graph = core.read_model(str(file))
            self._model = core.compile_model(graph, "CPU", settings)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(
                f"{file}: OpenVINO {openvino.__version__} cannot read it ({reason}); is it a whole "
                "file of df2 export?"
            ) from None
        place = ["framework", RECORD_KEY]
        has_record = graph.has_rt_info(place)
        self.metadata = {RECORD_KEY: graph.get_rt_info(place).astype(str)} if has_record else {}

    def run(self, image: NDArray[np.uint8], min_score: float) -> dict[str, NDArray[Any]]:
        """Return the outputs of the graph by name."""
        inputs = {"image": image, "min_score": np.array(min_score, dtype=np.float32)}
        request = self._model.create_infer_request()  # one may not run in two threads
        outputs = request.infer(inputs)
        return {output.get_any_name(): value for output, value in outputs.items()}
