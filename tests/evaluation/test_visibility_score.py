"""Average precision of "visible or occluded", beside a slow loop over pycocotools' own matching."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from df2_landmarks.evaluation import score, score_visibility
from df2_landmarks.evaluation.visibility import average_precision
from df2_landmarks.formats import (
    VISIBLE_AND_OCCLUDED,
    Detections,
    concatenate_class,
    empty_class,
    read_ground_truth,
    read_results,
)
from df2_landmarks.taxonomy import DEEPFASHION2
from tests.evaluation.cases import (
    make_ground_truth,
    make_results,
    pycocotools_score,
    truth_as_detections,
    write_json,
)


def slow_average_precision(scores: np.ndarray, positive: np.ndarray) -> float:
    """For each positive, the share of positives among all with at least its score; the mean."""
    precisions = []
    for own_score, is_positive in zip(scores, positive, strict=True):
        if is_positive:
            ahead = [p for s, p in zip(scores, positive, strict=True) if s >= own_score]
            precisions.append(sum(ahead) / len(ahead))
    return sum(precisions) / len(precisions)


def with_probability(detections: Detections, rng: np.random.Generator) -> Detections:
    """Detections with random probabilities, many of them equal."""
    classes = [
        replace(
            part,
            visible_probability=rng.random(part.landmarks_xy.shape[:2]).round(2).astype(np.float32),
        )
        for part in detections.classes
    ]
    return replace(detections, classes=tuple(classes))


def test_average_precision_is_that_of_the_slow_loop() -> None:
    rng = np.random.default_rng(0)
    for size in (1, 2, 7, 60):
        for decimals in (1, 8):
            scores = rng.random(size).round(decimals)
            positive = rng.random(size) < 0.4
            positive[0] = True
            expected = slow_average_precision(scores, positive)
            assert average_precision(scores, positive) == pytest.approx(expected, abs=1e-12)


def test_average_precision_of_guessing_is_the_share() -> None:
    positive = np.array([True, False, False, True, False])
    assert average_precision(np.full(5, 0.5), positive) == pytest.approx(0.4)
    assert average_precision(positive.astype(float), positive) == 1
    assert average_precision(np.zeros(3), np.zeros(3, dtype=bool)) is None
    assert average_precision(np.zeros(0), np.zeros(0, dtype=bool)) is None


@pytest.mark.parametrize("seed", range(4))
def test_landmarks_are_those_of_pycocotools_matches(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = make_ground_truth(rng, num_images=15)
    results = make_results(rng, truth)
    ground_truth = read_ground_truth(write_json(tmp_path / "truth.json", truth))
    read = read_results(write_json(tmp_path / "results.json", results), ground_truth)
    detections = with_probability(read, rng)
    actual = score_visibility(ground_truth, score(ground_truth, detections, VISIBLE_AND_OCCLUDED))
    assert actual is not None

    items = {item["id"]: item for item in truth["annotations"]}
    probability, visible = [], []
    oracle = pycocotools_score(truth, results)
    area = oracle.params.areaRng[0]
    for cell in oracle.evalImgs:
        if cell is None or cell["aRng"] != area:
            continue
        columns = zip(cell["dtIds"], cell["dtMatches"][0], cell["dtIgnore"][0], strict=True)
        for detection_id, item_id, ignored in columns:
            if item_id == 0 or ignored:
                continue
            class_index = cell["category_id"] - 1
            part = detections.classes[class_index]
            assert part.visible_probability is not None
            (row,) = np.flatnonzero(part.record == detection_id - 1)
            slots = np.asarray(items[int(item_id)]["keypoints"]).reshape(-1, 3)
            own = slots[DEEPFASHION2.slots(class_index)]
            for k, v in enumerate(own[:, 2]):
                if v > 0:
                    probability.append(float(part.visible_probability[row, k]))
                    visible.append(v == 2)
    p, is_visible = np.asarray(probability), np.asarray(visible)
    assert min(actual.num_occluded, actual.num_visible) > 20
    assert actual.num_visible == is_visible.sum()
    assert actual.num_occluded == (~is_visible).sum()
    values = actual.as_dict()
    assert values["AP-visible"] == pytest.approx(slow_average_precision(p, is_visible), abs=1e-12)
    assert values["AP-occluded"] == pytest.approx(
        slow_average_precision(1 - p, ~is_visible), abs=1e-6
    )
    assert values["share-visible"] == is_visible.mean()
    assert values["share-occluded"] == pytest.approx(1 - is_visible.mean())


def test_the_truth_as_probability_scores_one(tmp_path: Path) -> None:
    truth = make_ground_truth(np.random.default_rng(1), num_images=15, crowd=0)
    ground_truth = read_ground_truth(write_json(tmp_path / "truth.json", truth))
    perfect = truth_as_detections(ground_truth)
    classes = tuple(
        replace(
            part,
            visible_probability=(items.visibility[(items.visibility > 0).any(axis=1)] == 2).astype(
                np.float32
            ),
        )
        for part, items in zip(perfect.classes, ground_truth.classes, strict=True)
    )
    result = score(ground_truth, replace(perfect, classes=classes), VISIBLE_AND_OCCLUDED)
    actual = score_visibility(ground_truth, result)
    assert actual is not None
    assert actual.ap_visible == actual.ap_occluded == 1
    labelled = [items.visibility[items.visibility > 0] for items in ground_truth.classes]
    assert actual.num_landmarks == sum(map(len, labelled))
    assert actual.text().startswith(f"Visibility of {actual.num_landmarks:,} landmarks on detected")
    assert "AP 1.000 for occluded (guessing 0." in actual.text()


def test_without_probabilities_there_is_no_score_and_without_matches_no_number(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(2)
    truth = make_ground_truth(rng, num_images=6)
    ground_truth = read_ground_truth(write_json(tmp_path / "truth.json", truth))
    perfect = truth_as_detections(ground_truth)
    plain = score(ground_truth, perfect, VISIBLE_AND_OCCLUDED)
    assert score_visibility(ground_truth, plain) is None
    far = with_probability(perfect, rng)
    moved = tuple(replace(part, landmarks_xy=part.landmarks_xy + 5000) for part in far.classes)
    result = score(ground_truth, replace(far, classes=moved), VISIBLE_AND_OCCLUDED)
    actual = score_visibility(ground_truth, result)
    assert actual is not None
    assert set(actual.as_dict().values()) == {None}
    assert "AP n/a for visible (guessing n/a)" in actual.text()


def test_probabilities_follow_their_detections() -> None:
    part = replace(
        empty_class(DEEPFASHION2, 8),
        record=np.array([5, 6, 7]),
        image_index=np.zeros(3, dtype=np.int64),
        scores=np.array([0.1, 0.9, 0.5]),
        landmarks_xy=np.zeros((3, 8, 2)),
        areas=np.ones(3),
        boxes_xywh=np.ones((3, 4)),
        full_row=np.full(3, -1),
        visible_probability=np.repeat(np.array([[0.1], [0.9], [0.5]], np.float32), 8, axis=1),
    )
    ranked = part.ranked()
    assert ranked.visible_probability is not None
    np.testing.assert_allclose(ranked.visible_probability[:, 0], ranked.scores, atol=1e-7)
    joined = concatenate_class(DEEPFASHION2, 8, [part, ranked])
    assert joined.visible_probability is not None
    np.testing.assert_allclose(joined.visible_probability[:, 0], joined.scores, atol=1e-7)
    without = replace(part, visible_probability=None)
    assert without.take(np.array([1])).visible_probability is None
    assert concatenate_class(DEEPFASHION2, 8, [part, without]).visible_probability is None
