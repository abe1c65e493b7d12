"""Pictures show what they are given, and where it is."""

import dataclasses
import doctest
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from detectron2.structures import Boxes, Instances

from df2_landmarks.formats import (
    Garment,
    Landmarks,
    Mask,
    garments_of_instances,
    garments_of_record,
)
from df2_landmarks.taxonomy import DEEPFASHION2, LOW_CONFIDENCE
from df2_landmarks.visualization import (
    DrawingStyle,
    contact_sheet,
    draw,
    draw_garments,
    errors,
    text,
)
from tests.support import category_named

SKIRT = category_named("skirt")


def skirt(visibility, **changes):
    xy = np.array([[60, 40], [100, 45], [140, 40], [50, 90], [40, 150], [100, 155], [160, 150]])
    landmarks_xy = np.vstack([xy, [150, 90]]) + 0.5
    return Garment(
        definition=SKIRT,
        box_xyxy=np.array([35.0, 35, 165, 160]),
        landmarks=Landmarks(SKIRT.landmark_names, landmarks_xy, np.asarray(visibility)),
        **changes,
    )


def blank():
    return np.full((200, 200, 3), 128, np.uint8)


def off(**options):
    """Style with nothing but the options."""
    nothing = dict.fromkeys(("masks", "boxes", "lines", "points", "labels"), False)
    return DrawingStyle(**nothing | options)


def changed(image):
    """Pixels that differ from the blank picture."""
    return (image != 128).any(axis=2)


def near(x, y, distance):
    """Pixels whose row and column are at most that far from a pixel."""
    rows, columns = np.mgrid[:200, :200]
    return np.maximum(abs(rows - y), abs(columns - x)) <= distance


def square(left, top, right, bottom):
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], float)


ALL_VISIBLE = [2] * 8
WHOLE_MASK = Mask.from_polygons([square(40, 45, 160, 155)], 200, 200)


def test_visible_landmarks_are_filled_occluded_ones_hollow_and_unlabelled_ones_absent():
    image = draw_garments(blank(), [skirt([2, 1, 0, 2, 2, 2, 2, 2])], off(points=True))
    color, halo = SKIRT.rgb[::-1], (0, 0, 0)
    assert tuple(image[40, 60]) == color
    assert tuple(image[45, 100]) == halo
    assert (image[45, 98:103] != halo).any()  # the ring
    assert not changed(image)[near(140, 40, 10)].any()


def test_landmarks_of_low_confidence_are_hollow():
    confidence = np.array([LOW_CONFIDENCE, LOW_CONFIDENCE - 0.01] + [0.9] * 6)
    garment = skirt(ALL_VISIBLE)
    landmarks = dataclasses.replace(garment.landmarks, confidence=confidence)
    garment = dataclasses.replace(garment, landmarks=landmarks, score=0.5)
    image = draw_garments(blank(), [garment], off(points=True))
    assert tuple(image[40, 60]) == SKIRT.rgb[::-1]
    assert tuple(image[45, 100]) == (0, 0, 0)


def test_the_image_is_not_changed():
    image = blank()
    draw_garments(image, [skirt(ALL_VISIBLE, mask=WHOLE_MASK)])
    assert (image == 128).all()


def test_overlapping_polygons_are_tinted_everywhere():
    polygons = [square(50, 60, 150, 140), square(80, 70, 120, 120), square(100, 60, 150, 140)]
    garment = skirt([0] * 8, mask=Mask.from_polygons(polygons, 200, 200))
    image = draw_garments(blank(), [garment], off(masks=True))
    tint = np.round((1 - draw.TINT) * 128 + draw.TINT * np.array(SKIRT.rgb[::-1]))
    assert (image[60:140, 50:150] == tint).all()
    assert changed(image).sum() == 80 * 100


PARTS = {
    "masks": near(100, 100, 20),
    "boxes": ~near(100, 100, 60),
    "lines": near(80, 42, 4),
    "points": near(60, 40, 2),
    "labels": near(60, 28, 5),
}
"""Option -> pixels that only this part of the drawing reaches, or reaches last."""


@pytest.mark.parametrize("part", PARTS)
def test_each_part_can_be_left_out(part):
    garment = skirt(ALL_VISIBLE, mask=WHOLE_MASK, score=0.5)
    everything = draw_garments(blank(), [garment])
    without = draw_garments(blank(), [garment], DrawingStyle(**{part: False}))
    alone = draw_garments(blank(), [garment], off(**{part: True}))
    assert (everything != without)[PARTS[part]].any()
    reached = changed(alone)
    assert reached.any()
    assert not (everything != without).any(axis=2)[~reached].any()
    assert not changed(draw_garments(blank(), [garment], off())).any()


@pytest.mark.parametrize("content", ["names", "numbers"])
def test_landmark_texts_are_beside_their_landmarks(content):
    visibility = [0, 0, 0, 0, 0, 2, 0, 0]
    image = draw_garments(blank(), [skirt(visibility)], off(landmark_text=content))
    assert changed(image).any()
    assert changed(image)[near(100, 155, 8)].any()
    reach = 15 if content == "numbers" else 80
    assert not changed(image)[~near(100, 155, reach)].any()


def same_place(box_xyxy):
    """A garment of each category, all of them in one box, without landmarks."""
    return [
        Garment(
            definition=category,
            box_xyxy=np.array(box_xyxy, float),
            landmarks=Landmarks(
                category.landmark_names,
                np.zeros((category.num_landmarks, 2)),
                np.zeros(category.num_landmarks, int),
            ),
            score=0.5,
        )
        for category in DEEPFASHION2.categories
    ]


@pytest.mark.parametrize("box", [(150, 100, 250, 300), (0, 0, 400, 400), (390, 390, 500, 410)])
def test_labels_of_garments_at_one_place_are_whole_and_do_not_cover_each_other(box):
    picture = np.full((400, 400, 3), 128, np.uint8)
    garments = same_place(box)
    crowd = draw_garments(picture, garments, off(labels=True))
    for garment in garments:
        color = garment.definition.rgb[::-1]
        alone = draw_garments(picture, [garment], off(labels=True))
        assert (crowd == color).all(axis=2).sum() == (alone == color).all(axis=2).sum() > 300


def test_a_label_wider_than_the_picture_is_written_smaller():
    sling = same_place((0, 0, 50, 200))[5]
    image = draw_garments(np.full((200, 50, 3), 128, np.uint8), [sling], off(labels=True))
    _, columns = np.nonzero((image == sling.definition.rgb[::-1]).all(axis=2))
    assert 40 < np.ptp(columns) < 50


@pytest.mark.parametrize("size", [(3000, 4), (4, 3000), (1, 1), (1, 40), (40, 1), (20, 20)])
def test_pictures_of_any_shape_are_drawn(size):
    picture = np.full((*size, 3), 128, np.uint8)
    garment = skirt(ALL_VISIBLE, mask=Mask.from_array(np.ones(size, bool)), score=0.5)
    for content in (None, "names", "numbers"):
        style = DrawingStyle(landmark_text=content)
        image = draw_garments(picture, [garment] * 3, style, measured=[[WAIST]] * 3)
        assert image.shape == picture.shape and (image != 128).any()


def test_widths_and_texts_grow_with_the_picture():
    """The same drawing at 800 and at 4,000 px hides a similar share of the picture."""
    hidden = []
    for factor in (4, 20):
        size = 200 * factor
        small = skirt(ALL_VISIBLE)
        landmarks = dataclasses.replace(small.landmarks, xy=small.landmarks.xy * factor)
        garment = Garment(SKIRT, small.box_xyxy * factor, landmarks, score=0.5)
        image = draw_garments(np.full((size, size, 3), 128, np.uint8), [garment])
        hidden.append((np.abs(image.astype(int) - 128) > 60).any(axis=2).mean())
    assert 0.5 * hidden[0] < hidden[1] < 1.5 * hidden[0]


@pytest.mark.parametrize("part", ["lines", "points"])
def test_lines_and_points_of_a_small_garment_are_not_those_of_a_large_picture(part):
    pixels = [
        changed(draw_garments(picture, [skirt(ALL_VISIBLE)], off(**{part: True}))).sum()
        for picture in (blank(), np.full((2000, 2000, 3), 128, np.uint8))
    ]
    assert pixels[0] < pixels[1] < 3 * pixels[0]


@pytest.mark.parametrize("part", ["lines", "points", "labels"])
def test_a_larger_scale_draws_wider_lines_and_larger_texts(part):
    images = [
        draw_garments(blank(), [skirt(ALL_VISIBLE)], off(scale=scale, **{part: True}))
        for scale in (1, 6)
    ]
    assert changed(images[1]).sum() > 1.5 * changed(images[0]).sum()


@dataclass(frozen=True)
class Length:
    name: str
    path: tuple[str, ...]
    pixels: float | None
    ratio: float | None = None


WAIST = Length("waist_width", ("waist_left", "waist_right"), 80.0, 0.5)
HEM = Length("hem", ("hem_left", "hem_right"), 120.0)


def test_a_measured_length_is_a_line_with_a_text_on_it():
    image = draw_garments(blank(), [skirt([2, 2, 2, 2, 2, 0, 2, 2])], off(), measured=[[HEM]])
    is_white = (image > 200).all(axis=2)
    assert is_white[150, 45:70].all() and is_white[150, 130:155].all()
    assert is_white[148:153, 40].all() and is_white[148:153, 160].all()  # strokes across the ends
    plate = slice(145, 156), slice(85, 116)
    assert is_white[plate].mean() > 0.5 and (image[plate] < 100).any()
    assert not changed(image)[~near(100, 150, 65)].any()


def test_a_length_that_could_not_be_measured_is_not_drawn():
    unknown = dataclasses.replace(WAIST, pixels=None)
    image = draw_garments(blank(), [skirt(ALL_VISIBLE)], off(), measured=[[unknown]])
    assert not changed(image).any()


def test_measured_lengths_need_a_sequence_per_garment():
    with pytest.raises(ValueError, match=r"one sequence per garment \(2\), but got 1"):
        draw_garments(blank(), [skirt(ALL_VISIBLE)] * 2, measured=[[WAIST]])


def test_detections_above_the_score_are_drawn_from_instances():
    instances = Instances((200, 200))
    instances.pred_boxes = Boxes(torch.tensor([[10.0, 10, 90, 90], [20, 20, 80, 80]]))
    instances.scores = torch.tensor([0.9, 0.2])
    instances.pred_classes = torch.tensor([8, 3])
    instances.pred_keypoints = torch.full((2, 39, 3), 50.0)
    instances.pred_masks = torch.zeros(2, 200, 200, dtype=torch.bool)
    instances.pred_masks[0, 20:40, 30:60] = True
    (garment,) = garments_of_instances(instances, min_score=0.5)
    assert garment.category == "skirt"
    assert garment.landmarks.xy.shape == (8, 2)
    assert garment.score == pytest.approx(0.9)
    assert garment.mask.polygons[0].min(axis=0).tolist() == [30.5, 20.5]


def test_ground_truth_is_drawn_from_annotations():
    keypoints = np.array([[10.5, 20.5, 2]] + [[0, 0, 0]] * 7, np.float32).ravel()
    annotation = {"bbox": [1, 2, 30, 40], "category_id": 8, "keypoints": keypoints}
    (garment,) = garments_of_record({"height": 60, "width": 60, "annotations": [annotation]})
    assert garment.box_xyxy.tolist() == [1, 2, 31, 42]
    assert garment.landmarks.visibility.tolist() == [2, 0, 0, 0, 0, 0, 0, 0]
    assert garment.score is None


def test_contact_sheet_places_pairs_in_a_grid():
    red, blue = np.zeros((50, 100, 3), np.uint8), np.zeros((100, 50, 3), np.uint8)
    red[:], blue[:] = (0, 0, 255), (255, 0, 0)
    sheet = contact_sheet([(red, blue)] * 4, num_columns=3, tile_px=100)
    assert sheet.shape == (22 + 200, 600, 3)
    assert sheet[72, 50].tolist() == [0, 0, 255]
    assert sheet[72, 150].tolist() == [255, 0, 0]
    assert sheet[172, 250].tolist() == [255, 255, 255]  # no fifth pair
    with pytest.raises(ValueError, match="at least one row"):
        contact_sheet([])


def test_contact_sheet_takes_rows_one_by_one_and_writes_captions_below_them():
    picture, taken = np.full((50, 50, 3), 128, np.uint8), []

    def rows():
        for number in range(2):
            taken.append(number)
            yield [picture] * 3

    captions = [["a name", "x" * 1000], ["\x1b\n\u7537"]]
    sheet = contact_sheet(
        rows(), headings=["a", "b", "c"], captions=captions, num_columns=1, tile_px=100
    )
    assert taken == [0, 1]
    assert sheet.shape == (22 + 2 * (100 + 2 * 18), 300, 3)
    lines = [sheet[top : top + 18] for top in (122, 140, 258, 276)]
    assert [bool((line < 100).any()) for line in lines] == [True, True, True, False]
    with pytest.raises(ValueError, match="zip"):
        contact_sheet([[picture]] * 2, headings=["a"], captions=[["a"]])


def test_errors_are_lines_to_the_truth_in_the_colour_of_their_size():
    predicted = np.array([[20.5, 20.5], [20.5, 60.5], [20.5, 100.5], [20.5, 140.5]])
    sizes = np.array([0.9, 1.5, 2.9, 3.0])
    image = errors.draw_errors(
        blank(), [errors.LandmarkErrors(predicted, predicted + (100, 0), sizes)], scale=4
    )
    colors = [tuple(image[row, 70].tolist()) for row in (20, 60, 100, 140)]
    assert colors == [color for _, color in errors.COLORS]
    assert (image[[20, 60, 100, 140], 120] == 255).all()  # the truth
    assert not changed(image)[160:].any() and not changed(blank()).any()


def test_letters_that_the_font_lacks_are_escaped_in_captions():
    picture = np.full((50, 50, 3), 128, np.uint8)
    names = ["\u7537", "\u5973", "\x01", "\x02", "\n", "\t"]
    sheets = {contact_sheet([[picture]], headings=["a"], captions=[[n]]).tobytes() for n in names}
    assert len(sheets) == len(names)


@pytest.mark.parametrize("module", [draw, errors, text])
def test_the_examples_of_the_docstrings_run(module):
    tested = doctest.testmod(module)
    assert tested.attempted > 0 and tested.failed == 0
