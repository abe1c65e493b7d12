"""What a person wears: garments that go together, in the shares that a class balance asks for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from df2_landmarks.synthetic.fabric import Fabric, sample_fabric
from df2_landmarks.synthetic.shape import Shape, sample_shape
from df2_landmarks.synthetic.templates import template
from df2_landmarks.taxonomy import CATEGORIES, LAYOUT

PUBLISHED_COUNTS: dict[int, int] = {
    1: 7327, 2: 3615, 3: 67, 4: 1323, 5: 1958, 6: 212, 7: 3811,
    8: 5789, 9: 3067, 10: 1631, 11: 841, 12: 2087, 13: 673,
}  # fmt: skip
"""Items per category in the first 20,000 training images of the real data set, as a user of it
published them (notebook of the repository chaoso/detectron2 fashion, cell 13)."""

TUCKED = 0.35


@dataclass(frozen=True)
class Garment:
    """One garment of an outfit.

    Attributes:
        class_index: 0..C-1.
        shape, fabric: what it looks like, the same in every picture.
        style: its style number within the pair, 0 when it has no partner picture.
        layer: the one with the higher number is worn over the other.
    """

    class_index: int
    shape: Shape
    fabric: Fabric
    style: int
    layer: int


@cache
def kind(class_index: int) -> str:
    """ "bottom", "outer", "top" or "dress", from the landmarks that the category has."""
    garment = template(class_index)
    if garment.has("waist_left"):
        return "bottom"
    if garment.has("front_edge_left_top"):
        return "outer"
    return "top" if garment.points[:, 1].max() < 80.0 else "dress"


@cache
def primary_weights(balance: str) -> tuple[float, ...]:
    """Probability of each class to lead an outfit."""
    weights = []
    for index, category in enumerate(CATEGORIES):
        weight = float(PUBLISHED_COUNTS[category.id]) if balance == "real" else 1.0
        # Tops and bottoms also come as each other's partner, the others do not.
        weights.append(weight * (1.5 if kind(index) in ("dress", "outer") else 1.0))
    return tuple(weight / sum(weights) for weight in weights)


def sample_outfit(
    rng: np.random.Generator, primary: int, *, balance: str, partner: float, spread: float
) -> tuple[Garment, ...]:
    """Garments worn together, the primary one first in the style numbering.

    Args:
        primary: class (0-based) that must be there.
        balance: "real" or "uniform", for the partners.
        partner: probability of each partner.
        spread: of the shapes.
    """
    classes = [primary]
    for wanted, share in PARTNERS[kind(primary)]:
        if rng.random() < partner * share:
            classes.append(_pick(rng, wanted, balance))
    tucked = rng.random() < TUCKED
    layers = {"dress": 30, "top": 30, "bottom": 35 if tucked else 20, "outer": 40}
    return tuple(
        Garment(c, sample_shape(rng, spread), sample_fabric(rng), style, layers[kind(c)])
        for style, c in enumerate(classes, start=1)
    )


PARTNERS: dict[str, tuple[tuple[str, float], ...]] = {
    "top": (("bottom", 1.0),),
    "bottom": (("top", 1.0),),
    "outer": (("top", 0.8), ("bottom", 0.8)),
    "dress": (),
}
"""Kind of the primary garment -> kinds of its partners with the share of ``partner``."""


def _pick(rng: np.random.Generator, wanted: str, balance: str) -> int:
    weights = np.array(primary_weights(balance))
    weights *= [kind(index) == wanted for index in range(LAYOUT.num_categories)]
    return int(rng.choice(len(weights), p=weights / weights.sum()))
