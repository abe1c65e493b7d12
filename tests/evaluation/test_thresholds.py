"""Precision and recall at a score threshold are those of the detections above it."""

import json

import numpy as np
import pytest

from df2_landmarks.cli.score import main
from df2_landmarks.evaluation import operating_points, score, thresholds_text
from df2_landmarks.formats import VISIBLE_AND_OCCLUDED, read_ground_truth, read_results
from tests.evaluation.cases import make_ground_truth, make_results, write_json

RNG = np.random.default_rng(3)
TRUTH = make_ground_truth(RNG, num_images=40)
RESULTS = make_results(RNG, TRUTH)


def scored(tmp_path, results):
    truth = read_ground_truth(write_json(tmp_path / "truth.json", TRUTH))
    detections = read_results(write_json(tmp_path / "results.json", results), truth)
    return score(truth, detections, VISIBLE_AND_OCCLUDED)


@pytest.mark.parametrize("threshold", [0.1, 0.4, 0.8])
def test_a_threshold_is_a_smaller_results_file(tmp_path, threshold):
    (point,) = operating_points(scored(tmp_path, RESULTS), [threshold])
    above = [record for record in RESULTS if record["score"] >= threshold]
    alone = scored(tmp_path, above)
    num_items = [
        int((~alone.matching.item_ignored[0][alone.pairs.class_rows(c)[1]]).sum())
        for c in range(13)
    ]
    recall = np.maximum(alone.curves.recall[0, :, 0], 0)
    num_right = float(recall @ num_items)
    num_counted = int((~alone.matching.ignored[0, 0]).sum())
    assert 0 < num_right < num_counted
    assert point.recall == pytest.approx(num_right / sum(num_items))
    assert point.precision == pytest.approx(num_right / num_counted)
    assert point.f1 == pytest.approx(
        2 * point.precision * point.recall / (point.precision + point.recall)
    )


def test_nothing_above_a_threshold_has_no_precision(tmp_path):
    (point,) = operating_points(scored(tmp_path, RESULTS), [2.0])
    assert point.precision is None
    assert point.recall == 0
    assert "n/a" in thresholds_text([point]) and "best" not in thresholds_text([point])


def test_the_command_prints_them_and_writes_them(tmp_path, capsys):
    truth = write_json(tmp_path / "truth.json", TRUTH)
    results = write_json(tmp_path / "results.json", RESULTS)
    out = tmp_path / "out.json"
    arguments = ["--gt", str(truth), "--results", str(results), "--json", str(out)]
    assert main([*arguments, "--thresholds"]) == 0
    assert capsys.readouterr().out.count(" best F1\n") == 2
    points = json.loads(out.read_text())["visible"]["thresholds"]
    assert [p["threshold"] for p in points][:2] == [0.05, 0.1]
