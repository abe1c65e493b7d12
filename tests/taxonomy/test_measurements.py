"""Measurements: the table of the 13 categories, lengths by hand, doubtful landmarks."""

import doctest
import importlib
import re

import numpy as np
import pytest

from df2_landmarks.common import UserError
from df2_landmarks.taxonomy import (
    DEEPFASHION2,
    Category,
    Measurement,
    measure,
    measurements_of,
)
from df2_landmarks.taxonomy.measurements import ROWS
from tests.support import category_named

each_category = pytest.mark.parametrize(
    "category", DEEPFASHION2.categories, ids=lambda c: c.official_name
)
SKIRT = category_named("skirt")
SKIRT_XY = [(80, 0), (100, 0), (120, 0), (50, 40), (20, 80), (100, 140), (180, 80), (150, 40)]
GARMENT_LENGTH = {
    **dict.fromkeys((1, 2, 5, 6, 10, 11, 12, 13), ("body_length",)),
    **dict.fromkeys((3, 4), ("body_length_left", "body_length_right")),
    **dict.fromkeys((7, 8), ("outseam_left", "outseam_right")),
    9: ("skirt_length",),
}
FIGURE_PATHS = {
    2: """body_length 1 20, front_length 4 20, side_seam_left 16 17 18 19, shoulder_width 7 33,
        chest_width 16 24, underarm_width 17 23, waist_width 18 22, hem_width 19 20 21,
        neckline_width 2 6, back_neckline 2 1 6, front_neckline 2 3 4 5 6,
        shoulder_length_left 2 7, armhole_left 7 16, sleeve_length_left 7 8 9 10 11,
        sleeve_inseam_left 16 15 14 13 12, cuff_width_left 11 12""",
    4: """body_length_left 1 20, front_length_left 4 38 39 20, side_seam_left 16 17 18 19,
        shoulder_width 7 33, chest_width 16 24, underarm_width 17 23, waist_width 18 22,
        hem_width 19 21, neckline_width 2 6, back_neckline 2 1 6, front_neckline_left 2 3 4,
        shoulder_length_left 2 7, armhole_left 7 16, sleeve_length_left 7 8 9 10 11,
        sleeve_inseam_left 16 15 14 13 12, cuff_width_left 11 12""",
    6: """body_length 1 11, front_length 4 11, underarm_width 8 14, waist_width 9 13,
        hem_width 10 11 12, neckline_width 2 6, back_neckline 2 1 6, front_neckline 2 3 4 5 6,
        strap_length_left 7 2""",
    7: "outseam_left 1 4 5, inseam_left 7 6, rise 2 7, waist_width 1 2 3, leg_opening_left 5 6",
    8: """outseam_left 1 4 5 6, inseam_left 9 8 7, rise 2 9, waist_width 1 2 3,
        thigh_width_left 4 9, knee_width_left 5 8, leg_opening_left 6 7""",
    9: "skirt_length 2 6, side_seam_left 1 4 5, waist_width 1 2 3, hem_width 5 6 7",
    12: """body_length 1 13, front_length 4 13, shoulder_width 7 19, underarm_width 8 18,
        waist_width 9 17, hem_width 12 13 14, neckline_width 2 6, back_neckline 2 1 6,
        front_neckline 2 3 4 5 6, shoulder_length_left 2 7""",
}

MEASUREMENTS = {c.id: measurements_of(c) for c in DEEPFASHION2.categories}


def mirrored(name):
    return re.sub("left|right", lambda m: "right" if m[0] == "left" else "left", name)


def by_name(lengths):
    return {length.name: length for length in lengths}


@each_category
def test_every_path_runs_through_landmarks_of_the_category(category):
    table = MEASUREMENTS[category.id]
    assert len({m.name for m in table}) == len(table) >= 5
    for measurement in table:
        assert set(measurement.path) <= set(category.landmark_names)


@each_category
def test_the_first_measurement_is_the_length_of_the_garment(category):
    expected = GARMENT_LENGTH[category.id]
    assert tuple(m.name for m in MEASUREMENTS[category.id][: len(expected)]) == expected


def test_every_row_of_the_table_applies_to_a_category():
    rows = {row.split()[0].replace("*", "right") for row in ROWS.strip().splitlines()}
    measured = {m.name for table in MEASUREMENTS.values() for m in table}
    assert {name for name in measured if not name.endswith("_left")} == rows


@pytest.mark.parametrize("category_id", FIGURE_PATHS)
def test_paths_in_the_numbers_of_the_figure(category_id):
    """Read off the data set's figure; the right sides follow from the mirror test."""
    names = DEEPFASHION2.categories[category_id - 1].landmark_names
    rows = [
        f"{m.name} {' '.join(str(names.index(landmark) + 1) for landmark in m.path)}"
        for m in MEASUREMENTS[category_id]
        if not m.name.endswith("_right")
    ]
    assert rows == [row.strip() for row in FIGURE_PATHS[category_id].split(",")]


def test_only_garments_with_the_landmarks_have_a_measurement():
    having = {
        name: [i for i, table in MEASUREMENTS.items() if name in {m.name for m in table}]
        for name in ("chest_width", "waist_width", "thigh_width_left", "strap_length_left")
    }
    assert having == {
        "chest_width": [1, 2, 3, 4, 10, 11],
        "waist_width": list(range(1, 14)),
        "thigh_width_left": [8],
        "strap_length_left": [6, 13],
    }


@each_category
def test_left_and_right_paths_are_mirror_images(category):
    """A path along an edge of both sides is its own mirror image, walked the other way."""
    paths = {m.name: m.path for m in MEASUREMENTS[category.id]}
    for name, path in paths.items():
        other = tuple(mirrored(landmark) for landmark in path)
        assert paths[mirrored(name)] in (other, other[::-1]), name


@each_category
def test_a_mirrored_garment_has_the_same_lengths_with_left_and_right_exchanged(category):
    rng = np.random.default_rng(category.id)
    xy = rng.uniform(0, 500, (category.num_landmarks, 2))
    confidence = rng.uniform(0.2, 1, category.num_landmarks)
    swap = DEEPFASHION2.flip_indices[category.id - 1, : category.num_landmarks]
    flipped = measure(category, xy[swap] * [-1, 1] + [640, 0], confidence=confidence[swap])
    lengths = by_name(flipped)
    for length in measure(category, xy, confidence=confidence):
        twin = lengths[mirrored(length.name)]
        assert (length.pixels is None) == (twin.pixels is None)
        if length.pixels is not None:
            np.testing.assert_allclose(twin.pixels, length.pixels)
        if length.ratio is not None:
            np.testing.assert_allclose(twin.ratio, length.ratio)


def test_lengths_by_hand():
    lengths = by_name(measure(SKIRT, SKIRT_XY, pixels_per_cm=4))
    assert {name: length.pixels for name, length in lengths.items()} == {
        "skirt_length": 140,
        "side_seam_left": 100,
        "side_seam_right": 100,
        "waist_width": 40,
        "hem_width": 200,
    }
    assert lengths["hem_width"].ratio == 200 / 140
    assert lengths["hem_width"].centimetres == 50
    assert lengths["hem_width"].reason == ""
    assert lengths["hem_width"].path == ("hem_left", "hem_centre", "hem_right")
    assert measure(SKIRT, SKIRT_XY)[0].centimetres is None


def test_the_length_of_shorts_is_the_mean_of_both_sides_or_the_one_that_is_known():
    shorts = DEEPFASHION2.categories[6]
    xy = np.zeros((10, 2))
    xy[[0, 3, 4], 1] = 0, 10, 40  # the left side is 40 long, the right one 60
    xy[[2, 9, 8], 1] = 0, 30, 60
    xy[5, 1] = 40  # from the crotch
    known = np.ones(10, bool)
    assert by_name(measure(shorts, xy, known=known))["outseam_left"].ratio == 40 / 50
    known[9] = False
    lengths = by_name(measure(shorts, xy, known=known))
    assert lengths["outseam_left"].ratio == 1
    assert lengths["outseam_right"].pixels is None
    known[0] = False
    inseam = by_name(measure(shorts, xy, known=known))["inseam_left"]
    assert (inseam.pixels, inseam.ratio) == (40, None)
    assert inseam.reason == (
        "no ratio: outseam_left: waist_left is not labelled; "
        "outseam_right: leg_right_outer_1 is not labelled"
    )


def test_a_length_through_an_unusable_landmark_has_no_number_but_a_reason():
    confidence = np.full(8, 0.9)
    confidence[[4, 6]] = 0.12, 0.3
    xy = np.array(SKIRT_XY, dtype=float)
    xy[7] = np.nan
    known = [True] * 8
    known[0] = False
    lengths = by_name(measure(SKIRT, xy, confidence=confidence, known=known, pixels_per_cm=2))
    assert lengths["skirt_length"].reason == ""
    assert lengths["waist_width"].reason == "waist_left is not labelled"
    assert lengths["hem_width"].reason == "hem_left: confidence 0.12 is below 0.30"
    assert lengths["side_seam_right"].reason == "side_right_mid has no finite position"
    assert lengths["side_seam_left"].reason == (
        "waist_left is not labelled; hem_left: confidence 0.12 is below 0.30"
    )
    for name in ("waist_width", "hem_width", "side_seam_left", "side_seam_right"):
        length = lengths[name]
        assert length.pixels is length.ratio is length.centimetres is None
    hem = by_name(measure(SKIRT, xy, confidence=confidence, min_confidence=0.1))["hem_width"]
    assert hem.pixels == 200


def test_without_the_length_of_the_garment_there_are_pixels_but_no_ratio():
    lengths = by_name(measure(SKIRT, SKIRT_XY, known=[True] * 5 + [False] + [True] * 2))
    assert (lengths["waist_width"].pixels, lengths["waist_width"].ratio) == (40, None)
    reason = "no ratio: skirt_length: hem_centre is not labelled"
    assert lengths["waist_width"].reason == reason
    assert lengths["hem_width"].reason == "hem_centre is not labelled"
    assert measure(SKIRT, np.zeros((8, 2)))[3].reason == "no ratio: skirt_length is 0"


def test_confidence_that_is_not_a_number_is_doubtful():
    length = measure(SKIRT, SKIRT_XY, confidence=[np.nan] * 8)[0]
    assert length.pixels is None and "confidence nan" in length.reason


def test_own_measurements_replace_those_of_their_category_alone():
    own = {9: (Measurement("back_waist", ("waist_left", "waist_right")),)}
    assert [m.name for m in measure(SKIRT, SKIRT_XY, measurements=own)] == ["back_waist"]
    vest = measure(DEEPFASHION2.categories[4], np.zeros((15, 2)), measurements=own)
    assert [m.name for m in vest] == [m.name for m in MEASUREMENTS[5]]
    assert measure(SKIRT, SKIRT_XY, measurements={9: ()}) == []


def test_categories_of_other_data_get_what_their_landmark_names_allow():
    cape = Category(
        id=1,
        name="cape",
        official_name="cape",
        color="#102030",
        landmark_names=("shoulder_left", "shoulder_right", "clasp"),
        flip_pairs=((1, 2),),
        outlines=((1, 3, 2),),
        sigmas=(0.05, 0.05, 0.05),
    )
    assert measurements_of(cape) == (
        Measurement("shoulder_width", ("shoulder_left", "shoulder_right")),
    )
    assert measure(cape, [(0, 0), (3, 4), (9, 9)])[0].ratio == 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"pixels_per_cm": 0}, UserError, "pixels_per_cm must be a number above 0, but got 0"),
        ({"pixels_per_cm": float("nan")}, UserError, "above 0, but got nan"),
        ({"min_confidence": 30}, UserError, r"min_confidence must be in 0\.\.1, but got 30"),
        ({"known": [True]}, ValueError, r"known must have the shape \(8,\), but has \(1,\)"),
        ({"confidence": [[1] * 8]}, ValueError, r"confidence must .* but has \(1, 8\)"),
        (
            {"measurements": {9: [Measurement("sleeve", ("hem_left", "cuff"))]}},
            ValueError,
            "sleeve: skirt has no landmark cuff",
        ),
    ],
)
def test_wrong_arguments_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        measure(SKIRT, SKIRT_XY, **options)


def test_landmarks_of_another_category_are_refused():
    with pytest.raises(ValueError, match=r"must have the shape \(15, 2\), but has \(8, 2\)"):
        measure(DEEPFASHION2.categories[4], SKIRT_XY)


@pytest.mark.parametrize(
    ("name", "path", "message"),
    [
        (" ", ("a", "b"), "printable text"),
        ("a\nb", ("a", "b"), "printable text"),
        ("length", ("a",), "2 landmarks or more, but has 1"),
        ("length", ("a", "b", "b"), "b twice in a row"),
    ],
)
def test_a_measurement_that_measures_nothing_is_refused(name, path, message):
    with pytest.raises(ValueError, match=message):
        Measurement(name, path)


def test_the_examples_of_the_docstrings_run():
    tested = doctest.testmod(importlib.import_module("df2_landmarks.taxonomy.measurements"))
    assert tested.attempted > 2 and tested.failed == 0
