"""TorchScript for an exported file: torch and torchvision, without Detectron2."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision  # noqa: F401 (registers the operators of the graph)
from numpy.typing import NDArray

from df2_landmarks.common import UserError
from df2_landmarks.formats import RECORD_KEY, read_export_record


class TorchScriptSession:
    """A traced graph in torch, on the CPU."""

    metadata: Mapping[str, str]

    def __init__(self, file: Path) -> None:
        """
        Args:
            file: written by `df2 export --format torchscript`.

        Raises:
            UserError: torch cannot read the file.
        """
        contents = {RECORD_KEY: ""}
        try:
            self._graph = torch.jit.load(str(file), map_location="cpu", _extra_files=contents)
        except (RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(
                f"{file}: torch {torch.__version__} cannot read it ({reason}); is it a whole file "
                "of df2 export --format torchscript?"
            ) from None
        text: Any = contents[RECORD_KEY]
        decoded = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        self.metadata = {RECORD_KEY: decoded} if decoded else {}
        self._names = read_export_record(self.metadata, str(file)).outputs

    @torch.inference_mode()
    def run(self, image: NDArray[np.uint8], min_score: float) -> dict[str, NDArray[Any]]:
        """Return the outputs of the graph by name."""
        values = self._graph(torch.from_numpy(image), torch.tensor(min_score))
        return {n: value.numpy() for n, value in zip(self._names, values, strict=True)}
