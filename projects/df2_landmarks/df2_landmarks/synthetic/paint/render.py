"""Layers -> picture and label map."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from df2_landmarks.synthetic.garment.trims import BAND, BUTTONS
from df2_landmarks.synthetic.paint.fabric import Fabric, Image, lay, tile
from df2_landmarks.synthetic.paint.layers import Detail, Layer

_SHIFT = 4
_SUBPIXEL = 1 << _SHIFT
Region = tuple[int, int, int, int]


def label_map_of(layers: Sequence[Layer], size: tuple[int, int]) -> NDArray[np.uint8]:
    """What one sees where.

    Args:
        layers: at most 255, in any order; of equal depths, the later one is in front.
        size: (height, width).

    Returns:
        (H, W): 1 + index in ``layers`` of what one sees in a pixel, 0 for the background.
    """
    assert len(layers) <= 255, len(layers)
    labels = np.zeros(size, np.uint8)
    for index in _back_to_front(layers):
        _fill(labels, layers[index], fixed(layers[index].outline_px), index + 1)
    return labels


def render(layers: Sequence[Layer], background: Image) -> Image:
    """(H, W, 3) BGR: the layers drawn from the back to the front on a background, which is kept."""
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
    """Fills the shape of a layer; ``outline`` as of ``fixed``. In place."""
    for piece in layer.fills or (slice(None),):
        cv2.fillPoly(canvas, [outline[piece]], value, cv2.LINE_8, _SHIFT)


def _back_to_front(layers: Sequence[Layer]) -> list[int]:
    return sorted(range(len(layers)), key=lambda index: layers[index].depth)


def _region(layer: Layer, shape: tuple[int, ...]) -> Region | None:
    """Part of the picture that the layer may touch: x1, y1, x2, y2, the end not included."""
    low = np.floor(layer.outline_px.min(0)).astype(int) - 1
    high = np.ceil(layer.outline_px.max(0)).astype(int) + 2
    x1, y1 = max(int(low[0]), 0), max(int(low[1]), 0)
    x2, y2 = min(int(high[0]), shape[1]), min(int(high[1]), shape[0])
    return (x1, y1, x2, y2) if x2 > x1 and y2 > y1 else None


def _draw(
    picture: Image,
    layer: Layer,
    region: Region,
    cloths: dict[Fabric, Image],
) -> None:
    x1, y1, x2, y2 = region
    origin = np.array([x1, y1])
    outline = fixed(layer.outline_px - origin)
    mask = np.zeros((y2 - y1, x2 - x1), np.uint8)
    _fill(mask, layer, outline, 255)
    view = picture[y1:y2, x1:x2]
    if isinstance(layer.paint, Fabric):
        assert layer.control_cm is not None
        assert layer.control_px is not None
        size = (x2 - x1, y2 - y1)
        skin = lay(cloths[layer.paint], layer.control_cm, layer.control_px - origin, size)
        trim, edge = layer.paint.trim, _darker(layer.paint.base, 0.45)
        _shade(skin, mask, layer.dim)
    else:
        skin = np.empty_like(view)
        skin[:] = layer.paint
        trim, edge = layer.paint, _darker(layer.paint, 0.75)
        _shade(skin, mask, layer.dim)
    for detail in layer.details:
        _detail(skin, detail, origin, trim, edge, layer)
    cv2.copyTo(skin, mask, view)
    closed = layer.seams_px is None
    seams = [outline] if closed else [fixed(seam - origin) for seam in layer.seams_px or ()]
    cv2.polylines(view, seams, closed, edge, _thickness(layer, 0.35), cv2.LINE_AA, _SHIFT)


def _shade(skin: Image, mask: NDArray[np.uint8], dim: float) -> None:
    """Rounds a layer: darker towards its edges. In place."""
    small = cv2.resize(mask, (24, 24), interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (9, 9), 3.0, borderType=cv2.BORDER_CONSTANT)
    light = (np.float32(dim) * (150 + 0.5 * soft)).clip(0, 255).astype(np.uint8)
    wide = cv2.resize(light, (skin.shape[1], skin.shape[0]), interpolation=cv2.INTER_LINEAR)
    cv2.multiply(skin, cv2.cvtColor(wide, cv2.COLOR_GRAY2BGR), dst=skin, scale=1 / 255)


def _detail(
    skin: Image,
    detail: Detail,
    origin: NDArray[np.int64],
    trim: tuple[int, int, int],
    edge: tuple[int, int, int],
    layer: Layer,
) -> None:
    points = fixed(detail.points_px - origin)
    if detail.kind == BUTTONS:
        radius = max(1.0, 0.6 * layer.px_per_cm)
        for x, y in points.tolist():
            cv2.circle(skin, (x, y), round(radius * _SUBPIXEL), edge, -1, cv2.LINE_AA, _SHIFT)
        return
    is_band = detail.kind == BAND
    if is_band:
        cv2.fillPoly(skin, [points], _darker(trim, layer.dim), cv2.LINE_AA, _SHIFT)
    thickness = _thickness(layer, 0.25)
    cv2.polylines(skin, [points], is_band, edge, thickness, cv2.LINE_AA, _SHIFT)


def _thickness(layer: Layer, cm: float) -> int:
    return max(1, round(cm * layer.px_per_cm))


def fixed(points: NDArray[np.float64]) -> NDArray[np.int32]:
    """Pixel coordinates in the fixed point that OpenCV draws with."""
    return np.round(points.clip(-4000, 8000) * _SUBPIXEL).astype(np.int32)


def _darker(colour: tuple[int, int, int], share: float) -> tuple[int, int, int]:
    blue, green, red = (int(channel * share) for channel in colour)
    return blue, green, red
