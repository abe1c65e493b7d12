"""The named data sets: fixed for good, so that numbers on them can be compared."""

from __future__ import annotations

from dataclasses import dataclass

from df2_landmarks.synthetic.difficulty import MODERATE, RICH, Difficulty
from df2_landmarks.synthetic.scene.scene import Recipe


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A named data set.

    Attributes:
        folder: where it goes, relative to the data root.
        train, validation, test: number of pictures.
        size_px: nominal short side.
        balance: "uniform" over the categories, or "real".
    """

    folder: str
    train: int
    validation: int
    test: int
    size_px: int
    balance: str
    difficulty: Difficulty

    @property
    def splits(self) -> dict[str, int]:
        """Split -> number of pictures."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    @property
    def recipe(self) -> Recipe:
        """What decides its pictures."""
        return Recipe(size_px=self.size_px, balance=self.balance, difficulty=self.difficulty)


PRESETS: dict[str, Preset] = {
    "small": Preset(
        folder="deepfashion2_synthetic",
        train=1500,
        validation=200,
        test=50,
        size_px=340,
        balance="uniform",
        difficulty=MODERATE,
    ),
    "benchmark": Preset(
        folder="deepfashion2_synthetic_benchmark",
        train=8000,
        validation=1000,
        test=500,
        size_px=512,
        balance="uniform",
        difficulty=RICH,
    ),
}
