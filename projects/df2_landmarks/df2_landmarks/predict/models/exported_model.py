"""A file of `df2 export`, as `Predictor` needs it. No torch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.formats import exported_taxonomy, read_export_record
from df2_landmarks.predict.models.model import Detected, Prepared, detected_in_picture
from df2_landmarks.predict.models.resizing import resized


class Session(Protocol):
    """What runs the graph of an exported file."""

    metadata: Mapping[str, str]
    """What the file says of itself."""

    def run(self, image: NDArray[np.uint8], min_score: float) -> dict[str, NDArray[Any]]:
        """Return the outputs of the graph by name (``df2_landmarks.export.TraceableRCNN``).

        Args:
            image: (height, width, 3), resized, channels in the order of the model.
            min_score: 0..1.
        """


class ExportedModel:
    """An exported graph with its resizing; its record says how."""

    def __init__(self, session: Session, where: str, *, half: bool = False) -> None:
        """
        Args:
            session: runs the graph.
            where: the file, for messages.
            half: the session computes in bfloat16.

        Raises:
            UserError: the file has no record of `df2 export`, or a damaged one, or one of a newer
                version.
        """
        self.record = read_export_record(session.metadata, where)
        self.taxonomy = exported_taxonomy(session.metadata, where)
        self.fingerprint = self.record.fingerprint
        if half:  # other results
            name = f"{self.fingerprint} half".encode()
            self.fingerprint = hashlib.sha256(name).hexdigest()[: len(self.fingerprint)]
        self.max_pixels = self.record.input.max_pixels
        self.is_parallel = False  # the runner spreads a picture over its threads
        self._session = session

    def enter_thread(self, threads: int) -> None:
        """Do nothing: the runner has threads of its own."""

    def prepare(self, rgb: NDArray[np.uint8]) -> Prepared:
        """Resize as the evaluation does, but for rounding."""
        height, width = rgb.shape[:2]
        size = self.record.input
        image = resized(rgb, size.min_size_px, size.max_size_px)
        if size.channels != "RGB":
            image = image[:, :, ::-1]
        return Prepared(height, width, np.ascontiguousarray(image), image.shape[:2])

    def detect(self, batch: Sequence[Prepared], min_score: float) -> list[Detected]:
        """Return the detections with at least a score; the graph takes one picture at a time."""
        return [self._detect(prepared, min_score) for prepared in batch]

    def _detect(self, prepared: Prepared, min_score: float) -> Detected:
        outputs = self._session.run(prepared.data, min_score)
        return detected_in_picture(
            prepared,
            prepared.data.shape[:2],
            classes=outputs["classes"],
            scores=outputs["scores"],
            boxes_xyxy=outputs["boxes"],
            landmarks=outputs["landmarks"],
            visible=outputs.get("visible"),
            probabilities=outputs.get("masks"),
            best_score=float(outputs["best_score"]),
        )
