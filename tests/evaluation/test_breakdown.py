"""AP by attribute: the stated rule, checked with pycocotools."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from df2_landmarks.evaluation.breakdown import VALUES, break_down
from df2_landmarks.evaluation.comparison import ap_intervals
from df2_landmarks.evaluation.score import score
from df2_landmarks.formats.annotations import read_ground_truth
from df2_landmarks.formats.ground_truth import SOURCES, VISIBLE_AND_OCCLUDED
from df2_landmarks.formats.results import read_results
from df2_landmarks.taxonomy import DEEPFASHION2
from tests.evaluation.cases import make_ground_truth, make_results, pycocotools_score, write_json

RNG = np.random.default_rng(0)
TRUTH = make_ground_truth(RNG, num_images=40)
RESULTS = make_results(RNG, TRUTH)


@pytest.mark.parametrize("axis", VALUES)
def test_items_outside_a_subset_are_ignored_as_pycocotools_ignores_them(
    tmp_path: Path, axis: str
) -> None:
    ground_truth = read_ground_truth(write_json(tmp_path / "truth.json", TRUTH))
    detections = read_results(write_json(tmp_path / "results.json", RESULTS), ground_truth)
    result = score(ground_truth, detections, VISIBLE_AND_OCCLUDED)
    subsets = break_down(ground_truth, result, [axis])[axis]
    assert tuple(subsets) == VALUES[axis]
    for number, subset in enumerate(subsets.values(), start=1):
        truth = copy.deepcopy(TRUTH)
        wanted = SOURCES[number - 1] if axis == "source" else number
        images = set()
        for item in truth["annotations"]:
            if item[axis] != wanted:
                item["num_keypoints"] = 0  # what makes pycocotools ignore an item
            elif item["num_keypoints"] and not item["iscrowd"]:
                images.add(item["image_id"])
        oracle = pycocotools_score(truth, RESULTS, sorted(images))
        got = [-1 if value is None else value for value in subset.summary.values()]
        np.testing.assert_array_equal(got, oracle.stats)
        assert subset.images == len(images)


def test_by_category_is_the_mean_over_that_category(tmp_path: Path) -> None:
    ground_truth = read_ground_truth(write_json(tmp_path / "truth.json", TRUTH))
    detections = read_results(write_json(tmp_path / "results.json", RESULTS), ground_truth)
    result = score(ground_truth, detections, VISIBLE_AND_OCCLUDED)
    subsets = break_down(ground_truth, result, ["category"])["category"]
    aps = [subset.summary["AP"] for subset in subsets.values()]
    assert aps == result.curves.per_category()
    counted = sum(i["num_keypoints"] > 0 and not i["iscrowd"] for i in TRUTH["annotations"])
    assert sum(subset.items for subset in subsets.values()) == counted
    assert subsets[DEEPFASHION2.categories[12].official_name].items == 0


def test_each_subset_has_an_interval_around_its_ap(tmp_path: Path) -> None:
    ground_truth = read_ground_truth(write_json(tmp_path / "truth.json", TRUTH))
    detections = read_results(write_json(tmp_path / "results.json", RESULTS), ground_truth)
    result = score(ground_truth, detections, VISIBLE_AND_OCCLUDED)
    plain, drawn = (
        break_down(ground_truth, result, ["category", "scale"], resamples=n) for n in (0, 200)
    )
    all_images = ap_intervals(result, num_images=40, resamples=200)
    for name, subset in drawn["scale"].items():
        assert plain["scale"][name] == replace(subset, interval=None)
        assert subset.interval is not None
        assert subset.interval.ap == pytest.approx(subset.summary["AP"], abs=1e-12)
        assert subset.interval.low < subset.interval.ap < subset.interval.high
    per_category = [subset.interval for subset in drawn["category"].values()]
    assert per_category == list(all_images.per_category)


def test_an_unknown_axis_is_named() -> None:
    with pytest.raises(ValueError, match=r"must be one of category, scale, .*, but got 'colour'"):
        break_down(None, None, ["colour"])  # type: ignore[arg-type]
