"""Pictures are turned, scaled, cut and coloured; annotations follow or lose their label."""

import numpy as np
import pytest
import torch
from detectron2.data import transforms as T

from df2_landmarks.common import UserError
from df2_landmarks.data import LandmarkDatasetMapper, build_augmentation, training_mapper
from df2_landmarks.data.augmentation.outlines import clipped, extent, refitted_box
from df2_landmarks.data.augmentation.views import RandomBlur, RandomView
from df2_landmarks.data.dataset_mapper import transform_landmarks
from df2_landmarks.data.resize import FastResizeShortestEdge
from df2_landmarks.formats import Mask
from df2_landmarks.taxonomy import DEEPFASHION2
from tests.support import tiny_config

HEIGHT, WIDTH = 150, 110
CLASS = int(np.argmax(DEEPFASHION2.counts))  # the category with the most landmarks
VIEWS = {
    "turned": ((1.0, 1.0), 30.0, 0),
    "scaled": ((0.5, 1.8), 0.0, 0),
    "large-scale jittering": ((0.1, 2.0), 0.0, 96),
    "all": ((0.4, 2.0), 45.0, 128),
}


def view(scale, degrees, square_px):
    return RandomView(FastResizeShortestEdge((90, 120), 200, "range"), scale, degrees, square_px)


def coordinate_picture():
    """Two channels tell where a pixel comes from, the third that it is of the picture."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    places = np.stack((x * (255 / WIDTH), y * (255 / HEIGHT), np.full_like(x, 255)), axis=-1)
    return places.round().astype(np.uint8)


def viewed(name, seed, image):
    np.random.seed(seed)
    augmented = T.AugInput(image)
    return T.AugmentationList([view(*VIEWS[name])])(augmented), augmented.image


@pytest.mark.parametrize("name", VIEWS)
def test_landmarks_lie_where_their_pixels_went_or_have_no_label(name):
    grid = np.meshgrid(np.linspace(8, WIDTH - 8, 6), np.linspace(8, HEIGHT - 8, 7))
    xy = np.stack(grid, -1).reshape(-1, 2)[: DEEPFASHION2.counts[CLASS]]
    labelled = np.column_stack((xy, np.full(len(xy), 2))).astype(np.float32).reshape(-1)
    num_labelled = 0
    for seed in range(40):
        transforms, image = viewed(name, seed, coordinate_picture())
        size = image.shape[:2]
        flip = DEEPFASHION2.flip_indices[CLASS]
        moved = transform_landmarks(labelled, flip, transforms, size)
        inside = moved[:, 2] > 0
        num_labelled += inside.sum()
        columns, rows = np.minimum(moved[inside, :2].astype(int), np.subtract(size[::-1], 1)).T
        found = image[rows, columns].astype(float)
        assert (found[:, 2] > 200).all(), "a label in the padding"
        step = WIDTH / min(
            t.new_w for t in transforms.transforms if isinstance(t, T.ResizeTransform)
        )
        places = found[:, :2] / 255 * (WIDTH, HEIGHT) + 0.5
        assert np.abs(places - xy[inside]).max(initial=0) < 2 + step
        # Those without a label are outside, by a reference that moves one point after the other.
        for point in xy[~inside]:
            for transform in transforms.transforms:
                point = transform.apply_coords(point[None].copy())[0]
            assert not ((point >= 0) & (point <= size[::-1])).all()
    assert num_labelled > 10 * len(xy)


def slow_extent(polygon, size):
    """The box around the part of a polygon inside a picture: of all points where it can end."""
    height, width = size
    points = [p for p in polygon if 0 <= p[0] <= width and 0 <= p[1] <= height]
    for start, end in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        for axis, border in ((0, 0), (0, width), (1, 0), (1, height)):
            if (start[axis] - border) * (end[axis] - border) < 0:
                share = (border - start[axis]) / (end[axis] - start[axis])
                point = start + share * (end - start)
                point[axis] = border
                if 0 <= point[0] <= width and 0 <= point[1] <= height:
                    points.append(point)
    for corner in ((0, 0), (width, 0), (0, height), (width, height)):
        crossings = 0
        for (x1, y1), (x2, y2) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            if (y1 > corner[1]) != (y2 > corner[1]):
                crossings += corner[0] < x1 + (corner[1] - y1) / (y2 - y1) * (x2 - x1)
        if crossings % 2:
            points.append(np.array(corner, dtype=float))
    return np.concatenate((np.min(points, 0), np.max(points, 0))) if points else None


def star(rng, size):
    """A polygon with notches, that reaches out of the picture."""
    angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 14)))
    radii = rng.uniform(0.1, 0.7, len(angles)) * max(size)
    centre = rng.uniform(-0.2, 1.2, 2) * size[::-1]
    return centre + radii[:, None] * np.column_stack((np.cos(angles), np.sin(angles)))


def test_polygons_are_cut_as_a_slow_reference_cuts_them():
    rng, num_outside = np.random.default_rng(1), 0
    for _ in range(300):
        polygon = star(rng, (HEIGHT, WIDTH))
        inside, expected = clipped(polygon, (HEIGHT, WIDTH)), slow_extent(polygon, (HEIGHT, WIDTH))
        num_outside += expected is None
        assert (len(inside) == 0) == (expected is None)
        if expected is not None:
            np.testing.assert_allclose(extent([inside]), expected, atol=1e-9)
    assert 3 < num_outside < 150


def test_a_polygon_that_touches_the_border_from_outside_is_outside():
    triangle = np.array([[0.0, 20.0], [-30.0, 10.0], [-30.0, 30.0]])
    square = np.array([[-9.0, 5.0], [0.0, 5.0], [0.0, 60.0], [-9.0, 60.0]])
    for polygon in (triangle, square):
        assert clipped(polygon, (HEIGHT, WIDTH)).shape == (0, 2)
        assert len(clipped(polygon + (1, 0), (HEIGHT, WIDTH))) >= 3


def test_a_turned_box_is_as_tight_around_its_garment_as_before():
    rng, num_tighter = np.random.default_rng(2), 0
    for seed in range(60):
        size = rng.uniform(20, 80, 2)  # round: a spike of a star would be lost between pixels
        angles = np.linspace(0, 2 * np.pi, 30)
        ellipse = 55 + size / 2 * np.column_stack((np.cos(angles), np.sin(angles)))
        polygons = [ellipse, ellipse + rng.uniform(0, 10, 2)]
        image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        image[Mask.from_polygons(polygons, HEIGHT, WIDTH).array] = 255, 0, 0  # padding is grey
        transforms, image = viewed("all", seed, image)
        box = refitted_box(extent(polygons), polygons, transforms, image.shape[:2])
        is_garment = image[..., 0].astype(int) - image[..., 1] > 100
        if not is_garment.any():
            continue
        rows, columns = is_garment.any(1).nonzero()[0], is_garment.any(0).nonzero()[0]
        seen = np.array((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
        scale = max(1.0, *(t.new_w / t.w for t in transforms.transforms if hasattr(t, "new_w")))
        assert np.abs(box - seen).max() < 1 + scale  # a pixel of the picture before and after
        around_corners = transforms.apply_box(extent(polygons)[None])[0].clip(0, max(image.shape))
        num_tighter += (around_corners[2:] - around_corners[:2] > box[2:] - box[:2] + 3).any()
    assert num_tighter > 20


def test_a_loose_box_keeps_its_distance_and_follows_a_mirror():
    polygon = np.array([[30.0, 40.0], [60.0, 40.0], [60.0, 90.0], [30.0, 90.0]])
    box = np.array([26.0, 38.0, 68.0, 91.0])
    cut = T.CropTransform(0, 0, 50, 100, WIDTH, HEIGHT)
    transforms = T.TransformList([cut, T.HFlipTransform(50)])
    refitted = refitted_box(box, [polygon], transforms, (100, 50))
    assert refitted.tolist() == [-8, 38, 24, 91]  # the polygon is cut at x = 0, the box was 8 wider


def record(**annotation):
    return {
        "annotations": [
            {
                "bbox": [20, 30, 60, 80],
                "bbox_mode": 1,
                "category_id": CLASS,
                "iscrowd": 0,
                "segmentation": [[20, 30, 80, 30, 80, 110, 20, 110]],
                "keypoints": np.zeros(3 * DEEPFASHION2.counts[CLASS], np.float32),
                **annotation,
            }
        ]
    }


def test_a_garment_that_leaves_the_picture_is_dropped_and_one_without_polygons_is_kept():
    mapper = LandmarkDatasetMapper(
        is_train=True, augmentations=[], image_format="BGR", use_masks=True
    )
    away = T.TransformList([T.CropTransform(85, 0, 20, 100, WIDTH, HEIGHT)])
    wide = {"bbox": [20, 30, 70, 80]}  # the box reaches into the cut, the garment does not
    assert not len(mapper._instances(record(**wide)["annotations"], away, (100, 20)))
    bare = record(segmentation=[], **wide)["annotations"]
    assert mapper._instances(bare, away, (100, 20)).gt_boxes.tensor.tolist() == [[0, 30, 5, 100]]


def test_colour_and_blur_change_pixels_and_nothing_else():
    cfg = tiny_config("INPUT.AUGMENT.COLOR", 0.4, "INPUT.AUGMENT.BLUR", 3.0)
    augmentations = build_augmentation(cfg, is_train=True)
    kinds = [type(a).__name__ for a in augmentations[2:]]
    assert kinds == ["RandomBrightness", "RandomContrast", "RandomSaturation", "RandomBlur"]
    image = np.random.default_rng(3).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    for bgr in (image, image[:, :, ::-1]):  # a view with a negative stride, as pictures are read
        augmented = T.AugInput(bgr)
        transforms = T.AugmentationList(augmentations[2:])(augmented)
        assert augmented.image.shape == bgr.shape and augmented.image.dtype == np.uint8
        assert not np.array_equal(augmented.image, bgr)
        points = np.array([[1.0, 2.0], [70.0, 50.0]])
        np.testing.assert_array_equal(transforms.apply_coords(points.copy()), points)


def test_a_blur_is_as_strong_as_configured():
    """A bright point spreads to the standard deviation that was drawn, at most the largest."""
    point = np.zeros((61, 61, 3), np.uint8)
    point[30, 30] = 255
    x = np.arange(61) - 30
    spreads = []
    for seed in range(30):
        np.random.seed(seed)
        image = RandomBlur(2.0).get_transform(point).apply_image(point).astype(float)
        spreads.append(np.sqrt((image[..., 0].sum(0) * x**2).sum() / image[..., 0].sum()))
    assert max(spreads) < 2.1
    assert max(spreads) > 1.5
    assert min(spreads) < 0.5


def test_off_by_default_and_never_in_an_evaluation():
    cfg = tiny_config()
    assert type(training_mapper(cfg, [])) is LandmarkDatasetMapper
    names = [type(a).__name__ for a in build_augmentation(cfg, is_train=True)]
    assert names == ["FastResizeShortestEdge", "RandomFlip"]
    cfg = tiny_config("INPUT.AUGMENT.ROTATION", 9.0, "INPUT.AUGMENT.SQUARE_PX", 64)
    names = [type(a).__name__ for a in build_augmentation(cfg, is_train=False)]
    assert names == ["FastResizeShortestEdge"]


@pytest.mark.parametrize("shape", [(3, 900), (900, 3), (1, 1)])
def test_extreme_pictures_have_a_view(shape):
    for seed in range(5):
        transforms, image = viewed("all", seed, np.zeros((*shape, 3), np.uint8))
        assert image.shape == (128, 128, 3)
        assert torch.from_numpy(transforms.apply_coords(np.zeros((1, 2)))).isfinite().all()


@pytest.mark.parametrize(
    ("opts", "message"),
    [
        (["INPUT.AUGMENT.SCALE", "(0.0, 1.0)"], r"SCALE must be two factors.* got \(0.0, 1.0\)"),
        (["INPUT.AUGMENT.SCALE", "(2.0, 1.0)"], r"SCALE must be two factors"),
        (["INPUT.AUGMENT.SCALE", "(1.0,)"], r"SCALE must be two factors"),
        (["INPUT.AUGMENT.ROTATION", "-1.0"], r"ROTATION must be 0 or more, but got -1.0"),
        (["INPUT.AUGMENT.CUT_OUT", "1.5"], r"CUT_OUT must be 0 to 1, but got 1.5"),
        (["INPUT.COPY_PASTE", "0.5", "MODEL.MASK_ON", "False"], r"set MODEL.MASK_ON True"),
        (
            ["INPUT.CROP.ENABLED", "True", "INPUT.AUGMENT.ROTATION", "9.0"],
            r"INPUT.CROP.ENABLED cuts pictures before INPUT.AUGMENT",
        ),
    ],
)
def test_values_that_cannot_be_meant_are_refused(opts, message):
    with pytest.raises(UserError, match=message):
        tiny_config(*opts)
