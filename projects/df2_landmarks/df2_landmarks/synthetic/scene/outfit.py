"""What a person wears: garments that go together, in the shares that a class balance asks for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from df2_landmarks.synthetic.garment.shape import Shape, sample_shape
from df2_landmarks.synthetic.garment.templates import template
from df2_landmarks.synthetic.paint.fabric import Fabric, sample_fabric
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
def lead_weights(balance: str) -> tuple[float, ...]:
    """Probability of each class to lead an outfit.

    Tops and bottoms also come as each other's partner, so the others lead more often.
    """
    weights = []
    for index, category in enumerate(CATEGORIES):
        alone = kind(index) in ("dress", "outer")
        if balance == "real":
            weights.append(PUBLISHED_COUNTS[category.id] * (1.5 if alone else 1.0))
        else:
            weights.append(2.0 if alone else 1.0)
    return tuple(weight / sum(weights) for weight in weights)


def lead_class(rng: np.random.Generator, balance: str, place: int) -> int:
    """The class that leads outfit number ``place`` of its cycle.

    Args:
        rng: of the cycle, the same for all its places.
        balance: "real" draws each; "uniform" goes through all classes, then once more through
            those that are no one's partner, in a random order.
        place: 0..``cycle_length() - 1``.
    """
    weights = lead_weights(balance)
    if balance == "real":
        return int(rng.choice(len(weights), size=cycle_length(), p=weights)[place])
    again = [index for index in range(len(weights)) if kind(index) in ("dress", "outer")]
    order = [*rng.permutation(len(weights)), *rng.permutation(again)]
    return int(order[place])


def cycle_length() -> int:
    """Outfits after which the order of the classes is drawn anew."""
    classes = range(LAYOUT.num_categories)
    return len(classes) + sum(kind(index) in ("dress", "outer") for index in classes)


def sample_outfit(
    rng: np.random.Generator, lead: int, *, balance: str, partner: float, spread: float
) -> tuple[Garment, ...]:
    """Garments worn together, the leading one first in the style numbering.

    Args:
        lead: class (0-based) that must be there.
        balance: "real" or "uniform", for the partners.
        partner: probability of each partner.
        spread: of the shapes.
    """
    classes = [lead]
    for wanted, share in PARTNERS[kind(lead)]:
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
"""Kind of the leading garment -> kinds of its partners with the share of ``partner``."""


def _pick(rng: np.random.Generator, wanted: str, balance: str) -> int:
    weights = np.array(lead_weights(balance))
    weights *= [kind(index) == wanted for index in range(LAYOUT.num_categories)]
    return int(rng.choice(len(weights), p=weights / weights.sum()))
