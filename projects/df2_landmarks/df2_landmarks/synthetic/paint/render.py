"""Draw layers: the picture, and the map of which layer is visible where."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from df2_landmarks.synthetic.garment import BAND, BUTTONS, FloatArray
from df2_landmarks.synthetic.paint.fabric import Colour, Fabric, Image, lay, tile
from df2_landmarks.synthetic.paint.layers import Detail, Layer

_SHIFT = 4
_SUBPIXEL = 1 << _SHIFT
Region = tuple[int, int, int, int]
"""x1, y1, x2, y2 in px."""


def label_map_of(layers: Sequence[Layer], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return which layer is visible where.

    Args:
        layers: at most 255, in any order; of equal depths, the later one is in front.
        size: (height, width).

    Returns:
        (H, W): 1 + index in ``layers`` of the layer that is visible in a pixel, 0: background.
    """
    assert len(layers) <= 255, len(layers)
    labels = np.zeros(size, np.uint8)
    for index in _back_to_front(layers):
        _fill(labels, layers[index], _fixed(layers[index].outline_px), index + 1)
    return labels


def render(layers: Sequence[Layer], background: Image) -> Image:
    """Return (H, W, 3) BGR: the layers, from the back to the front, on a copy of a background."""
    picture = background.copy()
    cloths: dict[Fabric, Image] = {}
    for index in _back_to_front(layers):
        layer = layers[index]
        region = _region(layer, picture.shape)
        if region is None:
            continue
        if isinstance(layer.paint, Fabric) and layer.paint not in cloths:
            cloths[layer.paint] = tile(layer.paint)
        _draw(picture, layer, region, cloths)
    return picture


def _fill(canvas: NDArray[np.uint8], layer: Layer, outline: NDArray[np.int32], value: int) -> None:
    """Fill the shape of a layer; ``outline`` is what ``_fixed`` returns. In place."""
    for piece in layer.fills or (slice(None),):
        cv2.fillPoly(canvas, [outline[piece]], value, cv2.LINE_8, _SHIFT)


def _back_to_front(layers: Sequence[Layer]) -> list[int]:
    return sorted(range(len(layers)), key=lambda index: layers[index].depth)


def _region(layer: Layer, shape: tuple[int, ...]) -> Region | None:
    """Return the part of the picture that a layer may touch; its end is not included."""
    low = np.floor(layer.outline_px.min(0)).astype(int) - 1
    high = np.ceil(layer.outline_px.max(0)).astype(int) + 2
    x1, y1 = max(int(low[0]), 0), max(int(low[1]), 0)
    x2, y2 = min(int(high[0]), shape[1]), min(int(high[1]), shape[0])
    return (x1, y1, x2, y2) if x2 > x1 and y2 > y1 else None


def _draw(picture: Image, layer: Layer, region: Region, cloths: dict[Fabric, Image]) -> None:
    """Draw a layer. In place."""
    x1, y1, x2, y2 = region
    origin = np.array([x1, y1])
    outline = _fixed(layer.outline_px - origin)
    mask = np.zeros((y2 - y1, x2 - x1), np.uint8)
    _fill(mask, layer, outline, 255)
    view = picture[y1:y2, x1:x2]
    _, edge = _line_colours(layer)
    if isinstance(layer.paint, Fabric):
        assert layer.control_cm is not None
        assert layer.control_px is not None
        size = (x2 - x1, y2 - y1)
        surface = lay(cloths[layer.paint], layer.control_cm, layer.control_px - origin, size)
    else:
        surface = np.empty_like(view)
        surface[:] = layer.paint
    _shade(surface, mask, layer.dim)
    for detail in layer.details:
        _draw_detail(surface, detail, origin, layer)
    cv2.copyTo(surface, mask, view)
    closed = layer.seams_px is None
    seams = [outline] if closed else [_fixed(seam - origin) for seam in layer.seams_px or ()]
    cv2.polylines(view, seams, closed, edge, _thickness(layer, 0.35), cv2.LINE_AA, _SHIFT)


def _shade(surface: Image, mask: NDArray[np.uint8], dim: float) -> None:
    """Round a layer: darken it towards its edges. In place."""
    small = cv2.resize(mask, (24, 24), interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (9, 9), 3.0, borderType=cv2.BORDER_CONSTANT)
    light = (np.float32(dim) * (150 + 0.5 * soft)).clip(0, 255).astype(np.uint8)
    wide = cv2.resize(light, (surface.shape[1], surface.shape[0]), interpolation=cv2.INTER_LINEAR)
    cv2.multiply(surface, cv2.cvtColor(wide, cv2.COLOR_GRAY2BGR), dst=surface, scale=1 / 255)


def _draw_detail(surface: Image, detail: Detail, origin: NDArray[np.int64], layer: Layer) -> None:
    """Draw a trim on the surface of its layer. In place."""
    trim, edge = _line_colours(layer)
    points = _fixed(detail.points_px - origin)
    if detail.kind == BUTTONS:
        radius = max(1.0, 0.6 * layer.px_per_cm)
        for x, y in points.tolist():
            cv2.circle(surface, (x, y), round(radius * _SUBPIXEL), edge, -1, cv2.LINE_AA, _SHIFT)
        return
    is_band = detail.kind == BAND
    if is_band:
        cv2.fillPoly(surface, [points], _darker(trim, layer.dim), cv2.LINE_AA, _SHIFT)
    thickness = _thickness(layer, 0.25)
    cv2.polylines(surface, [points], is_band, edge, thickness, cv2.LINE_AA, _SHIFT)


def _line_colours(layer: Layer) -> tuple[Colour, Colour]:
    """Return the colours of a layer's trims and of its edges."""
    if isinstance(layer.paint, Fabric):
        return layer.paint.trim, _darker(layer.paint.base, 0.45)
    return layer.paint, _darker(layer.paint, 0.75)


def _thickness(layer: Layer, cm: float) -> int:
    return max(1, round(cm * layer.px_per_cm))


def _fixed(points: FloatArray) -> NDArray[np.int32]:
    """Return pixel coordinates in the fixed point that OpenCV draws with."""
    return np.round(points.clip(-4000, 8000) * _SUBPIXEL).astype(np.int32)


def _darker(colour: Colour, share: float) -> Colour:
    blue, green, red = (int(channel * share) for channel in colour)
    return blue, green, red
