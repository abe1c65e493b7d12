"""What the tables of scores promise: alignment, "n/a", and no silent comparison."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from df2_landmarks.evaluation import published, tables
from df2_landmarks.evaluation.breakdown import break_down
from df2_landmarks.evaluation.comparison import Comparison, Difference
from df2_landmarks.evaluation.score import score
from df2_landmarks.formats import PROTOCOLS, VISIBLE, read_ground_truth, read_results
from df2_landmarks.taxonomy import DEEPFASHION2
from tests.evaluation.cases import make_ground_truth, make_results, write_json

RNG = np.random.default_rng(0)
TRUTH = make_ground_truth(RNG, num_images=20)
RESULTS = make_results(RNG, TRUTH)


def text_of(folder: Path, axes: list[str], *, has_occluded: bool = True) -> str:
    ground_truth = read_ground_truth(write_json(folder / "truth.json", TRUTH))
    if not has_occluded:
        classes = (
            replace(truth, visibility=np.where(truth.visibility == 1, 2, truth.visibility))
            for truth in ground_truth.classes
        )
        ground_truth = replace(ground_truth, classes=tuple(classes))
    detections = read_results(write_json(folder / "results.json", RESULTS), ground_truth)
    scores = [score(ground_truth, detections, protocol) for protocol in PROTOCOLS]
    breakdowns = [break_down(ground_truth, result, axes) for result in scores]
    return tables.score_text(ground_truth, detections, scores, breakdowns)


def test_undefined_numbers_are_not_available_and_defined_ones_have_three_decimals() -> None:
    assert [tables.number(value) for value in (None, 0.0, 0.12349)] == ["n/a", "0.000", "0.123"]
    pairs = ((0.5, 0.25), (0.25, 0.5), (None, 0.5), (0.5, None))
    assert [tables.gain(*pair) for pair in pairs] == ["+0.250", "-0.250", "n/a", "n/a"]


def test_columns_of_words_are_aligned_to_the_left() -> None:
    text = tables.table(["type", "AP", "meaning"], [["swap", "1", "b"], ["x", "23", "cc"]], (0, 2))
    assert text.splitlines() == [
        "type  AP  meaning",
        "----  --  -------",
        "swap   1  b",
        "x     23  cc",
    ]


def test_the_number_of_scored_items_stands_beside_the_paper_on_its_axes(tmp_path: Path) -> None:
    text = text_of(tmp_path, ["scale", "source"])
    scale = next(line for line in text.splitlines() if line.startswith("scale "))
    source = next(line for line in text.splitlines() if line.startswith("source "))
    assert "scored items" in scale and scale.count("paper's AP") == 2
    assert "paper's AP" not in source
    small = next(line for line in text.splitlines() if line.startswith("small ")).split()
    counted = sum(
        item["scale"] == 1 and item["num_keypoints"] > 0 and not item["iscrowd"]
        for item in TRUTH["annotations"]
    )
    assert small[1] == str(counted) and small[-1] == "0.587" and small[5] == "0.497"


@pytest.mark.parametrize("has_occluded", [True, False])
def test_ground_truth_without_occluded_landmarks_is_pointed_out(
    tmp_path: Path, has_occluded: bool
) -> None:
    text = text_of(tmp_path, [], has_occluded=has_occluded)
    assert ("both protocols score the same landmarks" in text) != has_occluded


def test_on_the_real_validation_set_the_baseline_is_not_called_another_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "(on another data set)" in text_of(tmp_path, ["scale"])
    monkeypatch.setattr(published, "NUM_IMAGES", len(TRUTH["images"]))
    monkeypatch.setattr(published, "NUM_ITEMS", len(TRUTH["annotations"]))
    text = text_of(tmp_path, ["scale"])
    assert "another data set" not in text and "do not compare" not in text
    assert "challenge baseline, visible  " in text


def test_a_comparison_lists_categories_with_ground_truth_and_marks_clear_differences() -> None:
    clear, unclear = Difference(0.5, 0.25, 0.125, 0.375), Difference(0.5, 0.25, -0.125, 0.5)
    per_category = (clear, unclear, *[None] * (DEEPFASHION2.num_categories - 2))
    text = tables.comparison_text(
        Comparison(DEEPFASHION2, VISIBLE, 7, clear, per_category), "a.json", "b.json"
    )
    assert text.startswith("A = a.json\nB = b.json\nDifference in AP, visible, with its 95%")
    assert text.splitlines()[6:] == [
        "all                  0.500  0.250  +0.250  +0.125  +0.375  *",
        "short_sleeved_shirt  0.500  0.250  +0.250  +0.125  +0.375  *",
        "long_sleeved_shirt   0.500  0.250  +0.250  -0.125  +0.500",
    ]
