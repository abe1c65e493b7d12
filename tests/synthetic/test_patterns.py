"""The pattern of each category: what every garment of it is cut from."""

import numpy as np
import pytest

from df2_landmarks.synthetic import MODERATE, RICH, Recipe
from df2_landmarks.synthetic.garment import (
    BACK,
    FRONT,
    PATTERNS,
    Shape,
    sample_shape,
    shaped,
)
from df2_landmarks.synthetic.scene import sample_scene
from df2_landmarks.taxonomy import DEEPFASHION2

KINDS = {
    "top": {"short sleeve top", "long sleeve top", "vest", "sling"},
    "outer": {"short sleeve outwear", "long sleeve outwear"},
    "bottom": {"shorts", "trousers", "skirt"},
    "dress": {"short sleeve dress", "long sleeve dress", "vest dress", "sling dress"},
}
each_pattern = pytest.mark.parametrize("pattern", PATTERNS, ids=[p.category.name for p in PATTERNS])


def test_every_category_has_one_pattern_of_its_kind():
    assert [pattern.category for pattern in PATTERNS] == list(DEEPFASHION2.categories)
    for pattern in PATTERNS:
        assert pattern.category.name in KINDS[pattern.kind]


def test_all_garments_of_a_category_share_one_pattern():
    recipe = Recipe(size_px=64, difficulty=RICH)
    for index in range(30):
        for actor in sample_scene(recipe, "train", index).actors:
            for garment in actor.garments:
                assert garment.pattern is PATTERNS[garment.pattern.category.id - 1]


@each_pattern
def test_a_pattern_is_symmetric(pattern):
    swap = DEEPFASHION2.flip_indices[pattern.category.id - 1, : pattern.category.num_landmarks]
    np.testing.assert_allclose(pattern.points[swap], pattern.points * [-1, 1, 1, 1], atol=1e-9)


@each_pattern
def test_every_landmark_is_a_vertex_of_a_panel_seen_from_the_front(pattern):
    for panel in pattern.panels[FRONT]:
        for row in panel.rows:
            assert np.abs(panel.outline[:, :2] - pattern.points[row, :2]).max(1).min() < 1e-6
    rows = {row for panel in pattern.panels[FRONT] for row in panel.rows}
    assert rows == set(range(pattern.category.num_landmarks))


@each_pattern
def test_the_front_neckline_and_front_edges_are_not_seen_from_the_back(pattern):
    rows = {row for panel in pattern.panels[BACK] for row in panel.rows}
    hidden = {
        row
        for row, name in enumerate(pattern.category.landmark_names)
        if name.startswith(("neckline_front", "front_edge"))
    }
    assert hidden == set(range(pattern.category.num_landmarks)) - rows


@each_pattern
def test_sleeves_and_legs_are_measured_along_their_edges(pattern):
    names = pattern.category.landmark_names
    along = dict(zip(names, pattern.points[:, 2], strict=True))
    ends = [v for name, v in along.items() if name.startswith("cuff") or "leg" in name]
    assert (max(ends, default=0.0) > 0) == bool(pattern.sleeve_length or pattern.leg_length)
    np.testing.assert_allclose(
        max(ends, default=0.0), max(pattern.sleeve_length, pattern.leg_length)
    )
    for name, limb in zip(names, pattern.limbs, strict=True):
        assert limb or along[name] == 0.0, name


@each_pattern
def test_a_shape_of_factors_one_leaves_a_garment_as_it_is(pattern):
    for limb, rows in pattern.limb_rows.items():
        points = shaped(pattern.points[rows], pattern, Shape(), limb)
        np.testing.assert_allclose(points, pattern.points[rows])


def test_a_wider_shape_is_wider_by_its_factor():
    pattern = PATTERNS[0]
    points = shaped(pattern.points, pattern, Shape(width=1.5), "")
    np.testing.assert_allclose(points, pattern.points * [1.5, 1, 1, 1])


def test_shapes_without_spread_are_all_the_same():
    rng = np.random.default_rng(0)
    assert sample_shape(rng, 0.0) == sample_shape(rng, 0.0) != sample_shape(rng, 1.0)


def test_random_numbers_of_a_picture_depend_on_the_seed_its_split_and_its_path_alone():
    recipe = Recipe(size_px=64, difficulty=MODERATE, seed=3)
    first = recipe.stream("train", 1, 5).random()
    assert first == Recipe(size_px=99, difficulty=RICH, seed=3).stream("train", 1, 5).random()
    others = [
        Recipe(size_px=64, difficulty=MODERATE, seed=4).stream("train", 1, 5).random(),
        recipe.stream("validation", 1, 5).random(),
        recipe.stream("train", 1, 6).random(),
        recipe.stream("train", 2, 5).random(),
    ]
    assert len({first, *others}) == 5
