"""Convert between the two coordinate spaces, which differ by half a pixel.

* *Pixel indices*: landmarks in files and in scores. The centre of the first pixel is at 0.
* *Continuous*: everything that a model and a drawing see, and boxes and polygons everywhere. The
  first pixel reaches from 0 to 1; its centre is at 0.5.
"""

from __future__ import annotations

from numpy.typing import NDArray

_HALF_PIXEL = 0.5


def to_continuous(pixel_xy: NDArray) -> NDArray:
    """Return landmarks in continuous coordinates, from pixel indices; the input stays as it is.

    Example:
        >>> import numpy as np
        >>> to_continuous(np.array([[0.0, 3.0]])).tolist()
        [[0.5, 3.5]]
    """
    return pixel_xy + _HALF_PIXEL


def to_pixel_indices(continuous_xy: NDArray) -> NDArray:
    """Return landmarks in pixel indices, from continuous coordinates; the input stays as it is.

    Example:
        >>> import numpy as np
        >>> to_pixel_indices(np.array([[0.5, 3.5]])).tolist()
        [[0.0, 3.0]]
    """
    return continuous_xy - _HALF_PIXEL
