"""Taxonomies as plain data: read, written, guessed, and refused with the row's place."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from df2_landmarks.common import UserError
from df2_landmarks.taxonomy import (
    DEEPFASHION2,
    DEFAULT_SIGMA,
    category_rows,
    guessed_pairs,
    taxonomy_from_rows,
    taxonomy_of,
    taxonomy_text,
)

FOX = {
    "name": "fox",
    "keypoints": ["ear_left", "ear_right", "nose"],
    "skeleton": [[1, "nose"], ["ear_right", 3]],
    "flip_pairs": [[1, 2]],
    "sigmas": [0.03, 0.03, 0.02],
    "color": "#102030",
}
OWL = {"name": "owl", "keypoints": ["beak", "wing tip"], "sigmas": 0.1, "flip_pairs": []}


def read(*rows, **changes):
    return taxonomy_from_rows([{**row, **changes} for row in rows], name="zoo", where="zoo.yaml")


def config(text):
    return SimpleNamespace(MODEL=SimpleNamespace(ROI_LANDMARK_HEAD=SimpleNamespace(TAXONOMY=text)))


def test_a_row_gives_names_pairs_outlines_sigmas_and_colour():
    zoo = read(FOX, OWL)
    fox, owl = zoo.categories
    assert zoo.name == "zoo" and zoo.notes == () and zoo.counts == (3, 2)
    assert fox.flip_pairs == ((1, 2),) and fox.outlines == ((1, 3), (2, 3))
    assert fox.sigmas == (0.03, 0.03, 0.02) and owl.sigmas == (0.1, 0.1)
    assert fox.rgb == (16, 32, 48) and owl.color != fox.color


def test_what_is_written_is_read_again():
    zoo = read(FOX, OWL)
    again = taxonomy_from_rows(
        json.loads(json.dumps(category_rows(zoo))), name="zoo", where="again"
    )
    assert again == zoo and category_rows(again) == category_rows(zoo)


def test_deepfashion2_s_rows_are_deepfashion2():
    assert taxonomy_from_rows(category_rows(DEEPFASHION2), name="x", where="x") is DEEPFASHION2


def test_the_order_is_that_of_the_ids():
    rows = [{**FOX, "id": 30}, {**OWL, "id": 4}]
    zoo = taxonomy_from_rows(rows, name="zoo", where="zoo.json")
    assert [(c.id, c.name) for c in zoo.categories] == [(1, "owl"), (2, "fox")]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["left_eye", "right_eye", "nose"], ((1, 2),)),
        (["L ear", "tail", "R ear"], ((1, 3),)),
        (["kneeLeft", "kneeRight", "Left-Hip", "Right-Hip"], ((1, 2), (3, 4))),
        (["eye_l", "eye_r"], ((1, 2),)),
        (["left_eye", "right_ear", "leftover", "rightover"], ()),
        (["paw_left_1", "paw_left_2", "paw_right_2", "paw_right_1"], ((1, 4), (2, 3))),
    ],
)
def test_pairs_are_guessed_from_names_that_differ_in_left_and_right_only(names, expected):
    assert guessed_pairs(names) == expected


@pytest.mark.parametrize("category", DEEPFASHION2.categories, ids=lambda c: c.name)
def test_the_guess_is_right_for_every_garment(category):
    guessed = guessed_pairs(category.landmark_names)
    assert set(map(frozenset, guessed)) == set(map(frozenset, category.flip_pairs))


def test_what_was_assumed_is_said():
    fox = {key: value for key, value in FOX.items() if key not in ("flip_pairs", "sigmas")}
    zoo = read(fox, OWL)
    assert zoo.categories[0].flip_pairs == ((1, 2),)
    assert zoo.categories[0].sigmas == (DEFAULT_SIGMA,) * 3
    assert zoo.notes == (
        "fox: flip pairs guessed from the names: ear_left - ear_right",
        "sigmas: .05, the default, for fox",
    )


def test_some_sigmas_by_name_leave_the_default_to_the_others_and_say_so():
    zoo = read(FOX, sigmas={"nose": 0.01})
    assert zoo.categories[0].sigmas == (DEFAULT_SIGMA, DEFAULT_SIGMA, 0.01)
    assert zoo.notes == ("sigmas: .05, the default, for 2 landmarks of fox",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": 3}, r"zoo\.yaml: category 1, name: expected `str`, got `int`"),
        ({"keypoints": ["a", 2]}, r"category 1, keypoints\[1\]: expected `str`"),
        ({"keypoints": ["a", "a"], "skeleton": []}, "names must be unique, but 'a' occurs again"),
        ({"keypoints": [], "skeleton": [], "flip_pairs": [], "sigmas": []}, "at least one"),
        ({"flip_pairs": [[1, 2], [2, 3]]}, "landmark 2 must stand in one flip pair, once"),
        ({"flip_pairs": [[1, 1]]}, "landmark 1 must stand in one flip pair, once"),
        ({"flip_pairs": [[1, 2, 3]]}, r"flip_pairs\[0\]: expected `array` of length <= 2"),
        ({"flip_pairs": [["ear_left", "ear"]]}, "flip_pairs: there is no landmark 'ear'"),
        ({"flip_pairs": [[0, 1]]}, r"\(fox\), flip_pairs: numbers must be 1\.\.3, but got 0"),
        ({"sigmas": [0.1]}, "needs 3 sigmas, but got 1"),
        ({"sigmas": -1.0}, "sigmas must be numbers above 0"),
        ({"sigmas": {"beak": 0.1}}, "sigmas: there is no landmark 'beak'"),
        ({"color": "red"}, "category 1, color: expected `str` matching regex"),
    ],
)
def test_a_wrong_row_is_refused_with_its_place(changes, message):
    with pytest.raises(UserError, match=message):
        read(FOX, **changes)


def test_pairs_that_count_from_zero_are_noticed_by_the_names():
    animal = {
        "name": "deer",
        "keypoints": ["nose", "left_ear", "right_ear", "left_eye", "right_eye"],
        "flip_pairs": [[1, 2], [3, 4]],
    }
    note = read(animal, sigmas=0.1).notes[0]
    assert "no flip pairs: left_ear - right_ear, left_eye - right_eye" in note
    assert note.endswith("(numbers count from 1)")


def test_a_skeleton_with_landmarks_that_are_not_there_loses_these_lines_only():
    zoo = read(FOX, skeleton=[[1, 2], [16, 14], [3, "tail"]])
    assert zoo.categories[0].outlines == ((1, 2),)
    assert zoo.notes == (
        "fox: lines of the skeleton left out, numbers are 1..3: 16 - 14, 3 - tail",
    )


def test_notes_are_not_doubled_on_the_way_through_a_configuration():
    zoo = read(FOX, flip_pairs=[])
    again = taxonomy_of(config(taxonomy_text(zoo)))
    assert len(zoo.notes) == 1 and again.notes == zoo.notes


def test_two_categories_of_one_name_or_id_are_refused():
    with pytest.raises(UserError, match="category names must be unique, but 'fox' occurs again"):
        read(FOX, FOX)
    with pytest.raises(UserError, match="category ids must be unique, but 7 occurs again"):
        read(FOX, OWL, id=7)


def test_a_configuration_holds_the_taxonomy_and_what_was_assumed():
    zoo = read({"name": "fox", "keypoints": ["nose", "tail"]})
    again = taxonomy_of(config(taxonomy_text(zoo)))
    assert again == zoo and again.notes == zoo.notes and again.name == "zoo"
    assert taxonomy_text(DEEPFASHION2) == "" and taxonomy_of(config("")) is DEEPFASHION2


def test_a_text_that_is_none_is_refused():
    with pytest.raises(UserError, match=r"TAXONOMY: must be a taxonomy, but got 'foxes\.yaml'"):
        taxonomy_of(config("foxes.yaml"))
