"""What decides a picture: the recipe, how hard its scenes are, and the named data sets."""

from __future__ import annotations

from dataclasses import dataclass

# Not as np.random: numpy loads that module at its first use, which would be the first picture, and
# an interrupt that arrives while it loads is lost (Cython's start-up code catches everything).
from numpy.random import Generator, SeedSequence, default_rng

from df2_landmarks.common import UserError

SPLITS = ("train", "validation", "test")
TEST = "test"
"""The split without annotations."""
BALANCES = ("uniform", "real")
MIN_SIZE_PX, MAX_SIZE_PX = 64, 2048

SCENE_STREAM, OUTFIT_STREAM, ORDER_STREAM = 1, 2, 3
SLACK_STREAM, KEY_STREAM, PAINT_STREAM, NOISE_STREAM = 10, 11, 12, 13
"""What random numbers are for: the first number of the path of `Recipe.stream`."""


@dataclass(frozen=True, kw_only=True)
class Difficulty:
    """Ranges and probabilities that scenes are sampled from. Lengths in cm, angles in degrees.

    Attributes:
        worn: probability that an actor is a person; else the garments lie flat.
        second_actor: probability of a second person or heap of garments in the picture.
        partner: probability that a garment comes with the one people wear with it.
        fill: smallest and largest share of its region that an actor's garments fill, before
            cropping; above 1 they are cut by the border.
        off_centre: largest shift of an actor from the middle of its region, as a share of it.
        tilt: in-plane rotation; perspective: largest change of scale across the picture.
        shape: spread of width, length, flare, neckline (1 = as clothes differ).
        warp: amplitude of the smooth non-rigid warp.
        arm, elbow, leg, knee: half ranges of the limb angles.
        side_view, back_view: probabilities among worn actors.
        long_hair: probability that hair falls over the shoulders.
        occluders: mean number of things in front of the actors.
        clutter: 0 plain background to 1 full of things.
        degrade: strength of blur, noise, colour cast in user photos, 0..1.
        box_slack: largest gap between a garment and its box, as a share of the box side.
        group_size: pictures that show the same outfit (one shop picture, the others user).
        aspects: (height / width) of the pictures to choose from.
        size_spread: short side varies by this share around the nominal size.
    """

    worn: float
    second_actor: float
    partner: float
    fill: tuple[float, float]
    off_centre: float
    tilt: float
    perspective: float
    shape: float
    warp: float
    arm: float
    elbow: float
    leg: float
    knee: float
    side_view: float
    back_view: float
    long_hair: float
    occluders: float
    clutter: float
    degrade: float
    box_slack: float
    group_size: int
    aspects: tuple[float, ...]
    size_spread: float


MODERATE = Difficulty(
    worn=0.6,
    second_actor=0.2,
    partner=0.4,
    fill=(0.65, 1.0),
    off_centre=0.08,
    tilt=12.0,
    perspective=0.1,
    shape=0.8,
    warp=1.0,
    arm=22.0,
    elbow=30.0,
    leg=8.0,
    knee=8.0,
    side_view=0.0,
    back_view=0.0,
    long_hair=0.15,
    occluders=0.25,
    clutter=0.6,
    degrade=0.4,
    box_slack=0.01,
    group_size=2,
    aspects=(1.0, 1.25, 1.33),
    size_spread=0.12,
)
"""What a small network learns from scratch in minutes."""

RICH = Difficulty(
    worn=0.72,
    second_actor=0.35,
    partner=0.7,
    fill=(0.45, 1.25),
    off_centre=0.15,
    tilt=18.0,
    perspective=0.2,
    shape=1.0,
    warp=1.6,
    arm=45.0,
    elbow=75.0,
    leg=14.0,
    knee=25.0,
    side_view=0.15,
    back_view=0.08,
    long_hair=0.5,
    occluders=1.4,
    clutter=1.0,
    degrade=1.0,
    box_slack=0.05,
    group_size=3,
    aspects=(0.75, 1.0, 1.25, 1.33, 1.5, 1.78),
    size_spread=0.25,
)
"""Poses, views, occlusion and photo quality as photos have them."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides what a picture of a given split and number is.

    Attributes:
        seed: of everything.
        size_px: nominal short side of the pictures.
        balance: "uniform" over the categories, or "real" for the published long tail.
        difficulty: what the scenes are like.
        landmark_noise: the training labels differ from what was drawn, as annotators do.
        quirks: the annotations have the oddities of the real files.

    Raises:
        UserError: a value that no picture can be drawn with.
    """

    seed: int = 0
    size_px: int
    balance: str = "uniform"
    difficulty: Difficulty
    landmark_noise: bool = False
    quirks: bool = False

    def __post_init__(self) -> None:
        if not MIN_SIZE_PX <= self.size_px <= MAX_SIZE_PX:
            expected = f"{MIN_SIZE_PX}..{MAX_SIZE_PX} px"
            raise UserError(f"size must be {expected}, but got {self.size_px}", exit_code=2)
        if self.balance not in BALANCES:
            expected = " or ".join(BALANCES)
            raise UserError(f"balance must be {expected}, but got {self.balance!r}", exit_code=2)
        if self.seed < 0:
            raise UserError(f"seed must be 0 or more, but got {self.seed}", exit_code=2)

    def stream(self, split: str, *path: int) -> Generator:
        """Return the random numbers of one thing of a split, whatever else is sampled before.

        Args:
            path: what the numbers are for, such as (SCENE_STREAM, number of the picture).
        """
        return default_rng(SeedSequence([self.seed, SPLITS.index(split), *path]))


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A named data set: fixed for good, so that numbers on it can be compared.

    Attributes:
        folder: its folder, relative to the data root.
        splits: split -> number of pictures.
        recipe: what decides its pictures.
    """

    folder: str
    splits: dict[str, int]
    recipe: Recipe


PRESETS: dict[str, Preset] = {
    "small": Preset(
        folder="deepfashion2_synthetic",
        splits={"train": 1500, "validation": 200, "test": 50},
        recipe=Recipe(size_px=340, difficulty=MODERATE),
    ),
    "benchmark": Preset(
        folder="deepfashion2_synthetic_benchmark",
        splits={"train": 8000, "validation": 1000, "test": 500},
        recipe=Recipe(size_px=512, difficulty=RICH),
    ),
}
