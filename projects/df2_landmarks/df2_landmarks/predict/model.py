"""What a predictor needs of a model, and what goes in and comes out. No torch.

N = detections in a picture, C = categories, M = the most landmarks that a category has.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.formats import Mask
from df2_landmarks.taxonomy import Taxonomy


@dataclass(frozen=True, eq=False)
class Prepared:
    """A picture in the form that a model takes.

    Attributes:
        height, width: of the picture.
        data: the model's own.
        group: pictures of one group can pass through the model together.
    """

    height: int
    width: int
    data: Any
    group: Hashable


@dataclass(frozen=True, eq=False)
class Detected:
    """A model's detections in one picture, best first, in continuous coordinates of the picture.

    Attributes:
        classes: (N,) 0..C-1.
        scores: (N,).
        boxes_xyxy: (N, 4).
        landmarks: (N, M, 3) x, y, confidence, padded.
        visible: (N, M) probabilities that landmarks are visible; None if the model does not say.
        masks: (N,); None if the model has none.
        best_score: of everything that was detected, below the threshold too.
    """

    classes: NDArray[np.int64]
    scores: NDArray[np.float32]
    boxes_xyxy: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    visible: NDArray[np.float32] | None
    masks: Sequence[Mask] | None
    best_score: float


class Model(Protocol):
    """What a predictor needs of a model."""

    fingerprint: str
    """Of weights and configuration: equal for equal results."""
    max_pixels: int
    """Of a picture that is decoded."""
    taxonomy: Taxonomy
    """The categories that it finds."""
    is_parallel: bool
    """Whether several threads may call `detect` at once, and are faster than one."""

    def enter_thread(self, threads: int) -> None:
        """Take a share of the processors; called first in each of the threads of `detect`."""

    def prepare(self, rgb: NDArray[np.uint8]) -> Prepared:
        """Resize a picture; may be called by several threads at once."""

    def detect(self, batch: Sequence[Prepared], min_score: float) -> list[Detected]:
        """Return the detections with at least a score, for pictures of one group."""
