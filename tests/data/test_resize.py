"""Resizing by torch is resizing by Pillow."""

import numpy as np
import pytest
from detectron2.data import transforms as T
from PIL import Image

from df2_landmarks.data.resize import FastResize, FastResizeShortestEdge


def photo(height, width):
    generator = np.random.default_rng(0)
    small = generator.integers(0, 256, (9, 7, 3), dtype=np.uint8)
    smooth = np.array(Image.fromarray(small).resize((width, height), Image.BICUBIC), dtype=int)
    noise = generator.integers(-20, 21, smooth.shape)
    return np.clip(smooth + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("old", "new"),
    [((100, 75), (213, 160)), ((400, 300), (128, 96)), ((31, 97), (1, 50)), ((1, 1), (16, 16))],
)
@pytest.mark.parametrize("channels", [slice(None), slice(None, None, -1)], ids=["RGB", "BGR"])
def test_values_are_pillows_but_for_rounding(old, new, channels):
    image = photo(*old)[:, :, channels]
    image.setflags(write=False)
    resized = FastResize(*old, *new).apply_image(image)
    expected = T.ResizeTransform(*old, *new).apply_image(image)
    assert resized.shape == expected.shape == (*new, 3)
    assert resized.dtype == np.uint8
    assert np.abs(resized.astype(int) - expected).max() <= 1
    assert (resized != expected).mean() < 0.01


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_label_maps_and_floats_are_left_to_detectron2(dtype):
    labels = (photo(40, 30)[:, :, 0] // 100).astype(dtype)
    ours, stock = FastResize(40, 30, 80, 60), T.ResizeTransform(40, 30, 80, 60)
    assert np.array_equal(ours.apply_segmentation(labels), stock.apply_segmentation(labels))


@pytest.mark.parametrize(("style", "sizes"), [("choice", (64, 96)), ("range", (64, 96))])
def test_sizes_are_drawn_as_detectron2_draws_them(style, sizes):
    stock = T.ResizeShortestEdge(sizes, 100, style)
    ours = FastResizeShortestEdge.like(stock)
    drawn = []
    for augmentation in (stock, ours):
        np.random.seed(0)
        transforms = [augmentation.get_transform(photo(40, 30)) for _ in range(20)]
        drawn.append([(t.new_h, t.new_w) for t in transforms])
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) > 1


def test_size_0_does_not_resize():
    augmentation = FastResizeShortestEdge.like(T.ResizeShortestEdge((0,), 100, "choice"))
    assert isinstance(augmentation.get_transform(photo(4, 3)), T.NoOpTransform)
