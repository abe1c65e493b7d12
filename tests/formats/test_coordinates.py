"""Half a pixel lies between files and what a model sees; each way undoes the other."""

from __future__ import annotations

import numpy as np
import pytest

from df2_landmarks.formats import to_continuous, to_pixel_indices


def test_the_centre_of_the_first_pixel_is_half_a_pixel_from_the_border() -> None:
    assert to_continuous(np.array([[0.0, 3.0]])).tolist() == [[0.5, 3.5]]
    assert to_pixel_indices(np.array([[0.5, 3.5]])).tolist() == [[0.0, 3.0]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_there_and_back_is_the_same_and_the_input_stays(dtype: type) -> None:
    pixel_xy = np.random.default_rng(0).integers(0, 4000, (50, 2)).astype(dtype)
    before = pixel_xy.copy()
    continuous_xy = to_continuous(pixel_xy)
    assert continuous_xy.dtype == dtype
    np.testing.assert_array_equal(to_pixel_indices(continuous_xy), before)
    np.testing.assert_array_equal(pixel_xy, before)
