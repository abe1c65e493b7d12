"""What a picture is made of: a list of flat layers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.synthetic.garment import FloatArray
from df2_landmarks.synthetic.paint.fabric import Colour, Fabric

NOBODY = -1
"""Owner of a layer that belongs to no annotated garment: skin, hair, bags."""


@dataclass(frozen=True)
class Detail:
    """A trim in the picture. ``points_px`` (P, 2); ``kind`` as of a `Trim`."""

    points_px: FloatArray
    kind: str


@dataclass(frozen=True)
class Layer:
    """One opaque shape.

    Attributes:
        outline_px: (P, 2) closed polygon, pixel indices (a pixel's centre is an integer).
        fills: indices of the points of each polygon to fill, which together are the shape; None
            for the whole outline.
        depth: a layer of higher depth is in front.
        owner: index of the garment in its picture, or ``NOBODY``.
        panel: name of the panel, or of the thing.
        paint: cloth, or one colour.
        control_cm, control_px: (P, 2) points that tie the cloth to the picture.
        details: drawn on it.
        seams_px: lines drawn along its edges, (P, 2) each; None for the whole outline.
        dim: brightness of the whole layer; 1 is full light.
        px_per_cm: scale, for the width of the seams.
    """

    outline_px: FloatArray
    depth: float
    owner: int
    panel: str
    paint: Fabric | Colour
    control_cm: FloatArray | None = None
    control_px: FloatArray | None = None
    fills: tuple[NDArray[np.int64], ...] | None = None
    details: tuple[Detail, ...] = ()
    seams_px: tuple[FloatArray, ...] | None = None
    dim: float = 1.0
    px_per_cm: float = 3.0
