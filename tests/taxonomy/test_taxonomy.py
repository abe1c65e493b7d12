"""The table of categories and landmarks: every error that published copies of it have is a test."""

import re

import numpy as np
import pytest

from df2_landmarks.taxonomy import ASYMMETRIC_PAIRS, CATEGORIES, LAYOUT, SIGMAS, Category, Layout
from df2_landmarks.taxonomy.category import names, pairs, paths

PUBLISHED_COUNTS = (25, 33, 31, 39, 15, 15, 10, 14, 8, 29, 37, 19, 19)
each_category = pytest.mark.parametrize("category", CATEGORIES, ids=lambda c: c.official_name)


def test_counts_and_offsets_are_the_published_ones():
    assert LAYOUT.counts == PUBLISHED_COUNTS
    assert LAYOUT.offsets == (0, 25, 58, 89, 128, 143, 158, 168, 182, 190, 219, 256, 275, 294)
    assert (LAYOUT.num_categories, LAYOUT.max_landmarks, LAYOUT.num_slots) == (13, 39, 294)


def test_trousers_are_slots_169_to_182_of_the_challenge_page():
    trousers = [c.official_name for c in CATEGORIES].index("trousers")
    assert (LAYOUT.slots(trousers).start + 1, LAYOUT.slots(trousers).stop) == (169, 182)


def test_slots_are_contiguous_and_each_belongs_to_one_landmark():
    slots = [slot for c in range(13) for slot in range(*LAYOUT.slots(c).indices(294))]
    assert slots == list(range(294))
    for slot in slots:
        class_index = LAYOUT.slot_class[slot]
        local = slot - LAYOUT.offsets[class_index]
        assert LAYOUT.own_landmarks[class_index, local]
    assert LAYOUT.own_landmarks.sum() == 294


@each_category
def test_flip_is_an_involution_that_keeps_the_padding(category):
    flip = LAYOUT.flip_indices[category.id - 1]
    assert sorted(flip) == list(range(39))
    assert (flip[flip] == np.arange(39)).all()
    assert (flip[category.num_landmarks :] == np.arange(category.num_landmarks, 39)).all()


@each_category
def test_flip_pairs_exchange_left_and_right_names_and_leave_no_side_out(category):
    def mirrored(name):
        return re.sub("left|right", lambda m: "right" if m[0] == "left" else "left", name)

    flip = LAYOUT.flip_indices[category.id - 1]
    for index, name in enumerate(category.landmark_names):
        assert category.landmark_names[flip[index]] == mirrored(name)


@each_category
def test_sigmas_are_symmetric_but_for_the_one_listed_pair(category):
    asymmetric = {
        (category.id, a, b)
        for a, b in category.flip_pairs
        if SIGMAS[category.id][a - 1] != SIGMAS[category.id][b - 1]
    }
    assert asymmetric == {triple for triple in ASYMMETRIC_PAIRS if triple[0] == category.id}


def test_short_sleeve_outwear_has_the_neck_points_paired():
    """The official figure exchanges 2 and 4; copies of it pair 2-26 and 4-6."""
    outwear = CATEGORIES[2]
    assert (2, 6) in outwear.flip_pairs
    assert (4, 26) in outwear.flip_pairs


def test_vest_and_sling_dress_pair_9_and_17():
    """Left out of a published table."""
    dresses = [c for c in CATEGORIES if c.official_name in ("vest_dress", "sling_dress")]
    assert len(dresses) == 2
    for category in dresses:
        assert (9, 17) in category.flip_pairs


def test_sigmas_have_the_published_range():
    assert LAYOUT.slot_sigmas.shape == (294,)
    assert LAYOUT.slot_sigmas.min() == 0.0074
    assert LAYOUT.slot_sigmas.max() == 0.0726
    assert round(LAYOUT.slot_sigmas.mean(), 4) == 0.0392


def test_names_are_unique_in_both_vocabularies():
    assert len({c.name for c in CATEGORIES}) == 13
    assert len({c.official_name for c in CATEGORIES}) == 13
    assert (CATEGORIES[0].name, CATEGORIES[0].official_name) == (
        "short sleeve top",
        "short_sleeved_shirt",
    )


@each_category
def test_outlines_pass_every_landmark_and_mirror_onto_themselves(category):
    edges = {frozenset(edge) for edge in category.skeleton}
    assert set().union(*edges) == set(range(1, category.num_landmarks + 1))
    flip = LAYOUT.flip_indices[category.id - 1]
    assert {frozenset(int(flip[n - 1]) + 1 for n in edge) for edge in edges} == edges


@each_category
def test_every_category_has_a_colour_of_its_own(category):
    assert [c.rgb for c in CATEGORIES].count(category.rgb) == 1


def test_derived_tables_cannot_be_written_to():
    for table in (LAYOUT.flip_indices, LAYOUT.own_landmarks, LAYOUT.slot_class, LAYOUT.slot_sigmas):
        with pytest.raises(ValueError, match="read-only"):
            table[0] = 0


def test_notation():
    assert names(" a b\n c ") == ("a", "b", "c")
    assert pairs("2-6 3-5") == ((2, 6), (3, 5))
    assert paths("2 1 6-4", "7-8") == ((2, 1, 6, 5, 4), (7, 8))


def row(**changes):
    values = {
        "id": 1,
        "name": "scarf",
        "official_name": "scarf",
        "color": "#102030",
        "landmark_names": ("end_left", "middle", "end_right"),
        "flip_pairs": ((1, 3),),
        "outlines": ((1, 2, 3),),
    }
    return Category(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"landmark_names": ("a", "a", "b")}, "unique"),
        ({"flip_pairs": ((1, 3), (3, 2))}, "more than one flip pair"),
        ({"flip_pairs": ((1, 4),)}, r"1\.\.3, but got 4"),
        ({"outlines": ((0, 1),)}, r"1\.\.3, but got 0"),
    ],
)
def test_a_wrong_row_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        row(**changes)


def test_a_layout_of_other_categories_works_and_checks_its_sigmas():
    layout = Layout([row()], {1: (0.1, 0.2, 0.1)})
    assert layout.flip_indices.tolist() == [[2, 1, 0]]
    assert row().rgb == (16, 32, 48)
    with pytest.raises(ValueError, match="needs 3 sigmas, but got 2"):
        Layout([row()], {1: (0.1, 0.2)})
    with pytest.raises(ValueError, match=r"must be 1\.\.1"):
        Layout([row(id=2)], {2: (0.1, 0.2, 0.1)})
