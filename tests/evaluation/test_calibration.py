"""Planted confidences: calibrated ones have an error of 0, shifted ones that of the shift."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from df2_landmarks.cli.score import main
from df2_landmarks.evaluation import score
from df2_landmarks.evaluation.diagnosis import Calibration, Cases, calibration
from df2_landmarks.evaluation.diagnosis.calibration import reliability
from df2_landmarks.formats import (
    VISIBLE,
    VISIBLE_AND_OCCLUDED,
    read_ground_truth,
    read_results,
)
from df2_landmarks.taxonomy import DEEPFASHION2
from tests.evaluation.cases import Json, make_ground_truth, write_json

SKIRT = 8
SIMILARITY = math.exp(-0.5)
"""Of every landmark of the planted results: they are one sigma off."""


def planted(shift: float) -> tuple[Json, list[Json]]:
    """All garments found, landmarks one sigma off; the confidence of skirts is shifted."""
    rng = np.random.default_rng(0)
    truth = make_ground_truth(
        rng, num_images=60, max_items=1, crowd=0, unlabelled=0, occluded_only=0
    )
    results = []
    for item in truth["annotations"]:
        c = item["category_id"] - 1
        own = np.reshape(item["keypoints"], (-1, 3))[DEEPFASHION2.slots(c)].copy()
        own[:, 0] += 2 * DEEPFASHION2.sigmas(c) * math.sqrt(item["area"])
        own[:, 2] = 1
        confidence = SIMILARITY + (shift if c == SKIRT else 0)
        results.append(
            {
                "image_id": item["image_id"],
                "category_id": c + 1,
                "keypoints": own.ravel().tolist(),
                "score": 0.95,
                "box_xywh": item["bbox"],
                "landmark_scores": [confidence] * len(own),
                "landmark_visible": [0.25] * len(own),
            }
        )
    return truth, results


def measured(
    folder: Path, truth: Json, results: Any, protocol: str = VISIBLE_AND_OCCLUDED
) -> Calibration:
    ground_truth = read_ground_truth(write_json(folder / "truth.json", truth))
    detections = read_results(write_json(folder / "results.json", results), ground_truth)
    result = score(ground_truth, detections, protocol)
    return calibration(result, Cases(ground_truth, result))


def test_the_error_of_confidence_is_the_planted_shift_of_its_category(tmp_path: Path) -> None:
    truth, results = planted(shift=0.2)
    found = measured(tmp_path, truth, results)
    confidence = found.kinds["confidence"]
    counts = []
    for c, part in enumerate(confidence.per_category):
        items = [a for a in truth["annotations"] if a["category_id"] == c + 1]
        assert part.count == sum(a["num_keypoints"] for a in items)
        if items:
            assert part.ece == pytest.approx(0.2 if c == SKIRT else 0, abs=1e-3)
            assert part.observed == pytest.approx(SIMILARITY, abs=1e-3)
        else:
            assert part.ece is None
        counts.append(part.count)
    share = counts[SKIRT] / sum(counts)
    assert 0.1 < share < 0.9
    assert confidence.overall.ece == pytest.approx(0.2 * share, abs=1e-3)
    assert [b.low for b in confidence.overall.bins] == [0.6, 0.8]
    calibrated = measured(tmp_path, *planted(shift=0))
    assert calibrated.kinds["confidence"].overall.ece == pytest.approx(0, abs=1e-3)
    # each detection has the score .95 and the OKS of its landmarks
    assert calibrated.kinds["score"].overall.ece == pytest.approx(0.95 - SIMILARITY, abs=1e-3)


def test_visibility_is_compared_with_the_share_of_visible_landmarks(tmp_path: Path) -> None:
    truth, results = planted(shift=0)
    v = np.concatenate([np.reshape(a["keypoints"], (-1, 3))[:, 2] for a in truth["annotations"]])
    share = (v == 2).sum() / (v > 0).sum()
    visibility = measured(tmp_path, truth, results).kinds["visibility"].overall
    assert visibility.count == (v > 0).sum()
    assert visibility.observed == pytest.approx(share)
    assert visibility.ece == pytest.approx(share - 0.25)
    assert "visibility" not in measured(tmp_path, truth, results, VISIBLE).kinds


def test_results_without_confidence_have_the_calibration_of_scores(tmp_path: Path) -> None:
    truth, results = planted(shift=0)
    del results[0]["landmark_scores"]
    rest = [record for record in results if record["category_id"] == results[0]["category_id"]]
    found = measured(tmp_path, truth, results)
    whole = measured(tmp_path, *planted(shift=0))
    c = results[0]["category_id"] - 1
    assert len(rest) > 1 and found.kinds["confidence"].per_category[c].count == 0
    for other in {record["category_id"] - 1 for record in results} - {c}:
        pairs = (one.kinds["confidence"].per_category[other] for one in (found, whole))
        assert next(pairs) == next(pairs)
    for record in results:
        record.pop("landmark_scores", None), record.pop("landmark_visible")
    assert list(measured(tmp_path, truth, results).kinds) == ["score"]
    assert list(measured(tmp_path, truth, []).kinds) == ["score"]


def test_bins_have_equal_widths_and_one_is_in_the_last() -> None:
    predicted = np.array([0.0, 0.05, 0.1, 0.95, 1.0])
    found = reliability(predicted, np.array([0.0, 0.1, 0.1, 1.0, 1.0]))
    assert [(b.low, b.high, b.count) for b in found.bins] == [
        (0.0, 0.1, 2),
        (0.1, 0.2, 1),
        (0.9, 1.0, 2),
    ]
    assert found.ece == pytest.approx((0.05 + 0 + 0.05) / 5)


def test_the_command_prints_and_writes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth, results = planted(shift=0.2)
    gt = write_json(tmp_path / "truth.json", truth)
    file = write_json(tmp_path / "results.json", results)
    out = tmp_path / "scores.json"
    arguments = ["--gt", str(gt), "--results", str(file), "--calibration", "--json", str(out)]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert "confidence of a landmark beside its similarity: ECE 0." in text
    assert "Visibility of " in text
    content = json.loads(out.read_text())["visible_and_occluded"]
    skirt = content["calibration"]["confidence"]["per_category"]["skirt"]
    assert skirt["ece"] == pytest.approx(0.2, abs=1e-3)
    assert content["visibility"]["share-visible"] + content["visibility"][
        "share-occluded"
    ] == pytest.approx(1)
