"""The diagnosis names planted mistakes, and equals a slow and obvious reference."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from df2_landmarks.evaluation.diagnosis.association import DETECTION_KINDS, associate
from df2_landmarks.evaluation.diagnosis.diagnose import MISSED, Diagnosis, diagnosis
from df2_landmarks.evaluation.diagnosis.landmark_errors import LANDMARK_KINDS, classify_landmarks
from df2_landmarks.evaluation.mean_shape import mean_shapes
from df2_landmarks.evaluation.score import score
from df2_landmarks.formats.annotations import read_ground_truth
from df2_landmarks.formats.detections import (
    Detections,
    concatenate_class,
)
from df2_landmarks.formats.ground_truth import VISIBLE_AND_OCCLUDED, GroundTruth
from df2_landmarks.formats.results import read_results
from df2_landmarks.taxonomy import LAYOUT
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
            visibility = np.full(LAYOUT.counts[class_index], 2)
            number = len(annotations) + 1
            item = annotation(
                rng, id=number, image_id=image_id, class_index=class_index, visibility=visibility
            )
            # Landmarks on a grid with wide gaps, so that no place is near two of them.
            count = LAYOUT.counts[class_index]
            slots = np.zeros((LAYOUT.num_slots, 3))
            grid = np.stack(np.divmod(np.arange(count), 6), axis=1) * 80
            slots[LAYOUT.slots(class_index)] = np.c_[grid + (left, 0), visibility]
            item |= {"keypoints": slots.ravel().tolist(), "bbox": [left, 0, 400, 400]}
            annotations.append(item | {"area": 160_000})
    content = {"images": [{"id": i} for i in range(1, 5)], "annotations": annotations}
    return read_ground_truth(write_json(tmp_path / "truth.json", content))


def perfect(truth: GroundTruth) -> Detections:
    return truth_as_detections(truth)


def diagnose(truth: GroundTruth, detections: Detections) -> Diagnosis:
    return diagnosis(truth, score(truth, detections, VISIBLE_AND_OCCLUDED), mean_shapes(truth))


def with_class(detections: Detections, c: int, **fields: Any) -> Detections:
    classes = list(detections.classes)
    classes[c] = replace(classes[c], **fields)
    return replace(detections, classes=tuple(classes))


def with_landmark(detections: Detections, c: int, row: int, k: int, place: Any) -> Detections:
    xy = detections.classes[c].landmarks_xy.copy()
    xy[row, k] = place
    return with_class(detections, c, landmarks_xy=xy)


def counts(found: Diagnosis) -> dict[str, int]:
    return {name: count for name, count in found.counts.items() if count and name != "found"}


def landmark_counts(found: Diagnosis) -> dict[str, int]:
    return {name: one.count for name, one in found.landmarks.items() if one.count}


def test_perfect_results_have_nothing_to_mend(truth: GroundTruth) -> None:
    found = diagnose(truth, perfect(truth))
    assert counts(found) == {} and landmark_counts(found) == {}
    for one in (*found.garments.values(), *found.landmarks.values()):
        assert one.ap == found.base.ap == pytest.approx(1, abs=1e-12)


def test_a_planted_missed_garment(truth: GroundTruth) -> None:
    shirts = perfect(truth).classes[SHIRT].take(np.arange(1, 4))
    classes = list(perfect(truth).classes)
    classes[SHIRT] = shirts
    found = diagnose(truth, Detections("one missed", truth.image_ids, tuple(classes)))
    assert counts(found) == {MISSED: 1}
    assert found.garments[MISSED].ap == pytest.approx(1, abs=1e-12)
    assert found.base.per_category[SHIRT] == pytest.approx(76 / 101)


def test_a_planted_background_detection(truth: GroundTruth) -> None:
    detections = perfect(truth)
    ghost = detections.classes[SHIRT].take(np.array([0]))
    ghost = replace(
        ghost,
        landmarks_xy=ghost.landmarks_xy + 5000,
        boxes_xywh=ghost.boxes_xywh + [5000, 5000, 0, 0],
        scores=np.array([2.0]),
    )
    found = diagnose(truth, joined(detections, SHIRT, ghost))
    assert counts(found) == {"background": 1}
    assert found.base.ap is not None and found.base.ap < 1
    assert found.garments["background"].ap == pytest.approx(1, abs=1e-12)


def test_a_planted_duplicate(truth: GroundTruth) -> None:
    detections = perfect(truth)
    second = detections.classes[SHIRT].take(np.array([0]))
    second = replace(second, scores=np.array([2.0]), landmarks_xy=second.landmarks_xy + 1)
    found = diagnose(truth, joined(detections, SHIRT, second))
    assert counts(found) == {"duplicate": 1}
    assert found.garments["duplicate"].ap == pytest.approx(1, abs=1e-3)


def test_a_planted_wrong_category(truth: GroundTruth) -> None:
    # A long sleeve top (class 1) in the place of the first shirt.
    detections = perfect(truth)
    shirts = detections.classes[SHIRT]
    wrong = replace(
        shirts.take(np.array([0])), landmarks_xy=np.full((1, LAYOUT.counts[1], 2), 200.0)
    )
    # The landmarks that both have by name are where the shirt has them.
    names = LAYOUT.categories[1].landmark_names
    for k, name in enumerate(LAYOUT.categories[SHIRT].landmark_names):
        if name in names:
            wrong.landmarks_xy[0, names.index(name)] = shirts.landmarks_xy[0, k]
    classes = list(detections.classes)
    classes[SHIRT], classes[1] = shirts.take(np.arange(1, 4)), wrong
    found = diagnose(truth, Detections("one wrong", truth.image_ids, tuple(classes)))
    assert counts(found) == {"wrong category": 1}
    assert found.base.per_category[SHIRT] == pytest.approx(76 / 101)
    assert found.garments["wrong category"].per_category[SHIRT] == pytest.approx(1, abs=1e-12)
    assert found.ladder["true category"].ap == pytest.approx(1, abs=1e-12)


def test_planted_poor_landmarks(truth: GroundTruth) -> None:
    xy = perfect(truth).classes[SHIRT].landmarks_xy.copy()
    xy[0, :20] += 150
    found = diagnose(truth, with_class(perfect(truth), SHIRT, landmarks_xy=xy))
    assert counts(found) == {"poor landmarks": 1}
    assert found.garments["poor landmarks"].ap == pytest.approx(1, abs=1e-12)
    assert found.ladder["true landmarks"].ap == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("kind", LANDMARK_KINDS[1:])
def test_a_planted_landmark_mistake(truth: GroundTruth, kind: str) -> None:
    true_xy = truth.classes[SHIRT].landmarks_xy[0]
    scale = 2 * LAYOUT.sigmas(SHIRT) * 400
    armpit = LAYOUT.categories[SHIRT].landmark_names.index("armpit_left")
    hem = LAYOUT.categories[SHIRT].landmark_names.index("hem_left")
    trousers = truth.classes[TROUSERS].landmarks_xy[0]
    waist = LAYOUT.categories[TROUSERS].landmark_names.index("waist_left")
    places = {
        "jitter": true_xy[armpit] + (scale[armpit], 0),  # ks = exp(-1/2) = .61
        "inversion": true_xy[LAYOUT.flip_indices[SHIRT, armpit]],
        "miss": np.array([-300.0, 900.0]),
        "swap": trousers[waist],
    }
    detections = with_landmark(perfect(truth), SHIRT, 0, armpit, places[kind])
    if kind == "swap":
        # No name of a shirt is a name of trousers: the neighbour is a second shirt.
        detections, truth = with_second_shirt(truth, armpit)
    found = diagnose(truth, detections)
    assert landmark_counts(found) == {kind: 1}
    assert found.landmarks[kind].ap == pytest.approx(1, abs=1e-12)
    row = next(r for r in found.rows if r.landmark.endswith(" armpit_left") and r.shares[kind])
    assert row.category == "short_sleeved_shirt" and row.shares[kind] == 0.25
    assert hem != armpit


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
    classes[c] = concatenate_class(c, [classes[c], more])
    return replace(detections, classes=tuple(classes))


def test_the_gain_of_one_landmark_is_that_of_mending_it(truth: GroundTruth) -> None:
    rng = np.random.default_rng(1)
    shirts = truth.classes[SHIRT].landmarks_xy
    noisy = shirts + rng.normal(size=shirts.shape) * 40
    found = diagnose(truth, with_class(perfect(truth), SHIRT, landmarks_xy=noisy))
    base = found.base.per_category[SHIRT]
    assert base is not None
    for k in (0, 7, 20):
        mended = noisy.copy()
        mended[:, k] = shirts[:, k]
        detections = with_class(perfect(truth), SHIRT, landmarks_xy=mended)
        expected = score(truth, detections, VISIBLE_AND_OCCLUDED).curves.per_category()[SHIRT]
        row = found.rows[k]
        assert row.ap_gain is not None and expected is not None
        assert row.ap_gain == pytest.approx(expected - base, abs=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_kinds_equal_the_slow_reference(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    content = make_ground_truth(rng, num_images=15, max_items=4, classes=(0, 1, 7, 8))
    results = make_results(rng, content, per_item=5, noise=12, bbox=seed % 2 == 0)
    for record in results[::3]:
        item = content["annotations"][int(rng.integers(len(content["annotations"])))]
        record["bbox" if seed % 2 == 0 else "box_xywh"] = item["bbox"]
    ground_truth = read_ground_truth(write_json(tmp_path / "truth.json", content))
    detections = read_results(write_json(tmp_path / "results.json", results), ground_truth)
    one = score(ground_truth, detections, VISIBLE_AND_OCCLUDED)
    association = associate(ground_truth, one)
    landmarks = classify_landmarks(ground_truth, one, association)
    slow = SlowReference(ground_truth, one)
    assert [DETECTION_KINDS[k] for k in association.kind] == slow.kinds
    assert association.item.tolist() == slow.items
    assert association.missed.tolist() == slow.missed
    assert len(set(slow.kinds)) >= 5
    seen = set()
    for c, some in enumerate(landmarks):
        for row, d, g in zip(some.kind, some.detection, some.item, strict=True):
            expected = slow.landmark_kinds(c, int(d), int(g))
            assert ["unlabelled" if k < 0 else LANDMARK_KINDS[k] for k in row] == expected
            seen.update(expected)
    assert {"good", "jitter", "miss"} <= seen


def test_true_boxes_mend_what_a_wrong_box_did(truth: GroundTruth) -> None:
    # The detector's box is shifted and too wide, and the landmarks are right relative to it.
    shirts = perfect(truth).classes[SHIRT]
    boxes = shirts.boxes_xywh + (30, 20, 60, 0)
    unit = (shirts.landmarks_xy + 0.5 - shirts.boxes_xywh[:, None, :2]) / 400
    xy = boxes[:, None, :2] + unit * boxes[:, None, 2:] - 0.5
    detections = with_class(perfect(truth), SHIRT, landmarks_xy=xy, boxes_xywh=boxes)
    found = diagnose(truth, detections)
    assert found.base.ap is not None and found.base.ap < 0.9
    assert found.ladder["true box"].ap == pytest.approx(1, abs=1e-9)


def test_ideal_scores_put_what_is_wrong_last(truth: GroundTruth) -> None:
    detections = perfect(truth)
    ghosts = detections.classes[SHIRT]
    ghosts = replace(ghosts, landmarks_xy=ghosts.landmarks_xy + 5000, scores=ghosts.scores + 1)
    found = diagnose(truth, joined(detections, SHIRT, ghosts))
    assert found.base.ap is not None and found.base.ap < 0.8
    assert found.ladder["ideal scores"].ap == pytest.approx(1, abs=1e-12)
    assert found.ladder["all of these"].ap == pytest.approx(1, abs=1e-12)


def test_the_floor_is_the_mean_shape_in_the_predicted_boxes(truth: GroundTruth) -> None:
    # All garments of the fixture have the same shape, so the floor is as good as it gets.
    noisy = perfect(truth).classes[SHIRT].landmarks_xy + 40
    found = diagnose(truth, with_class(perfect(truth), SHIRT, landmarks_xy=noisy))
    assert found.base.ap is not None and found.base.ap < 1
    assert found.ladder["floor: mean shape in the predicted box"].ap == pytest.approx(1, abs=1e-9)
