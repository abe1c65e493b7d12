"""Landmarks follow every augmentation: mirrored or not, up to the border and not beyond."""

import cv2
import numpy as np
import pytest
from detectron2.data import transforms as T
from hypothesis import given, settings
from hypothesis import strategies as st

from df2_landmarks.data.dataset_mapper import is_mirrored, transform_landmarks
from df2_landmarks.taxonomy import DEEPFASHION2

WIDTH, HEIGHT = 120, 160
TROUSERS, SHORTS = 7, 6


def spread(class_index):
    """(K, 2) pixels far from each other and from the border."""
    grid = np.meshgrid(np.linspace(10, WIDTH - 10, 6), np.linspace(10, HEIGHT - 10, 7))
    return np.stack(grid, -1).reshape(-1, 2).round()[: DEEPFASHION2.counts[class_index]]


def labelled(xy):
    return np.column_stack((xy, np.full(len(xy), 2))).astype(np.float32).reshape(-1)


AUGMENTATIONS = {
    "horizontal flip": T.RandomFlip(prob=1.0),
    "vertical flip": T.RandomFlip(prob=1.0, horizontal=False, vertical=True),
    "resize": T.Resize((200, 131)),
    "crop": T.RandomCrop("relative", (0.8, 0.7)),
    "rotation": T.RandomRotation([-180, 180], expand=True),
    "extent": T.RandomExtent((0.9, 1.1), (0.1, 0.1)),
}


@settings(max_examples=60, deadline=None)
@given(
    names=st.lists(st.sampled_from(sorted(AUGMENTATIONS)), min_size=1, max_size=4),
    seed=st.integers(0, 999),
)
def test_landmarks_lie_on_what_is_painted_for_them_after_any_augmentations(names, seed):
    """A landmark is found on its own grey value; after an odd number of flips, its partner's."""
    np.random.seed(seed)
    xy = spread(TROUSERS)
    values = 100 + 10 * np.arange(len(xy))
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[..., 1] = 255  # still so where no step has cut the image
    for (x, y), value in zip(xy.astype(int).tolist(), values.tolist(), strict=True):
        cv2.circle(image, (x, y), 5, (value, 255, 0), -1)
    augmented = T.AugInput(image)
    transforms = T.AugmentationList([AUGMENTATIONS[name] for name in names])(augmented)
    size = augmented.image.shape[:2]
    moved = transform_landmarks(
        labelled(xy + 0.5), DEEPFASHION2.flip_indices[TROUSERS], transforms, size
    )
    if sum("flip" in name for name in names) % 2:
        values = values[DEEPFASHION2.flip_indices[TROUSERS, : len(xy)]]
    columns, rows = moved[:, :2].astype(int).T
    found = augmented.image[rows.clip(0, size[0] - 1), columns.clip(0, size[1] - 1)]
    seen = (moved[:, 2] > 0) & (found[:, 1] == 255)
    np.testing.assert_allclose(found[seen, 0], values[seen], atol=5)


@pytest.mark.parametrize("class_index", range(DEEPFASHION2.num_categories))
def test_vertical_flip_is_a_horizontal_one_turned_upside_down(class_index):
    landmarks, size = labelled(spread(class_index) + 0.5), (HEIGHT, WIDTH)
    half_turn = T.RotationTransform(HEIGHT, WIDTH, 180)
    turned = T.TransformList([T.VFlipTransform(HEIGHT), half_turn])
    flipped = T.TransformList([T.HFlipTransform(WIDTH)])
    np.testing.assert_allclose(
        transform_landmarks(landmarks, DEEPFASHION2.flip_indices[class_index], turned, size),
        transform_landmarks(landmarks, DEEPFASHION2.flip_indices[class_index], flipped, size),
        atol=1e-3,
    )
    assert not is_mirrored(T.TransformList([T.VFlipTransform(9), T.HFlipTransform(9)]))


@pytest.mark.parametrize("new_height", [333, 480, 640, 800, 1333])
def test_landmark_on_the_border_stays_labelled_in_every_size(new_height):
    """By rounding, 302 * (800 / 302) is above 800."""
    width = 100
    for height in range(300, 1400):
        resize = T.TransformList([T.ResizeTransform(height, width, new_height, width)])
        landmarks = np.zeros((DEEPFASHION2.counts[SHORTS], 3), np.float32)
        landmarks[:3] = (0, height, 2), (width, height, 1), (50, height + 0.01, 2)
        moved = transform_landmarks(
            landmarks, DEEPFASHION2.flip_indices[SHORTS], resize, (new_height, width)
        )
        assert moved[:3].tolist() == [[0, new_height, 2], [width, new_height, 1], [0, 0, 0]]
