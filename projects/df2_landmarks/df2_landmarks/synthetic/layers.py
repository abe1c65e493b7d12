"""What a picture is made of: a list of flat layers, the one at the back first."""

from __future__ import annotations

from dataclasses import dataclass

from df2_landmarks.synthetic.fabric import Fabric
from df2_landmarks.synthetic.templates import FloatArray

NOBODY = -1
"""Owner of a layer that belongs to no annotated garment: skin, hair, bags."""


@dataclass(frozen=True)
class Detail:
    """A band (closed) or a line drawn on a layer. ``points_px`` (P, 2)."""

    points_px: FloatArray
    closed: bool
    kind: str


@dataclass(frozen=True)
class Layer:
    """One opaque shape.

    Attributes:
        outline_px: (P, 2) closed polygon, pixel indices (a pixel's centre is an integer).
        depth: the higher is in front.
        owner: index of the garment in its scene, or ``NOBODY``.
        panel: name of the panel, or of the thing.
        paint: cloth, or one BGR colour.
        control_cm, control_px: (P, 2) points that tie the cloth to the picture.
        details: drawn on it.
        dim: brightness of the whole layer; 1 is full light.
        px_per_cm: scale, for the width of the seams.
    """

    outline_px: FloatArray
    depth: float
    owner: int
    panel: str
    paint: Fabric | tuple[int, int, int]
    control_cm: FloatArray | None = None
    control_px: FloatArray | None = None
    details: tuple[Detail, ...] = ()
    dim: float = 1.0
    px_per_cm: float = 3.0
