"""What a person wears: garments that go together, in the shares that a class balance asks for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from df2_landmarks.synthetic.garment import (
    BOTTOM,
    DRESS,
    OUTER,
    PATTERNS,
    TOP,
    Pattern,
    Shape,
    sample_shape,
)
from df2_landmarks.synthetic.paint import Fabric, sample_fabric

PUBLISHED_COUNTS: dict[int, int] = {
    1: 7327, 2: 3615, 3: 67, 4: 1323, 5: 1958, 6: 212, 7: 3811,
    8: 5789, 9: 3067, 10: 1631, 11: 841, 12: 2087, 13: 673,
}  # fmt: skip
"""Items per category in the first 20,000 training images of the real data set, as a user of it
published them (notebook of the repository chaoso/detectron2 fashion, cell 13)."""

PARTNERS: dict[str, tuple[tuple[str, float], ...]] = {
    TOP: ((BOTTOM, 1.0),),
    BOTTOM: ((TOP, 1.0),),
    OUTER: ((TOP, 0.8), (BOTTOM, 0.8)),
    DRESS: (),
}
"""Kind of the leading garment -> kinds of its partners with the share of ``partner``."""
TUCKED = 0.35
"""Share of the tops that are tucked into the bottom."""
LEADERS = tuple(pattern for pattern in PATTERNS if pattern.kind in (DRESS, OUTER))
"""Patterns that never come as a partner."""
CYCLE_LENGTH = len(PATTERNS) + len(LEADERS)
"""Outfits after which the order of the categories is drawn anew."""


@dataclass(frozen=True)
class Garment:
    """One garment of an outfit.

    Attributes:
        pattern: what it is cut from.
        shape, fabric: what it looks like, the same in every picture.
        style: its style number within the pair, 0 when it has no partner picture.
        layer: a garment with a higher number is worn over one with a lower.
    """

    pattern: Pattern
    shape: Shape
    fabric: Fabric
    style: int
    layer: int


def leading_pattern(rng: np.random.Generator, balance: str, place: int) -> Pattern:
    """Return the pattern that leads outfit number ``place`` of its cycle.

    Args:
        rng: of the cycle, the same for all its places.
        balance: "real" samples each; "uniform" takes all patterns, then once more those that are
            no partner of others, in a random order.
        place: 0..CYCLE_LENGTH - 1.
    """
    if balance == "real":
        leads = rng.choice(len(PATTERNS), size=CYCLE_LENGTH, p=_weights(balance))
        return PATTERNS[leads[place]]
    patterns = [PATTERNS[index] for index in rng.permutation(len(PATTERNS))]
    return [*patterns, *(LEADERS[index] for index in rng.permutation(len(LEADERS)))][place]


def sample_pattern(rng: np.random.Generator, balance: str) -> Pattern:
    """Sample the pattern that leads an outfit, without a cycle."""
    return PATTERNS[rng.choice(len(PATTERNS), p=_weights(balance))]


def sample_outfit(
    rng: np.random.Generator, lead: Pattern, *, balance: str, partner: float, spread: float
) -> tuple[Garment, ...]:
    """Sample garments that are worn together; the leading one has style 1.

    Args:
        lead: pattern of the leading garment.
        balance: "real" or "uniform", for the partners.
        partner: probability of each partner.
        spread: of the shapes.
    """
    patterns = [lead]
    for kind, share in PARTNERS[lead.kind]:
        if rng.random() < partner * share:
            patterns.append(_sample_of_kind(rng, kind, balance))
    is_tucked = rng.random() < TUCKED
    layers = {DRESS: 30, TOP: 30, BOTTOM: 35 if is_tucked else 20, OUTER: 40}
    return tuple(
        Garment(p, sample_shape(rng, spread), sample_fabric(rng), style, layers[p.kind])
        for style, p in enumerate(patterns, start=1)
    )


@cache
def _weights(balance: str) -> tuple[float, ...]:
    """Return the probability of each pattern to lead an outfit.

    Tops and bottoms also come as each other's partner, so the others lead more often.
    """
    is_real = balance == "real"
    more = 1.5 if is_real else 2.0
    weights = [
        (PUBLISHED_COUNTS[p.category.id] if is_real else 1) * (more if p in LEADERS else 1.0)
        for p in PATTERNS
    ]
    return tuple(weight / sum(weights) for weight in weights)


def _sample_of_kind(rng: np.random.Generator, kind: str, balance: str) -> Pattern:
    weights = np.array(_weights(balance))
    weights *= [pattern.kind == kind for pattern in PATTERNS]
    return PATTERNS[rng.choice(len(PATTERNS), p=weights / weights.sum())]
