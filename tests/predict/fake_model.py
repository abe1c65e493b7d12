"""A model without a network: one garment per picture, known beforehand. It can be run, too.

python -m tests.predict.fake_model INPUT... --output DIR
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np

from df2_landmarks.formats import Mask
from df2_landmarks.predict import Detected, Predictor, Prepared
from df2_landmarks.taxonomy import DEEPFASHION2

SKIRT = 8
SCORE = 0.75


class FakeModel:
    """Finds a skirt in the middle half of every picture, its landmarks on a line.

    Attributes:
        seconds: each picture takes.
        batches: the shapes of the pictures of each call.
    """

    def __init__(self, *, fingerprint: str = "0123456789abcdef", seconds: float = 0.0) -> None:
        self.fingerprint = fingerprint
        self.is_parallel = True
        self.max_pixels = 100_000_000
        self.taxonomy = DEEPFASHION2
        self.seconds = seconds
        self.batches: list[list[tuple[int, int]]] = []

    def enter_thread(self, threads: int) -> None:
        pass

    def prepare(self, rgb: np.ndarray) -> Prepared:
        height, width = rgb.shape[:2]
        return Prepared(height, width, rgb.mean(), (height, width))

    def detect(self, batch: list[Prepared], min_score: float) -> list[Detected]:
        self.batches.append([(p.height, p.width) for p in batch])
        time.sleep(self.seconds * len(batch))
        return [self._detected(prepared, min_score) for prepared in batch]

    def _detected(self, prepared: Prepared, min_score: float) -> Detected:
        height, width = prepared.height, prepared.width
        box = np.array([width / 4, height / 4, 3 * width / 4, 3 * height / 4])
        landmarks = np.zeros((1, DEEPFASHION2.max_landmarks, 3))
        count = DEEPFASHION2.counts[SKIRT]
        landmarks[0, :count, 0] = np.linspace(width / 4, 3 * width / 4, count)
        landmarks[0, :count, 1] = height / 2
        landmarks[0, :count, 2] = 0.9
        shown = slice(0, int(min_score <= SCORE))
        return Detected(
            classes=np.array([SKIRT])[shown],
            scores=np.array([SCORE])[shown],
            boxes_xyxy=box[None][shown],
            landmarks=landmarks[shown],
            visible=None,
            masks=[Mask.from_probabilities(np.ones((28, 28)), box, height, width)][shown],
            best_score=SCORE,
        )


def load(*_: Any, **options: Any) -> Predictor:
    """Replace `Predictor.load`."""
    names = ("min_score", "categories")
    return Predictor(FakeModel(seconds=0.01), **{name: options[name] for name in names})


if __name__ == "__main__":
    from df2_landmarks.cli.predict import main

    Predictor.load = load  # type: ignore[method-assign]
    sys.exit(main([*sys.argv[1:], "--weights", "none"]))
