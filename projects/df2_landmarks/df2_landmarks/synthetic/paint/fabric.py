"""Fabrics: seamless tiles of cloth, and how a tile is laid on a panel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from df2_landmarks.synthetic.garment import FloatArray

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]
"""BGR, 0..255."""

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
        design: key of ``DESIGNS``.
        base, second, trim: colours.
        repeats: of the design in a tile.
        folds: strength of the folds, 0..1.
        seed: of whatever is random in the tile.
    """

    design: str
    base: Colour
    second: Colour
    trim: Colour
    repeats: int
    folds: float
    seed: int


def sample_fabric(rng: np.random.Generator) -> Fabric:
    """Sample a cloth whose two colours differ."""
    hue, saturation, value = _hsv(rng)
    base = _bgr(hue, saturation, value)
    away = value + 95 if value < 145 else value - 95
    second = _bgr(hue + rng.normal(0, 50), _hsv(rng)[1], away)
    trim = second if rng.random() < 0.3 else _bgr(hue, saturation, value * rng.uniform(0.62, 0.85))
    weights = np.array([WEIGHTS.get(name, 1.0) for name in DESIGNS])
    design = list(DESIGNS)[int(rng.choice(len(DESIGNS), p=weights / weights.sum()))]
    repeats, folds, seed = int(rng.integers(3, 13)), rng.uniform(0.2, 1.0), int(rng.integers(2**31))
    return Fabric(design, base, second, trim, repeats, float(folds), seed)


def sample_colour(rng: np.random.Generator) -> Colour:
    """Sample a BGR colour, more often muted than bright."""
    return _bgr(*_hsv(rng))


def _hsv(rng: np.random.Generator) -> tuple[float, float, float]:
    """Sample hue 0..180, saturation and value 0..255: the ranges of OpenCV."""
    return rng.uniform(0, 180), rng.beta(1.2, 2.2) * 230, rng.uniform(45, 245)


def tile(fabric: Fabric) -> Image:
    """Paint (T, T, 3) BGR of a cloth, seamless."""
    rng = np.random.default_rng(fabric.seed)
    share = DESIGNS[fabric.design](rng, fabric.repeats)[..., None]
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
    """Cut smooth noise at a level: a floral or camouflage print."""
    coarse = rng.standard_normal((4 + repeats, 4 + repeats)).astype(np.float32)
    wide = cv2.resize(np.pad(coarse, ((0, 2), (0, 2)), mode="wrap"), None, fx=16, fy=16)
    smooth = wide[:TILE_PX, :TILE_PX]
    smooth = cv2.resize(smooth, (TILE_PX, TILE_PX))
    return np.clip((smooth - 0.3) * 6, 0, 1)


def _denim(rng: np.random.Generator, repeats: int) -> FloatArray:
    """Paint a fine diagonal weave with worn patches."""
    diagonal = np.sin(2 * np.pi * 32 * (_GRID[:, None] + _GRID[None, :]))
    return np.clip(0.25 + 0.18 * diagonal + 0.12 * _grain(), 0, 1).astype(np.float32)


DESIGNS: dict[str, Callable[[np.random.Generator, int], FloatArray]] = {
    "plain": _plain,
    "stripes": _stripes,
    "pinstripes": _pinstripes,
    "checks": _checks,
    "dots": _dots,
    "print": _print,
    "denim": _denim,
}
"""Name -> function that paints (T, T) the share of the second colour, 0..1."""
WEIGHTS = {"plain": 3.0, "stripes": 1.5}


@cache
def _folds() -> FloatArray:
    """Return (T, T) soft vertical folds that meander, between about -2 and 2."""
    x, y = _GRID[None, :], _GRID[:, None]
    wide = np.sin(2 * np.pi * (2 * x + 0.06 * np.sin(2 * np.pi * y)))
    narrow = np.sin(2 * np.pi * (5 * x + 0.05 * np.sin(2 * np.pi * (2 * y + 0.3))) + 1.0)
    return (wide + narrow).astype(np.float32)


@cache
def _grain() -> FloatArray:
    """Return (T, T) noise of mean 0 and standard deviation 1."""
    return np.random.default_rng(0).standard_normal((TILE_PX, TILE_PX)).astype(np.float32)


def _bgr(hue: float, saturation: float, value: float) -> Colour:
    hsv = np.array([[[hue % 180, np.clip(saturation, 0, 255), np.clip(value, 15, 250)]]])
    blue, green, red = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2BGR)[0, 0]
    return int(blue), int(green), int(red)


def lay(cloth: Image, panel_cm: FloatArray, panel_px: FloatArray, size: tuple[int, int]) -> Image:
    """Lay a cloth on a panel.

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
    """Evaluate, at (Q, 2) points, the thin plate spline that takes (P, 2) source to target."""
    scale = np.abs(source - source.mean(0)).max() + 1e-6
    centre = source.mean(0)
    knots, queries = (source - centre) / scale, (at - centre) / scale
    size = len(knots)
    system = np.zeros((size + 3, size + 3))
    system[:size, :size] = _kernel(knots, knots) + 0.05 * np.eye(size)
    system[:size, size:] = np.column_stack([np.ones(size), knots])
    system[size:, :size] = system[:size, size:].T
    weights = np.linalg.solve(system, np.vstack([target, np.zeros((3, 2))]))
    basis = np.column_stack([_kernel(queries, knots), np.ones(len(queries)), queries])
    return basis @ weights


def _kernel(a: FloatArray, b: FloatArray) -> FloatArray:
    squared = ((a[:, None] - b[None]) ** 2).sum(-1)
    return squared * np.log(squared + 1e-9)
