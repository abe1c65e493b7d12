"""The table of categories and landmarks: every error that published copies of it have is a test."""

import re

import numpy as np
import pytest

from df2_landmarks.taxonomy import ASYMMETRIC_PAIRS, DEEPFASHION2, Category, Taxonomy
from df2_landmarks.taxonomy.category import names, pairs, paths

PUBLISHED_COUNTS = (25, 33, 31, 39, 15, 15, 10, 14, 8, 29, 37, 19, 19)
each_category = pytest.mark.parametrize(
    "category", DEEPFASHION2.categories, ids=lambda c: c.official_name
)


def test_counts_and_offsets_are_the_published_ones():
    assert DEEPFASHION2.counts == PUBLISHED_COUNTS
    assert DEEPFASHION2.offsets == (0, 25, 58, 89, 128, 143, 158, 168, 182, 190, 219, 256, 275, 294)
    assert (DEEPFASHION2.num_categories, DEEPFASHION2.max_landmarks, DEEPFASHION2.num_slots) == (
        13,
        39,
        294,
    )


def test_names_pairs_and_every_sigma_are_pinned():
    """A change here is a change of the score, and of what older models mean: is it meant?"""
    assert DEEPFASHION2.fingerprint == "7c476b59"


def test_trousers_are_slots_169_to_182_of_the_challenge_page():
    trousers = [c.official_name for c in DEEPFASHION2.categories].index("trousers")
    assert (DEEPFASHION2.slots(trousers).start + 1, DEEPFASHION2.slots(trousers).stop) == (169, 182)


def test_slots_are_contiguous_and_each_belongs_to_one_landmark():
    slots = [slot for c in range(13) for slot in range(*DEEPFASHION2.slots(c).indices(294))]
    assert slots == list(range(294))
    for slot in slots:
        class_index = DEEPFASHION2.slot_class[slot]
        local = slot - DEEPFASHION2.offsets[class_index]
        assert DEEPFASHION2.own_landmarks[class_index, local]
    assert DEEPFASHION2.own_landmarks.sum() == 294


@each_category
def test_flip_is_an_involution_that_keeps_the_padding(category):
    flip = DEEPFASHION2.flip_indices[category.id - 1]
    assert sorted(flip) == list(range(39))
    assert (flip[flip] == np.arange(39)).all()
    assert (flip[category.num_landmarks :] == np.arange(category.num_landmarks, 39)).all()


@each_category
def test_flip_pairs_exchange_left_and_right_names_and_leave_no_side_out(category):
    def mirrored(name):
        return re.sub("left|right", lambda m: "right" if m[0] == "left" else "left", name)

    flip = DEEPFASHION2.flip_indices[category.id - 1]
    for index, name in enumerate(category.landmark_names):
        assert category.landmark_names[flip[index]] == mirrored(name)


@each_category
def test_sigmas_are_symmetric_but_for_the_one_listed_pair(category):
    asymmetric = {
        (category.id, a, b)
        for a, b in category.flip_pairs
        if category.sigmas[a - 1] != category.sigmas[b - 1]
    }
    assert asymmetric == {triple for triple in ASYMMETRIC_PAIRS if triple[0] == category.id}


def test_short_sleeve_outwear_has_the_neck_points_paired():
    """The official figure exchanges 2 and 4; copies of it pair 2-26 and 4-6."""
    outwear = DEEPFASHION2.categories[2]
    assert (2, 6) in outwear.flip_pairs
    assert (4, 26) in outwear.flip_pairs


def test_vest_and_sling_dress_pair_9_and_17():
    """Left out of a published table."""
    dresses = [
        c for c in DEEPFASHION2.categories if c.official_name in ("vest_dress", "sling_dress")
    ]
    assert len(dresses) == 2
    for category in dresses:
        assert (9, 17) in category.flip_pairs


def test_sigmas_have_the_published_range():
    assert DEEPFASHION2.slot_sigmas.shape == (294,)
    assert DEEPFASHION2.slot_sigmas.min() == 0.0074
    assert DEEPFASHION2.slot_sigmas.max() == 0.0726
    assert round(DEEPFASHION2.slot_sigmas.mean(), 4) == 0.0392


def test_names_are_unique_in_both_vocabularies():
    assert len({c.name for c in DEEPFASHION2.categories}) == 13
    assert len({c.official_name for c in DEEPFASHION2.categories}) == 13
    assert (DEEPFASHION2.categories[0].name, DEEPFASHION2.categories[0].official_name) == (
        "short sleeve top",
        "short_sleeved_shirt",
    )


@each_category
def test_outlines_pass_every_landmark_and_mirror_onto_themselves(category):
    edges = {frozenset(edge) for edge in category.skeleton}
    assert set().union(*edges) == set(range(1, category.num_landmarks + 1))
    flip = DEEPFASHION2.flip_indices[category.id - 1]
    assert {frozenset(int(flip[n - 1]) + 1 for n in edge) for edge in edges} == edges


@each_category
def test_every_category_has_a_colour_of_its_own(category):
    assert [c.rgb for c in DEEPFASHION2.categories].count(category.rgb) == 1


def test_derived_tables_cannot_be_written_to():
    for table in (
        DEEPFASHION2.flip_indices,
        DEEPFASHION2.own_landmarks,
        DEEPFASHION2.slot_class,
        DEEPFASHION2.slot_sigmas,
    ):
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
        "sigmas": (0.1, 0.2, 0.1),
    }
    return Category(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"landmark_names": ("a", "a", "b")}, "must be unique, but 'a' occurs again"),
        ({"landmark_names": (), "flip_pairs": (), "outlines": ()}, "at least one landmark"),
        ({"sigmas": (0.1, 0.2)}, "needs 3 sigmas, but got 2"),
        ({"sigmas": (0.1, 0.0, 0.1)}, "must be numbers above 0"),
        ({"sigmas": (0.1, float("nan"), 0.1)}, "must be numbers above 0"),
        ({"flip_pairs": ((1, 3), (3, 2))}, "landmark 3 must stand in one flip pair"),
        ({"flip_pairs": ((1, 4),)}, r"1\.\.3, but got 4"),
        ({"outlines": ((0, 1),)}, r"1\.\.3, but got 0"),
    ],
)
def test_a_wrong_row_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        row(**changes)


def test_a_taxonomy_of_other_categories_works_and_is_checked():
    scarves = Taxonomy("scarves", [row()])
    assert scarves.flip_indices.tolist() == [[2, 1, 0]]
    assert row().rgb == (16, 32, 48)
    with pytest.raises(ValueError, match=r"must be 1\.\.1"):
        Taxonomy("scarves", [row(id=2)])
    with pytest.raises(ValueError, match="names must be unique, but 'scarf' occurs again"):
        Taxonomy("scarves", [row(), row(id=2)])
    with pytest.raises(ValueError, match="must be"):
        Taxonomy("nothing", [])


def test_two_taxonomies_are_equal_if_nothing_that_models_and_scores_depend_on_differs():
    scarves = Taxonomy("scarves", [row()])
    assert scarves == Taxonomy("other", [row(color="#000000", outlines=())], notes=["guessed"])
    assert hash(scarves) == hash(Taxonomy("other", [row()]))
    assert scarves.difference(Taxonomy("other", [row()])) == ""
    changes = [
        ({"sigmas": (0.1, 0.2, 0.3)}, "sigmas of category 1 (scarf): 0.1 as number 3 in a, 0.3"),
        ({"flip_pairs": ()}, "flip pairs of category 1 (scarf): 1 in a, 0 in b"),
        ({"name": "shawl"}, "name of category 1 (scarf): 'scarf' in a, 'shawl' in b"),
        (
            {"landmark_names": ("end_left", "centre", "end_right")},
            "landmarks of category 1 (scarf): 'middle' as number 2 in a, 'centre' as number 2 in b",
        ),
    ]
    for change, difference in changes:
        other = Taxonomy("b", [row(**change)])
        assert other != scarves and other.fingerprint != scarves.fingerprint
        assert Taxonomy("a", [row()]).difference(other).startswith(difference)
