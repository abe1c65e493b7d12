"""What a score is, on cases small enough to work out by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from df2_landmarks.evaluation.mean_shape import mean_shapes, place_mean_shapes
from df2_landmarks.evaluation.oks import landmark_oks, sigma_px
from df2_landmarks.evaluation.score import score
from df2_landmarks.formats.annotations import read_ground_truth
from df2_landmarks.formats.detections import Detections, empty_class
from df2_landmarks.formats.ground_truth import PROTOCOLS, VISIBLE, GroundTruth
from df2_landmarks.taxonomy import DEEPFASHION2
from tests.evaluation.cases import make_ground_truth, truth_as_detections, write_json


@pytest.fixture
def ground_truth(tmp_path: Path) -> GroundTruth:
    truth = make_ground_truth(np.random.default_rng(0), num_images=20, crowd=0)
    return read_ground_truth(write_json(tmp_path / "truth.json", truth))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_ground_truth_as_predictions_scores_one(ground_truth: GroundTruth, protocol: str) -> None:
    curves = score(ground_truth, truth_as_detections(ground_truth), protocol).curves
    assert curves.summary()["AP"] == pytest.approx(1, abs=1e-12)
    assert curves.summary()["AR"] == 1


def test_no_detection_scores_zero_and_absent_categories_are_undefined(
    ground_truth: GroundTruth,
) -> None:
    empty = tuple(empty_class(DEEPFASHION2, c) for c in range(DEEPFASHION2.num_categories))
    nothing = Detections("nothing", np.zeros(0, dtype=np.int64), empty)
    curves = score(ground_truth, nothing, VISIBLE).curves
    assert curves.summary()["AP"] == 0
    present = [c for c, ap in enumerate(curves.per_category()) if ap is not None]
    assert present == [0, 2, 6, 8]


def test_oks_of_one_landmark_by_hand() -> None:
    # d = 3, 4 -> d^2 = 25; area 100, sigma .5 -> exponent 25 / (1 * 100 * 2).
    oks = landmark_oks(
        np.array([[[3.0, 4.0]]]),
        np.zeros((1, 1, 2)),
        np.ones((1, 1), bool),
        np.array([100.0]),
        np.array([0.5]),
    )
    assert oks[0] == pytest.approx(np.exp(-0.125), abs=1e-15)


def test_mean_shape_of_identical_garments_is_a_perfect_prediction(
    ground_truth: GroundTruth,
) -> None:
    rng = np.random.default_rng(1)
    classes = []
    for truth in ground_truth.classes:
        unit = rng.random((truth.visibility.shape[1], 2))
        xy = truth.boxes_xywh[:, None, :2] + unit * truth.boxes_xywh[:, None, 2:] - 0.5
        classes.append(replace(truth, landmarks_xy=xy))
    same = replace(ground_truth, classes=tuple(classes))
    placed = place_mean_shapes(truth_as_detections(ground_truth), mean_shapes(same))
    assert score(same, placed, VISIBLE).curves.summary()["AP75"] == pytest.approx(1, abs=1e-12)


def test_mean_shape_of_a_category_without_items_is_the_centre(ground_truth: GroundTruth) -> None:
    assert (mean_shapes(ground_truth)[12] == 0.5).all()


def test_one_sigma_is_the_unit_of_the_similarity() -> None:
    rng = np.random.default_rng(0)
    areas, sigmas, errors = rng.uniform(1, 9e4, 5), rng.uniform(0.01, 0.2, 7), rng.uniform(0, 3)
    true_xy = rng.uniform(0, 500, (5, 7, 2))
    moved = true_xy + errors * sigma_px(areas, sigmas)[:, :, None] * (0.6, -0.8)
    oks = landmark_oks(moved, true_xy, np.ones((5, 7), bool), areas, sigmas)
    assert oks == pytest.approx(np.exp(-(errors**2) / 2))
