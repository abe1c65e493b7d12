"""The diagnosis names planted errors, and equals a slow and obvious reference."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from df2_landmarks.evaluation.diagnosis.detection_errors import (
    DETECTION_TYPES,
    ERROR_TYPES,
    MISSED,
    classify_detections,
)
from df2_landmarks.evaluation.diagnosis.diagnose import TRUE_BOX, Diagnosis, diagnose
from df2_landmarks.evaluation.diagnosis.landmark_errors import LANDMARK_TYPES, classify_landmarks
from df2_landmarks.evaluation.diagnosis.shares import error_shares
from df2_landmarks.evaluation.diagnosis.tables import diagnosis_text
from df2_landmarks.evaluation.mean_shape import mean_shapes
from df2_landmarks.evaluation.score import score
from df2_landmarks.formats.annotations import read_ground_truth
from df2_landmarks.formats.detections import ClassDetections, Detections, concatenate_class
from df2_landmarks.formats.ground_truth import VISIBLE_AND_OCCLUDED, GroundTruth
from df2_landmarks.formats.results import read_results
from df2_landmarks.taxonomy import DEEPFASHION2
from tests.evaluation.cases import (
    Json,
    annotation,
    make_ground_truth,
    make_results,
    truth_as_detections,
    write_json,
)
from tests.evaluation.slow_diagnosis import SlowReference

SHIRT, TROUSERS = 0, 7


@pytest.fixture
def truth(tmp_path: Path) -> GroundTruth:
    """Four images with a shirt and trousers each, far apart, everything visible."""
    rng = np.random.default_rng(0)
    annotations: list[Json] = []
    for image_id in range(1, 5):
        for class_index, left in ((SHIRT, 0), (TROUSERS, 600)):
            visibility = np.full(DEEPFASHION2.counts[class_index], 2)
            number = len(annotations) + 1
            item = annotation(
                rng, id=number, image_id=image_id, class_index=class_index, visibility=visibility
            )
            # Landmarks on a grid with wide gaps, so that no place is near two of them.
            count = DEEPFASHION2.counts[class_index]
            slots = np.zeros((DEEPFASHION2.num_slots, 3))
            grid = np.stack(np.divmod(np.arange(count), 6), axis=1) * 80
            slots[DEEPFASHION2.slots(class_index)] = np.c_[grid + (left, 0), visibility]
            item |= {"keypoints": slots.ravel().tolist(), "bbox": [left, 0, 400, 400]}
            annotations.append(item | {"area": 160_000})
    content = {"images": [{"id": i} for i in range(1, 5)], "annotations": annotations}
    return read_ground_truth(write_json(tmp_path / "truth.json", content))


def perfect(truth: GroundTruth) -> Detections:
    return truth_as_detections(truth)


def diagnosed(truth: GroundTruth, detections: Detections, **options: Any) -> Diagnosis:
    result = score(truth, detections, VISIBLE_AND_OCCLUDED)
    return diagnose(truth, result, mean_shapes(truth), **options)


def with_class(detections: Detections, c: int, **fields: Any) -> Detections:
    classes = list(detections.classes)
    classes[c] = replace(classes[c], **fields)
    return replace(detections, classes=tuple(classes))


def with_landmark(detections: Detections, c: int, row: int, k: int, place: Any) -> Detections:
    xy = detections.classes[c].landmarks_xy.copy()
    xy[row, k] = place
    return with_class(detections, c, landmarks_xy=xy)


def counts(diagnosis: Diagnosis) -> dict[str, int]:
    return {name: count for name, count in diagnosis.counts.items() if count and name != "correct"}


def landmark_counts(diagnosis: Diagnosis) -> dict[str, int | None]:
    return {name: step.count for name, step in diagnosis.landmark_errors.items() if step.count}


def test_perfect_results_have_no_errors_to_correct(truth: GroundTruth) -> None:
    diagnosis = diagnosed(truth, perfect(truth))
    assert counts(diagnosis) == {} and landmark_counts(diagnosis) == {}
    for step in (*diagnosis.detection_errors.values(), *diagnosis.landmark_errors.values()):
        assert step.ap == diagnosis.base.ap == pytest.approx(1, abs=1e-12)


def test_a_planted_missed_item(truth: GroundTruth) -> None:
    shirts = perfect(truth).classes[SHIRT].take(np.arange(1, 4))
    classes = list(perfect(truth).classes)
    classes[SHIRT] = shirts
    diagnosis = diagnosed(truth, replace(perfect(truth), classes=tuple(classes)))
    assert counts(diagnosis) == {MISSED: 1}
    assert diagnosis.detection_errors[MISSED].ap == pytest.approx(1, abs=1e-12)
    assert diagnosis.base.per_category[SHIRT] == pytest.approx(76 / 101)


def test_a_planted_background_detection(truth: GroundTruth) -> None:
    detections = perfect(truth)
    ghost = detections.classes[SHIRT].take(np.array([0]))
    ghost = replace(
        ghost,
        landmarks_xy=ghost.landmarks_xy + 5000,
        boxes_xywh=ghost.boxes_xywh + [5000, 5000, 0, 0],
        scores=np.array([2.0]),
    )
    diagnosis = diagnosed(truth, joined(detections, SHIRT, ghost))
    assert counts(diagnosis) == {"background": 1}
    assert diagnosis.base.ap is not None and diagnosis.base.ap < 1
    assert diagnosis.detection_errors["background"].ap == pytest.approx(1, abs=1e-12)


def test_a_planted_duplicate(truth: GroundTruth) -> None:
    detections = perfect(truth)
    second = detections.classes[SHIRT].take(np.array([0]))
    second = replace(second, scores=np.array([2.0]), landmarks_xy=second.landmarks_xy + 1)
    diagnosis = diagnosed(truth, joined(detections, SHIRT, second))
    assert counts(diagnosis) == {"duplicate": 1}
    assert diagnosis.detection_errors["duplicate"].ap == pytest.approx(1, abs=1e-3)


def as_long_sleeved_shirt(shirts: ClassDetections) -> ClassDetections:
    """Return detections of shirts as long sleeved shirts, class 1, in the same boxes.

    The landmarks that both categories have by name are where the shirts have them.
    """
    xy = np.full((len(shirts), DEEPFASHION2.counts[1], 2), 200.0)
    names = DEEPFASHION2.categories[1].landmark_names
    for k, name in enumerate(DEEPFASHION2.categories[SHIRT].landmark_names):
        if name in names:
            xy[:, names.index(name)] = shirts.landmarks_xy[:, k]
    return replace(shirts, landmarks_xy=xy)


def with_classes(detections: Detections, classes: dict[int, ClassDetections]) -> Detections:
    changed = (classes.get(c, part) for c, part in enumerate(detections.classes))
    return replace(detections, classes=tuple(changed))


def test_a_planted_wrong_category(truth: GroundTruth) -> None:
    shirts = perfect(truth).classes[SHIRT]
    wrong = as_long_sleeved_shirt(shirts.take(np.array([0])))
    classes = {SHIRT: shirts.take(np.arange(1, 4)), 1: wrong}
    diagnosis = diagnosed(truth, with_classes(perfect(truth), classes))
    assert counts(diagnosis) == {"wrong category": 1}
    assert diagnosis.base.per_category[SHIRT] == pytest.approx(76 / 101)
    corrected = diagnosis.detection_errors["wrong category"]
    assert corrected.per_category[SHIRT] == pytest.approx(1, abs=1e-12)
    assert diagnosis.ladder["true category"].ap == pytest.approx(1, abs=1e-12)


def test_the_best_detection_of_a_wrong_category_is_corrected_and_the_others_are_removed(
    truth: GroundTruth,
) -> None:
    shirts = perfect(truth).classes[SHIRT]
    wrong = as_long_sleeved_shirt(shirts.take(np.array([0, 0, 0])))
    wrong = replace(wrong, scores=np.array([2.0, 4.0, 3.0]), record=np.arange(100, 103))
    wrong.landmarks_xy[[0, 2]] += 150  # these would be false positives
    classes = {SHIRT: shirts.take(np.arange(1, 4)), 1: wrong}
    diagnosis = diagnosed(truth, with_classes(perfect(truth), classes))
    assert counts(diagnosis) == {"wrong category": 3}
    assert diagnosis.ladder["true category"].ap == pytest.approx(1, abs=1e-12)


def test_a_wrong_category_on_an_item_with_a_correct_detection_is_removed(
    truth: GroundTruth,
) -> None:
    shirts = perfect(truth).classes[SHIRT]
    wrong = as_long_sleeved_shirt(shirts.take(np.array([0])))
    wrong = replace(wrong, scores=np.array([2.0]), landmarks_xy=wrong.landmarks_xy + 150)
    diagnosis = diagnosed(truth, with_classes(perfect(truth), {1: wrong}))
    assert counts(diagnosis) == {"wrong category": 1}
    assert diagnosis.ladder["true category"].ap == pytest.approx(1, abs=1e-12)


def test_planted_poor_landmarks(truth: GroundTruth) -> None:
    xy = perfect(truth).classes[SHIRT].landmarks_xy.copy()
    xy[0, :20] += 150
    diagnosis = diagnosed(truth, with_class(perfect(truth), SHIRT, landmarks_xy=xy))
    assert counts(diagnosis) == {"poor landmarks": 1}
    assert diagnosis.detection_errors["poor landmarks"].ap == pytest.approx(1, abs=1e-12)
    assert diagnosis.ladder["true landmarks"].ap == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("error_type", LANDMARK_TYPES[1:])
def test_a_planted_landmark_error(truth: GroundTruth, error_type: str) -> None:
    true_xy = truth.classes[SHIRT].landmarks_xy[0]
    scale = 2 * DEEPFASHION2.sigmas(SHIRT) * 400
    armpit = DEEPFASHION2.categories[SHIRT].landmark_names.index("armpit_left")
    trousers = truth.classes[TROUSERS].landmarks_xy[0]
    waist = DEEPFASHION2.categories[TROUSERS].landmark_names.index("waist_left")
    positions = {
        "jitter": true_xy[armpit] + (scale[armpit], 0),  # ks = exp(-1/2) = .61
        "inversion": true_xy[DEEPFASHION2.flip_indices[SHIRT, armpit]],
        "miss": np.array([-300.0, 900.0]),
        "swap": trousers[waist],
    }
    detections = with_landmark(perfect(truth), SHIRT, 0, armpit, positions[error_type])
    if error_type == "swap":
        # No name of a shirt is a name of trousers: the neighbour is a second shirt.
        detections, truth = with_second_shirt(truth, armpit)
    diagnosis = diagnosed(truth, detections)
    assert landmark_counts(diagnosis) == {error_type: 1}
    assert diagnosis.landmark_errors[error_type].ap == pytest.approx(1, abs=1e-12)
    errors = diagnosis.per_landmark[armpit]
    assert errors.category == "short_sleeved_shirt"
    assert errors.landmark == f"{armpit + 1} armpit_left" and errors.shares[error_type] == 0.25


def with_second_shirt(truth: GroundTruth, k: int) -> tuple[Detections, GroundTruth]:
    """Moves the shirt of image 2 into image 1, far away, and puts a landmark of the first on it."""
    shirts = truth.classes[SHIRT]
    xy = shirts.landmarks_xy.copy()
    boxes = shirts.boxes_xywh.copy()
    xy[1] += (0, 2000)
    boxes[1, 1] += 2000
    images = shirts.image_index.copy()
    images[1] = 0
    moved = replace(shirts, landmarks_xy=xy, boxes_xywh=boxes, image_index=images)
    classes = (moved, *truth.classes[1:])
    truth = replace(truth, classes=classes)
    return with_landmark(perfect(truth), SHIRT, 0, k, xy[1, k]), truth


def joined(detections: Detections, c: int, more: Any) -> Detections:
    classes = list(detections.classes)
    more = replace(more, record=more.record + 1000)
    classes[c] = concatenate_class(DEEPFASHION2, c, [classes[c], more])
    return replace(detections, classes=tuple(classes))


def test_the_gain_of_a_landmark_is_that_of_correcting_it_alone(truth: GroundTruth) -> None:
    rng = np.random.default_rng(1)
    shirts = truth.classes[SHIRT].landmarks_xy
    noisy = shirts + rng.normal(size=shirts.shape) * 40
    diagnosis = diagnosed(truth, with_class(perfect(truth), SHIRT, landmarks_xy=noisy))
    base = diagnosis.base.per_category[SHIRT]
    assert base is not None
    for k in (0, 7, 20):
        corrected = noisy.copy()
        corrected[:, k] = shirts[:, k]
        detections = with_class(perfect(truth), SHIRT, landmarks_xy=corrected)
        expected = score(truth, detections, VISIBLE_AND_OCCLUDED).curves.per_category()[SHIRT]
        row = diagnosis.per_landmark[k]
        assert row.ap_gain is not None and expected is not None
        assert row.ap_gain == pytest.approx(expected - base, abs=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_error_types_equal_the_slow_reference(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    content = make_ground_truth(rng, num_images=15, max_items=4, classes=(0, 1, 7, 8))
    results = make_results(rng, content, per_item=5, noise=12, bbox=seed % 2 == 0)
    for record in results[::3]:
        item = content["annotations"][int(rng.integers(len(content["annotations"])))]
        record["bbox" if seed % 2 == 0 else "box_xywh"] = item["bbox"]
    ground_truth = read_ground_truth(write_json(tmp_path / "truth.json", content))
    detections = read_results(write_json(tmp_path / "results.json", results), ground_truth)
    result = score(ground_truth, detections, VISIBLE_AND_OCCLUDED)
    classified = classify_detections(ground_truth, result)
    landmarks = classify_landmarks(ground_truth, result, classified)
    slow = SlowReference(ground_truth, result)
    assert [DETECTION_TYPES[t] for t in classified.error_type] == slow.types
    assert classified.item.tolist() == slow.items
    assert classified.missed.tolist() == slow.missed
    assert len(set(slow.types)) >= 5
    seen = set()
    for c, part in enumerate(landmarks):
        for row, d, g in zip(part.error_type, part.detection, part.item, strict=True):
            expected = slow.landmark_types(c, int(d), int(g))
            assert ["unlabelled" if t < 0 else LANDMARK_TYPES[t] for t in row] == expected
            seen.update(expected)
    assert {"good", "jitter", "miss"} <= seen


def test_the_ladder_shows_true_boxes_only_where_their_results_are_given(truth: GroundTruth) -> None:
    shifted = perfect(truth).classes[SHIRT].landmarks_xy + 40
    detections = with_class(perfect(truth), SHIRT, landmarks_xy=shifted)
    diagnosis = diagnosed(truth, detections)
    assert TRUE_BOX not in diagnosis.ladder
    assert "OUTPUT_DIR/ground_truth_boxes/landmark_results.json" in diagnosis_text(diagnosis)
    diagnosis = diagnosed(truth, detections, true_box_detections=perfect(truth))
    assert diagnosis.base.ap is not None and diagnosis.base.ap < 1
    assert diagnosis.ladder[TRUE_BOX].ap == pytest.approx(1, abs=1e-12)
    text = diagnosis_text(diagnosis)
    assert f"{TRUE_BOX}  1.000  +" in text and "OUTPUT_DIR" not in text


def test_the_text_says_what_each_row_means_and_whose_boxes_are_used(truth: GroundTruth) -> None:
    detections = perfect(truth)
    diagnosis = diagnosed(truth, detections)
    text = diagnosis_text(diagnosis)
    groups = (diagnosis.ladder, diagnosis.detection_errors, diagnosis.landmark_errors)
    lines = text.splitlines()
    for name, step in (row for group in groups for row in group.items()):
        assert any(line.startswith(name) and line.endswith(step.meaning) for line in lines), name
    assert "Detections: 8 correct, 0 poor landmarks," in text and "Missed items: 0." in text
    no_boxes = "The results have no predicted boxes: the extents of the landmarks are used instead."
    assert no_boxes not in text
    no_shirt_boxes = np.full_like(detections.classes[SHIRT].boxes_xywh, np.nan)
    detections = with_class(detections, SHIRT, boxes_xywh=no_shirt_boxes)
    assert no_boxes in diagnosis_text(diagnosed(truth, detections))


def test_plain_data_has_the_counts_and_aps_of_each_error_type(truth: GroundTruth) -> None:
    shirts = perfect(truth).classes[SHIRT].take(np.arange(1, 4))
    detections = replace(perfect(truth), classes=(shirts, *perfect(truth).classes[1:]))
    content = diagnosed(truth, detections).as_dict()
    assert list(content["detections"]) == [*DETECTION_TYPES, MISSED]
    assert content["detections"]["correct"] == 7
    missed = content["detection_error_types"][MISSED]
    assert (missed["count"], missed["AP"]) == (1, pytest.approx(1, abs=1e-12))
    assert missed["per_category"]["skirt"] is None
    assert list(content["landmark_error_types"]) == list(LANDMARK_TYPES[1:])
    assert content["landmark_errors"]["all"]["count"] == 3 * 25 + 4 * 14
    assert len(content["per_landmark"]) == 294


def test_shares_of_planted_errors_by_hand(truth: GroundTruth) -> None:
    shirts = perfect(truth).classes[SHIRT]
    second = shirts.take(np.array([0]))
    second = replace(second, scores=np.array([2.0]), landmarks_xy=second.landmarks_xy + 1)
    left_out = with_classes(perfect(truth), {SHIRT: shirts.take(np.array([0, 1, 2]))})
    detections = joined(left_out, SHIRT, second)
    shares = error_shares(truth, score(truth, detections, VISIBLE_AND_OCCLUDED))
    assert shares["detection-correct"] == 7 / 8 and shares["detection-duplicate"] == 1 / 8
    assert shares["items-missed"] == 1 / 8
    assert shares["landmark-good"] == 1
    assert sum(shares.values()) == 1 + 1 / 8 + 1


def test_without_detections_only_missed_items_have_a_share(truth: GroundTruth) -> None:
    nothing = with_classes(
        perfect(truth),
        {c: perfect(truth).classes[c].take(np.array([], int)) for c in (SHIRT, TROUSERS)},
    )
    shares = error_shares(truth, score(truth, nothing, VISIBLE_AND_OCCLUDED))
    assert shares.pop("items-missed") == 1
    assert set(shares.values()) == {None}


def test_shares_are_those_of_the_diagnosis(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    content = make_ground_truth(rng, num_images=15, max_items=4, classes=(0, 1, 7, 8))
    results = make_results(rng, content, per_item=5, noise=12, bbox=True)
    ground_truth = read_ground_truth(write_json(tmp_path / "truth.json", content))
    detections = read_results(write_json(tmp_path / "results.json", results), ground_truth)
    result = score(ground_truth, detections, VISIBLE_AND_OCCLUDED)
    shares = error_shares(ground_truth, result)
    diagnosis = diagnose(ground_truth, result, mean_shapes(ground_truth))
    number = sum(diagnosis.counts[name] for name in ("correct", *ERROR_TYPES))
    assert min(diagnosis.counts["correct"], diagnosis.counts["duplicate"]) > 0
    for name in ("correct", *ERROR_TYPES):
        share = shares[f"detection-{name.replace(' ', '-')}"]
        assert share == diagnosis.counts[name] / number
    for name, share in diagnosis.groups["all"].shares.items():
        assert shares[f"landmark-{name}"] == share


def test_statistics_of_landmark_errors_by_hand(truth: GroundTruth) -> None:
    # Landmark 4 of the first shirt is 30 px and that of the second 50 px from its true position;
    # the boxes are 400 px wide: PCK counts up to 40 px.
    xy = perfect(truth).classes[SHIRT].landmarks_xy.copy()
    xy[0, 3, 0] += 30
    xy[1, 3, 1] += 50
    diagnosis = diagnosed(truth, with_class(perfect(truth), SHIRT, landmarks_xy=xy))
    errors = diagnosis.per_landmark[3]
    assert errors.landmark.startswith("4 ") and errors.count == 4
    assert (errors.mean_px, errors.median_px, errors.pck) == (20, 15, 0.75)
    assert errors.mean_sigmas == pytest.approx(20 / (2 * DEEPFASHION2.sigmas(SHIRT)[3] * 400))
    shirts = diagnosis.groups["short_sleeved_shirt"]
    assert (shirts.count, shirts.mean_px) == (100, 0.8)
    assert diagnosis.groups["occluded"].count == 0 and diagnosis.groups["occluded"].pck is None


def test_ideal_scores_rank_false_positives_last(truth: GroundTruth) -> None:
    detections = perfect(truth)
    ghosts = detections.classes[SHIRT]
    ghosts = replace(ghosts, landmarks_xy=ghosts.landmarks_xy + 5000, scores=ghosts.scores + 1)
    diagnosis = diagnosed(truth, joined(detections, SHIRT, ghosts))
    assert diagnosis.base.ap is not None and diagnosis.base.ap < 0.8
    assert diagnosis.ladder["ideal scores"].ap == pytest.approx(1, abs=1e-12)
    assert diagnosis.ladder["all corrections"].ap == pytest.approx(1, abs=1e-12)


def test_the_baseline_is_the_mean_shape_in_the_predicted_boxes(truth: GroundTruth) -> None:
    # All garments of the fixture have the same shape, so the baseline is as good as it gets.
    noisy = perfect(truth).classes[SHIRT].landmarks_xy + 40
    diagnosis = diagnosed(truth, with_class(perfect(truth), SHIRT, landmarks_xy=noisy))
    assert diagnosis.base.ap is not None and diagnosis.base.ap < 1
    assert diagnosis.ladder["baseline: mean shape"].ap == pytest.approx(1, abs=1e-9)
