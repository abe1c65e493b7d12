"""Boxes, outlines, landmarks and category names, drawn with OpenCV."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from df2_landmarks.formats import Garment, to_pixel_indices

Image = NDArray[np.uint8]
Color = tuple[int, int, int]

SUBPIXEL_BITS = 4
WHITE: Color = (255, 255, 255)


def draw_garments(image_bgr: Image, garments: Sequence[Garment]) -> Image:
    """Draw each garment's mask outline, box, landmarks and name into a copy of the image.

    A landmark is a dot where it is visible and a ring where it is occluded; a landmark that is not
    labelled is not drawn.

    Args:
        image_bgr: (H, W, 3) uint8.
        garments: the garments to draw, in this order.

    Returns:
        (H, W, 3) uint8 BGR.

    Example:
        >>> import numpy as np
        >>> from df2_landmarks.visualization import draw_garments
        >>> draw_garments(np.zeros((4, 6, 3), np.uint8), []).shape
        (4, 6, 3)
    """
    canvas = image_bgr.copy()
    unit = max(1.0, min(canvas.shape[:2]) / 200)  # line widths follow the size of the image
    for garment in garments:
        color = garment.definition.rgb[::-1]
        _tint_mask(canvas, garment, color)
        _draw_lines(canvas, garment, color, unit)
        _draw_landmarks(canvas, garment, color, unit)
    for garment in garments:
        _draw_label(canvas, garment, garment.definition.rgb[::-1], unit)
    return canvas


def _tint_mask(canvas: Image, garment: Garment, color: Color) -> None:
    if garment.mask is None:
        return
    inside = garment.mask.array
    canvas[inside] = (0.75 * canvas[inside] + 0.25 * np.array(color)).astype(np.uint8)


def _draw_lines(canvas: Image, garment: Garment, color: Color, unit: float) -> None:
    x1, y1, x2, y2 = garment.box_xyxy
    box = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])
    cv2.polylines(canvas, [_fixed(box)], True, color, round(unit), cv2.LINE_AA, SUBPIXEL_BITS)
    drawn = garment.landmarks.visibility > 0
    for a, b in garment.definition.skeleton:
        if drawn[a - 1] and drawn[b - 1]:
            ends = _fixed(garment.landmarks.xy[[a - 1, b - 1]])
            cv2.polylines(canvas, [ends], False, color, round(unit), cv2.LINE_AA, SUBPIXEL_BITS)


def _draw_landmarks(canvas: Image, garment: Garment, color: Color, unit: float) -> None:
    radius = round(1.6 * unit * 2**SUBPIXEL_BITS)
    fixed = _fixed(garment.landmarks.xy)
    for (x, y), visibility in zip(fixed.tolist(), garment.landmarks.visibility, strict=True):
        if visibility == 0:
            continue
        inner = color if visibility == 2 else WHITE
        cv2.circle(canvas, (x, y), radius, inner, -1, cv2.LINE_AA, SUBPIXEL_BITS)
        ring = WHITE if visibility == 2 else color
        cv2.circle(canvas, (x, y), radius, ring, 1, cv2.LINE_AA, SUBPIXEL_BITS)


def _draw_label(canvas: Image, garment: Garment, color: Color, unit: float) -> None:
    text = garment.category
    if garment.score is not None:
        text += f" {garment.score:.2f}"
    font, scale, thickness = cv2.FONT_HERSHEY_SIMPLEX, 0.32 * unit, max(1, round(0.6 * unit))
    (width, height), baseline = cv2.getTextSize(text, font, scale, thickness)
    x = int(np.clip(garment.box_xyxy[0], 0, max(0, canvas.shape[1] - width)))
    y = int(np.clip(garment.box_xyxy[1], height + baseline, canvas.shape[0]))
    cv2.rectangle(canvas, (x, y - height - baseline), (x + width, y), color, -1)
    cv2.putText(canvas, text, (x, y - baseline // 2), font, scale, WHITE, thickness, cv2.LINE_AA)


def _fixed(points_xy: NDArray) -> NDArray[np.int32]:
    """Continuous image coordinates -> OpenCV's fixed point numbers, which count from pixel 0."""
    pixels = to_pixel_indices(np.asarray(points_xy, dtype=np.float64))
    return np.round(pixels * 2**SUBPIXEL_BITS).astype(np.int32)
