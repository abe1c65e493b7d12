"""What the drawing knows of a category: built once, and handed on with every garment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from df2_landmarks.synthetic.garment.axes import LENGTHS, limb_axis, limb_of
from df2_landmarks.synthetic.garment.panels import BACK, FRONT, Panel, cut
from df2_landmarks.synthetic.garment.template import SIZES_CM, FloatArray, Template, at_rest
from df2_landmarks.taxonomy import DEEPFASHION2, Category

TOP, BOTTOM, OUTER, DRESS = "top", "bottom", "outer", "dress"
TOP_LENGTH_CM = 80.0
"""A closed garment of the upper body that reaches lower is a dress."""


@dataclass(frozen=True, eq=False)
class Pattern(Template):
    """A category at rest, and everything that is derived from it.

    Attributes:
        kind: ``TOP``, ``BOTTOM``, ``OUTER`` or ``DRESS``.
        limbs: of each landmark, what it bends with: "arm_left", "leg_right", ... or "".
        limb_rows: the same the other way round: limb or "" -> its landmarks.
        axes: limb -> (N, 3) of x, y, along, see ``limb_axis``.
        panels: ``FRONT`` or ``BACK`` -> what is seen from there, the rearmost first.
        flank_rows: landmarks on the image-right side of the body, from the neck or waist down.
    """

    kind: str
    limbs: tuple[str, ...]
    limb_rows: Mapping[str, list[int]]
    axes: Mapping[str, FloatArray]
    panels: Mapping[str, tuple[Panel, ...]]
    flank_rows: tuple[int, ...]


def _pattern(category: Category) -> Pattern:
    rest = at_rest(category)
    limbs = tuple(limb_of(name) for name in category.landmark_names)
    return Pattern(
        **vars(rest),
        kind=_kind(rest),
        limbs=limbs,
        limb_rows={
            limb: [row for row, other in enumerate(limbs) if other == limb]
            for limb in sorted(set(limbs))
        },
        axes={limb: limb_axis(rest, limb) for limb in LENGTHS},
        panels={view: cut(rest, view) for view in (FRONT, BACK)},
        flank_rows=_flank_rows(rest),
    )


def _kind(rest: Template) -> str:
    if rest.has("waist_left"):
        return BOTTOM
    if rest.has("front_edge_left_top"):
        return OUTER
    return TOP if rest.points[:, 1].max() < TOP_LENGTH_CM else DRESS


def _flank_rows(rest: Template) -> tuple[int, ...]:
    stems = ("neckline", "shoulder", "armpit", "waist", "side", "leg", "hem")
    rows = rest.chain(*(f"{stem}_right{edge}" for stem in stems for edge in ("", "_outer", "_mid")))
    return tuple(sorted(rows, key=lambda row: float(rest.points[row, 1])))


PATTERNS = tuple(_pattern(c) for c in DEEPFASHION2.categories if c.id in SIZES_CM)
"""The pattern of each category that can be drawn."""
