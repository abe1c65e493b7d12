"""Lines from predicted landmarks to the true ones, coloured by how much the score minds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.visualization.pen import WHITE, Color, Image, Pen

COLORS: tuple[tuple[float, Color], ...] = (
    (1.0, (80, 200, 0)),
    (2.0, (0, 220, 255)),
    (3.0, (0, 140, 255)),
    (math.inf, (0, 0, 230)),
)
"""Colours (BGR) of errors below so many sigmas: green, yellow, orange, red."""


@dataclass(frozen=True, eq=False)
class LandmarkErrors:
    """The landmarks of one garment that were predicted and are labelled.

    Attributes:
        predicted_xy: (K, 2) continuous coordinates.
        true_xy: (K, 2) continuous coordinates.
        error_sigmas: (K,) distance between them in the unit of the score (`sigma_px`): the
            similarity of a landmark is ``exp(-error_sigmas**2 / 2)``.
    """

    predicted_xy: NDArray[np.float64]
    true_xy: NDArray[np.float64]
    error_sigmas: NDArray[np.float64]


def error_color(error_sigmas: float) -> Color:
    """Return the colour (BGR) of an error.

    Example:
        >>> error_color(0.5), error_color(10)
        ((80, 200, 0), (0, 0, 230))
    """
    return next(color for limit, color in COLORS if error_sigmas < limit or limit == math.inf)


def draw_errors(image_bgr: Image, errors: Sequence[LandmarkErrors], *, scale: float = 1.0) -> Image:
    """Draw a line from each prediction to its truth, which is a white point, into a copy.

    Args:
        image_bgr: (H, W, 3) uint8.
        errors: of each garment.
        scale: factor for all widths.

    Returns:
        (H, W, 3) uint8 BGR.

    Example:
        >>> import numpy as np
        >>> from df2_landmarks.visualization import LandmarkErrors, draw_errors
        >>> ends = np.array([[2.5, 8.5]]), np.array([[30.5, 8.5]])
        >>> image = np.zeros((17, 40, 3), np.uint8)
        >>> errors = [LandmarkErrors(*ends, error_sigmas=np.array([4.0]))]
        >>> draw_errors(image, errors, scale=30)[8, 16].tolist()
        [0, 0, 230]
    """
    canvas = image_bgr.copy()
    pen = Pen(canvas, scale * math.sqrt(canvas.shape[0] * canvas.shape[1]))
    for garment in errors:
        ends = zip(garment.predicted_xy, garment.true_xy, strict=True)
        for (predicted, true), error in zip(ends, garment.error_sigmas.tolist(), strict=True):
            color = error_color(error)
            pen.line([np.array([predicted, true])], color, width_px=pen.line_px)
            pen.point(true, WHITE, is_hollow=False)
            pen.point(predicted, color, is_hollow=False)
    return canvas
