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
        covariance: (N, M, 3) variances of x and y and their covariance, in square pixels; None if
            the model does not say.
    """

    classes: NDArray[np.int64]
    scores: NDArray[np.float32]
    boxes_xyxy: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    visible: NDArray[np.float32] | None
    masks: Sequence[Mask] | None
    best_score: float
    covariance: NDArray[np.float32] | None = None


def detected_in_picture(
    prepared: Prepared,
    resized_size: tuple[int, int],
    *,
    classes: NDArray[np.int64],
    scores: NDArray[np.float32],
    boxes_xyxy: NDArray[np.float32],
    landmarks: NDArray[np.float32],
    visible: NDArray[np.float32] | None,
    probabilities: NDArray[np.float32] | None,
    best_score: float,
    covariance: NDArray[np.float32] | None = None,
) -> Detected:
    """Move detections from the resized image to the picture, as `detector_postprocess` does.

    Args:
        prepared: the picture.
        resized_size: height and width of the image that the model has seen.
        classes: (N,), as all arguments below those of `Detected`, but in the resized image.
        scores: (N,).
        boxes_xyxy: (N, 4).
        landmarks: (N, M, 3).
        visible: (N, M), or None.
        probabilities: (N, m, m) that a cell of the box shows the garment; None without masks.
        best_score: as of `Detected`.
        covariance: (N, M, 3), or None.
    """
    height, width = resized_size
    scale = np.array([prepared.width / width, prepared.height / height], dtype=np.float32)
    limit = np.array([prepared.width, prepared.height] * 2, dtype=np.float32)
    boxes_xyxy = np.clip(boxes_xyxy * np.tile(scale, 2), 0, limit)
    kept = (boxes_xyxy[:, 2:] > boxes_xyxy[:, :2]).all(axis=1)
    boxes_xyxy = boxes_xyxy[kept]
    masks = None
    if probabilities is not None:
        masks = [
            Mask.from_probabilities(mask, box, prepared.height, prepared.width)
            for mask, box in zip(probabilities[kept], boxes_xyxy, strict=True)
        ]
    return Detected(
        classes=classes[kept],
        scores=scores[kept],
        boxes_xyxy=boxes_xyxy,
        landmarks=landmarks[kept] * np.append(scale, np.float32(1)),
        visible=None if visible is None else visible[kept],
        masks=masks,
        best_score=best_score,
        covariance=None
        if covariance is None
        else covariance[kept] * np.append(scale**2, scale.prod()),
    )


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
