"""Which category is predicted for which, the best threshold of each, and intervals of each AP."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from df2_landmarks.cli.score import main
from df2_landmarks.evaluation import (
    Score,
    ap_intervals,
    best_points,
    operating_points,
    score,
)
from df2_landmarks.evaluation.diagnosis import Cases, confusion
from df2_landmarks.formats import (
    VISIBLE_AND_OCCLUDED,
    GroundTruth,
    read_ground_truth,
    read_results,
)
from tests.evaluation.cases import make_ground_truth, make_results, write_json


def scored(folder: Path, truth: Any, results: Any) -> tuple[GroundTruth, Score]:
    ground_truth = read_ground_truth(write_json(folder / "truth.json", truth))
    detections = read_results(write_json(folder / "results.json", results), ground_truth)
    return ground_truth, score(ground_truth, detections, VISIBLE_AND_OCCLUDED)


@pytest.fixture(params=range(3))
def case(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[GroundTruth, Score]:
    rng = np.random.default_rng(request.param)
    truth = make_ground_truth(rng, num_images=25)
    return scored(tmp_path, truth, make_results(rng, truth))


def test_every_item_that_counts_is_in_one_cell(case: tuple[GroundTruth, Score]) -> None:
    ground_truth, result = case
    counts = confusion(ground_truth, result, min_score=0).counts
    starts = result.pairs.item_starts
    for c in range(ground_truth.taxonomy.num_categories):
        ignored = result.matching.item_ignored[0, starts[c] : starts[c + 1]]
        assert counts[c].sum() == (~ignored).sum()
    above = confusion(ground_truth, result, min_score=0.5)
    assert above.counts[:-1, :-1].sum() <= counts[:-1, :-1].sum()
    assert (above.same_landmarks <= np.diag(above.counts)[:-1]).all()
    assert above.same_landmarks.sum() > 0


def test_a_category_that_is_taken_for_another_is_counted_there(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth = make_ground_truth(rng, num_images=6, max_items=1, crowd=0, unlabelled=0)
    results = make_results(rng, truth, per_item=1, bbox=True)[:0]
    for item in truth["annotations"]:
        record = {key: item[key] for key in ("image_id", "bbox")}
        other = item["category_id"] % 13 + 1
        slots = np.zeros_like(np.asarray(item["keypoints"])).tolist()
        results.append({**record, "category_id": other, "score": 0.9, "keypoints": slots})
    ground_truth, result = scored(tmp_path, truth, results)
    counts = confusion(ground_truth, result).counts
    want = np.zeros_like(counts)
    for item in truth["annotations"]:
        want[item["category_id"] - 1, item["category_id"] % 13] += 1
    np.testing.assert_array_equal(counts, want)
    text = confusion(ground_truth, result).text()
    assert "shorts" in text and "missed" in text
    assert confusion(ground_truth, result, min_score=0.95).counts[:-1, -1].sum() == len(results)


def test_the_best_threshold_is_the_best_of_all(case: tuple[GroundTruth, Score]) -> None:
    _, result = case
    for c, best in enumerate(best_points(result)):
        points = operating_points(result, class_index=c)
        if best is None:
            assert all(point.recall is None for point in points)
            continue
        assert best.f1 == max(point.f1 or 0 for point in points)
    classes = range(result.pairs.taxonomy.num_categories)
    every = operating_points(result, [0.5])[0]
    parts = [operating_points(result, [0.5], class_index=c)[0] for c in classes]
    sizes = [
        int((~result.matching.item_ignored[0, result.pairs.class_rows(c)[1]]).sum())
        for c in classes
    ]
    found = sum((part.recall or 0) * size for part, size in zip(parts, sizes, strict=True))
    assert every.recall == pytest.approx(found / sum(sizes))


def test_intervals_hold_the_ap_and_shrink_to_it_for_equal_images(
    case: tuple[GroundTruth, Score], tmp_path: Path
) -> None:
    ground_truth, result = case
    num_images = len(ground_truth.image_ids)
    intervals = ap_intervals(result, num_images=num_images, resamples=40)
    assert intervals.overall is not None
    assert intervals.overall.ap == pytest.approx(result.curves.ap)
    assert intervals.overall.low < intervals.overall.high
    for interval, ap in zip(intervals.per_category, result.curves.per_category(), strict=True):
        assert (interval is None) == (ap is None)
        assert interval is None or interval.ap == pytest.approx(ap)
    again = ap_intervals(result, num_images=num_images, resamples=40)
    assert again == intervals
    rng = np.random.default_rng(9)
    truth = make_ground_truth(rng, num_images=1, max_items=1, crowd=0, unlabelled=0)
    while not truth["annotations"]:
        truth = make_ground_truth(rng, num_images=1, max_items=1, crowd=0, unlabelled=0)
    one_truth, one = scored(tmp_path, truth, make_results(rng, truth))
    alone = ap_intervals(one, num_images=len(one_truth.image_ids), resamples=5).overall
    assert alone is not None and alone.low == alone.ap == alone.high


def test_the_command_prints_and_writes_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(1)
    truth = make_ground_truth(rng, num_images=20)
    gt = write_json(tmp_path / "truth.json", truth)
    results = write_json(tmp_path / "results.json", make_results(rng, truth, bbox=True))
    out = tmp_path / "scores.json"
    arguments = ["--gt", str(gt), "--results", str(results), "--json", str(out)]
    arguments += ["--by", "scale"]
    assert main([*arguments, "--intervals", "--confusion", "--thresholds", "--resamples", "9"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"\nsmall +\d+ +0\.\d{3} +0\.\d{3} to 0\.\d{3} ", text)
    assert "(9 bootstrap draws of images)" in text
    assert "Which for which" in text and "best F1 of" in text
    content = json.loads(out.read_text())["visible_and_occluded"]
    assert content["intervals"]["AP"]["ap"] == pytest.approx(content["AP"])
    small = content["by"]["scale"]["small"]
    assert small["interval"]["ap"] == pytest.approx(small["AP"])
    assert content["confusion"]["min_score"] == 0.4
    assert content["best_thresholds"]["long_sleeved_shirt"] is None
    assert 0 <= content["best_thresholds"]["shorts"]["f1"] <= 1


def test_the_losses_of_images_are_the_sums_of_their_garments(
    case: tuple[GroundTruth, Score],
) -> None:
    ground_truth, result = case
    cases = Cases(ground_truth, result)
    order = cases.worst(len(ground_truth.image_ids))
    assert sorted(order) == list(range(len(ground_truth.image_ids)))
    losses = cases.image_losses[order]
    assert (np.diff(losses) <= 0).all() and losses[0] > 1
    for index in order:
        case_of = cases.of_image(index)
        assert sum(g.loss for g in case_of.garments) == pytest.approx(case_of.loss)
        for garment in case_of.garments:
            if garment.kind == "correct":
                assert garment.oks is not None and garment.oks >= 0.5
                assert garment.loss == pytest.approx(1 - garment.oks)
            if garment.kind in ("missed item", "wrong category"):
                assert garment.loss == 1
