"""Fabrics: seamless tiles of cloth, and how a tile is laid on a panel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from df2_landmarks.synthetic.garment.templates import FloatArray

Image = NDArray[np.uint8]

TILE_PX = 192
PX_PER_CM = 4.8
"""A tile is 40 cm of cloth; it repeats."""
CELLS = 12
"""Cells along the longer side of a region over which cloth is laid linearly."""
_GRID = np.arange(TILE_PX, dtype=np.float32) / TILE_PX


@dataclass(frozen=True)
class Fabric:
    """A cloth.

    Attributes:
        pattern: key of ``PATTERNS``.
        base, second, trim: colours, BGR 0..255.
        repeats: of the pattern in a tile.
        folds: strength of the folds, 0..1.
        seed: of whatever is random in the tile.
    """

    pattern: str
    base: tuple[int, int, int]
    second: tuple[int, int, int]
    trim: tuple[int, int, int]
    repeats: int
    folds: float
    seed: int


def sample_fabric(rng: np.random.Generator) -> Fabric:
    """A random cloth whose two colours differ."""
    names = list(PATTERNS)
    hue, saturation, value = _hsv(rng)
    base = _bgr(hue, saturation, value)
    away = value + 95 if value < 145 else value - 95
    second = _bgr(hue + rng.normal(0, 50), _hsv(rng)[1], away)
    trim = second if rng.random() < 0.3 else _bgr(hue, saturation, value * rng.uniform(0.62, 0.85))
    weights = np.array([WEIGHTS.get(name, 1.0) for name in names])
    pattern = names[int(rng.choice(len(names), p=weights / weights.sum()))]
    repeats, folds, seed = int(rng.integers(3, 13)), rng.uniform(0.2, 1.0), int(rng.integers(2**31))
    return Fabric(pattern, base, second, trim, repeats, float(folds), seed)


def sample_colour(rng: np.random.Generator) -> tuple[int, int, int]:
    """BGR, more often muted than bright."""
    return _bgr(*_hsv(rng))


def _hsv(rng: np.random.Generator) -> tuple[float, float, float]:
    """Hue 0..180, saturation and value 0..255, as OpenCV counts them."""
    return rng.uniform(0, 180), rng.beta(1.2, 2.2) * 230, rng.uniform(45, 245)


def tile(fabric: Fabric) -> Image:
    """(T, T, 3) BGR of a cloth, seamless."""
    rng = np.random.default_rng(fabric.seed)
    share = PATTERNS[fabric.pattern](rng, fabric.repeats)[..., None]
    base, second = (np.asarray(c, np.float32) for c in (fabric.base, fabric.second))
    colour = base + share * (second - base)
    shift = (int(rng.integers(TILE_PX)), int(rng.integers(TILE_PX)))
    light = 1.0 + np.roll(0.07 * fabric.folds * _folds() + 0.05 * _grain(), shift, (0, 1))
    colour *= light[..., None]
    return np.minimum(colour, 255, out=colour).astype(np.uint8)


def _plain(rng: np.random.Generator, repeats: int) -> FloatArray:
    return np.zeros((TILE_PX, TILE_PX), np.float32)


def _stripes(rng: np.random.Generator, repeats: int) -> FloatArray:
    line = (_GRID * repeats % 1.0 < rng.uniform(0.25, 0.6)).astype(np.float32)
    return np.broadcast_to(line[:, None], (TILE_PX, TILE_PX))


def _pinstripes(rng: np.random.Generator, repeats: int) -> FloatArray:
    line = (_GRID * 2 * repeats % 1.0 < 0.2).astype(np.float32)
    return np.broadcast_to(line[None, :], (TILE_PX, TILE_PX))


def _checks(rng: np.random.Generator, repeats: int) -> FloatArray:
    line = (_GRID * repeats % 1.0 < 0.5).astype(np.float32)
    return (line[:, None] + line[None, :]) / 2


def _dots(rng: np.random.Generator, repeats: int) -> FloatArray:
    wave = np.abs(_GRID * repeats % 1.0 - 0.5)
    return (wave[:, None] ** 2 + wave[None, :] ** 2 < rng.uniform(0.04, 0.1)).astype(np.float32)


def _print(rng: np.random.Generator, repeats: int) -> FloatArray:
    """Blobs of smooth noise, cut at a level: a floral or camouflage print."""
    coarse = rng.standard_normal((4 + repeats, 4 + repeats)).astype(np.float32)
    wide = cv2.resize(np.pad(coarse, ((0, 2), (0, 2)), mode="wrap"), None, fx=16, fy=16)
    smooth = wide[:TILE_PX, :TILE_PX]
    smooth = cv2.resize(smooth, (TILE_PX, TILE_PX))
    return np.clip((smooth - 0.3) * 6, 0, 1)


def _denim(rng: np.random.Generator, repeats: int) -> FloatArray:
    """Fine diagonal weave with worn patches."""
    diagonal = np.sin(2 * np.pi * 32 * (_GRID[:, None] + _GRID[None, :]))
    return np.clip(0.25 + 0.18 * diagonal + 0.12 * _grain(), 0, 1).astype(np.float32)


PATTERNS: dict[str, Callable[[np.random.Generator, int], FloatArray]] = {
    "plain": _plain,
    "stripes": _stripes,
    "pinstripes": _pinstripes,
    "checks": _checks,
    "dots": _dots,
    "print": _print,
    "denim": _denim,
}
WEIGHTS = {"plain": 3.0, "stripes": 1.5}


@cache
def _folds() -> FloatArray:
    """(T, T) soft vertical folds that meander, between about -2 and 2."""
    x, y = _GRID[None, :], _GRID[:, None]
    wide = np.sin(2 * np.pi * (2 * x + 0.06 * np.sin(2 * np.pi * y)))
    narrow = np.sin(2 * np.pi * (5 * x + 0.05 * np.sin(2 * np.pi * (2 * y + 0.3))) + 1.0)
    return (wide + narrow).astype(np.float32)


@cache
def _grain() -> FloatArray:
    """(T, T) noise of mean 0 and standard deviation 1."""
    return np.random.default_rng(0).standard_normal((TILE_PX, TILE_PX)).astype(np.float32)


def _bgr(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    hsv = np.array([[[hue % 180, np.clip(saturation, 0, 255), np.clip(value, 15, 250)]]])
    blue, green, red = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2BGR)[0, 0]
    return int(blue), int(green), int(red)


def lay(cloth: Image, panel_cm: FloatArray, panel_px: FloatArray, size: tuple[int, int]) -> Image:
    """Cloth as it lies on a panel.

    Args:
        cloth: (T, T, 3) tile.
        panel_cm: (P, 2) control points of the panel at rest.
        panel_px: (P, 2) the same points in the picture, relative to the region.
        size: (width, height) of the region in px.

    Returns:
        (height, width, 3): the region filled with cloth that follows the panel.
    """
    width, height = size
    cell = max(8, -(-max(width, height) // CELLS))
    columns, rows = -(-width // cell) + 2, -(-height // cell) + 2
    # Cell centres, one cell beyond the region on each side: cv2.resize repeats the outer half cell.
    gx, gy = np.meshgrid(*(np.arange(n) * cell - (cell + 1) / 2 for n in (columns, rows)))
    where = _thin_plate(panel_px, panel_cm, np.column_stack([gx.ravel(), gy.ravel()]))
    coarse = (where * PX_PER_CM).astype(np.float32).reshape(rows, columns, 2)
    wide = cv2.resize(coarse, (columns * cell, rows * cell), interpolation=cv2.INTER_LINEAR)
    maps = wide[cell : cell + height, cell : cell + width]
    return cv2.remap(cloth, maps, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def _thin_plate(source: FloatArray, target: FloatArray, at: FloatArray) -> FloatArray:
    """Thin plate spline that takes (P, 2) source to target, evaluated at (Q, 2) points."""
    scale = np.abs(source - source.mean(0)).max() + 1e-6
    centre = source.mean(0)
    known, asked = (source - centre) / scale, (at - centre) / scale
    size = len(known)
    system = np.zeros((size + 3, size + 3))
    system[:size, :size] = _kernel(known, known) + 0.05 * np.eye(size)
    system[:size, size:] = np.column_stack([np.ones(size), known])
    system[size:, :size] = system[:size, size:].T
    weights = np.linalg.solve(system, np.vstack([target, np.zeros((3, 2))]))
    basis = np.column_stack([_kernel(asked, known), np.ones(len(asked)), asked])
    return basis @ weights


def _kernel(a: FloatArray, b: FloatArray) -> FloatArray:
    squared = ((a[:, None] - b[None]) ** 2).sum(-1)
    return squared * np.log(squared + 1e-9)
