"""Balance, quirks, annotator noise and the fingerprint of drawn data."""

import numpy as np
import pytest

from df2_landmarks.formats import Mask
from df2_landmarks.synthetic import (
    MODERATE,
    PRESETS,
    RICH,
    Recipe,
    fingerprint_of,
    plan_picture,
)
from df2_landmarks.synthetic.labels import QUIRKS, with_landmark_noise, with_quirk
from df2_landmarks.taxonomy import DEEPFASHION2

NAMES = [quirk.__name__ for quirk in QUIRKS]


def items(annotation):
    return [annotation[key] for key in sorted(annotation) if key.startswith("item")]


def test_quirks_put_every_oddity_in(tmp_path):
    recipe = Recipe(size_px=160, difficulty=MODERATE, quirks=True)
    for index in range(2 * len(QUIRKS)):
        odd = plan_picture(recipe, "train", index).annotation
        plain = plan_picture(Recipe(size_px=160, difficulty=MODERATE), "train", index).annotation
        name = NAMES[index % len(QUIRKS)]
        if name == "item_order":
            assert list(odd) == sorted(odd, reverse=True)
        elif name == "no_landmarks" and "item2" not in odd:
            assert odd == plain
        else:
            assert odd != plain, name
        assert any(v for item in items(odd) for v in item["landmarks"][2::3])


def test_overlapping_polygons_are_a_whole_and_its_parts_with_the_same_union():
    recipe = Recipe(size_px=320, difficulty=RICH)
    for picture in range(6):
        plan = plan_picture(recipe, "train", picture)
        height, width = size = plan.scene.size
        odd = with_quirk(plan.annotation, NAMES.index("whole_and_parts"), size)
        for plain_item, odd_item in zip(items(plan.annotation), items(odd), strict=True):
            plain, overlapping = (
                [np.reshape(flat, (-1, 2)) for flat in item["segmentation"]]
                for item in (plain_item, odd_item)
            )
            assert len(overlapping) == len(plain) + 2
            union = Mask.from_polygons(overlapping, height, width).array
            whole = Mask.from_polygons(plain, height, width).array
            assert (union != whole).sum() <= 0.01 * whole.sum() + 4  # cuts at whole pixels
            masks = [Mask.from_polygons([p], height, width).array for p in overlapping]
            even_odd = np.sum(masks, axis=0) % 2 == 1  # the mask if overlaps cancelled each other
            assert even_odd[masks[0]].mean() < 0.9


@pytest.mark.parametrize("name", NAMES)
def test_quirks_leave_a_garment_without_polygon_as_it_is_or_apply_elsewhere(name):
    item = {"landmarks": [5, 6, 2] * 8, "bounding_box": [1, 2, 9, 90], "segmentation": []}
    record = {"source": "user", "pair_id": 1, "item1": item}
    odd = with_quirk(record, NAMES.index(name), (100, 80))
    assert odd["item1"]["segmentation"] == [] and odd.keys() == record.keys()


def test_the_smallest_pictures_can_be_drawn_with_quirks():
    recipe = Recipe(size_px=64, difficulty=RICH, seed=64, quirks=True)
    assert all(plan_picture(recipe, "train", index).annotation for index in range(120))


def test_landmark_noise_has_the_official_spread():
    landmarks = [500, 500, 2] * DEEPFASHION2.counts[0]
    record = {"item1": {"category_id": 1, "bounding_box": [0, 0, 400, 100], "landmarks": landmarks}}
    rng = np.random.default_rng(0)
    moved = [
        with_landmark_noise(record, rng, (1000, 1000))["item1"]["landmarks"] for _ in range(400)
    ]
    offsets = np.reshape(moved, (400, -1, 3))[..., :2] - 500
    np.testing.assert_allclose(offsets.std((0, 2)), DEEPFASHION2.sigmas(0) * 200, rtol=0.15)
    assert record["item1"]["landmarks"] == landmarks


def test_landmark_noise_is_for_training_only():
    for split, differs in (("train", True), ("validation", False)):
        plain, noisy = (
            plan_picture(
                Recipe(size_px=160, difficulty=MODERATE, landmark_noise=noise), split, 0
            ).annotation
            for noise in (False, True)
        )
        assert (plain != noisy) is differs


def test_balance_real_has_the_published_long_tail():
    recipe = Recipe(size_px=64, difficulty=MODERATE, balance="real")
    counts = np.zeros(DEEPFASHION2.num_categories)
    for index in range(600):
        for item in items(plan_picture(recipe, "train", index).annotation):
            counts[item["category_id"] - 1] += 1
    share = counts / counts.sum()
    assert share.argmax() == 0 and 0.15 < share[0] < 0.30
    assert share[2] < 0.01


@pytest.mark.slow
def test_the_small_data_set_is_fixed_for_good():
    preset = PRESETS["small"]
    assert fingerprint_of(preset.recipe, preset.splits) == "d84e87a4f789cc9c"
