"""Smooth curves through given points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SAMPLES_PER_SEGMENT = 6
_T = np.arange(SAMPLES_PER_SEGMENT) / SAMPLES_PER_SEGMENT
# Catmull-Rom basis: weights of the points before, at, after and behind, for each sample.
_BASIS = 0.5 * np.stack(
    [
        -_T + 2 * _T**2 - _T**3,
        2 - 5 * _T**2 + 3 * _T**3,
        _T + 4 * _T**2 - 3 * _T**3,
        -(_T**2) + _T**3,
    ],
    axis=1,
)


def smooth_run(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a Catmull-Rom curve through points, which are vertices of it.

    Args:
        points: (N, D), N >= 1.

    Returns:
        ((N - 1) * SAMPLES_PER_SEGMENT + 1, D); straight for N = 2.
    """
    if len(points) < 2:
        return points
    first = 2 * points[:1] - points[1:2]
    last = 2 * points[-1:] - points[-2:-1]
    padded = np.concatenate([first, points, last])
    windows = np.stack([padded[i : len(padded) - 3 + i] for i in range(4)], axis=1)
    curve = np.einsum("sk,nkd->nsd", _BASIS, windows).reshape(-1, points.shape[1])
    return np.concatenate([curve, points[-1:]])
