"""Scores that know the landmarks and the duplicates of other categories."""

import pytest
import torch
from detectron2.structures import Boxes, Instances

from df2_landmarks.modeling.rescoring import rescore, suppress_duplicates

COUNTS = torch.tensor([2, 4])
SAME = [0.0, 0.0, 10.0, 10.0]
ELSEWHERE = [50.0, 50.0, 60.0, 60.0]


def detections(scores, classes, boxes, confidences):
    instances = Instances((100, 100))
    instances.scores = torch.tensor(scores)
    instances.pred_classes = torch.tensor(classes)
    instances.pred_boxes = Boxes(torch.tensor(boxes))
    instances.pred_keypoints = torch.zeros(len(scores), 4, 3)
    for row, (class_index, confidence) in enumerate(zip(classes, confidences, strict=True)):
        instances.pred_keypoints[row, : COUNTS[class_index], 2] = confidence
    return instances


def test_the_score_is_multiplied_by_the_mean_confidence_of_the_own_landmarks():
    before = detections([0.5, 0.8], [0, 1], [SAME, ELSEWHERE], [0.9, 0.5])
    after = rescore(before, COUNTS, confidence_power=2, suppress_across_categories=False)
    assert after.scores.tolist() == pytest.approx([0.5 * 0.9**2, 0.8 * 0.5**2])
    assert after.pred_classes.tolist() == [0, 1]
    assert before.scores.tolist() == pytest.approx([0.5, 0.8])


def test_the_best_detection_comes_first_with_all_of_its_fields():
    before = detections([0.9, 0.8], [0, 1], [SAME, ELSEWHERE], [0.1, 1.0])
    after = rescore(before, COUNTS, confidence_power=1, suppress_across_categories=False)
    assert after.pred_classes.tolist() == [1, 0]
    assert after.pred_boxes.tensor.tolist() == [ELSEWHERE, SAME]
    assert after.pred_keypoints[0, :, 2].tolist() == [1.0] * 4


def test_a_garment_under_two_categories_keeps_the_better_one():
    both = detections([0.9, 0.8, 0.7], [0, 1, 1], [SAME, SAME, ELSEWHERE], [1.0, 1.0, 1.0])
    after = rescore(both, COUNTS, confidence_power=0, suppress_across_categories=True)
    assert after.scores.tolist() == pytest.approx([0.9, 0.7, 0.8 * (1 - 0.9)])
    assert after.pred_classes.tolist() == [0, 1, 1]


def test_detections_of_one_category_do_not_suppress_each_other():
    scores = torch.tensor([0.9, 0.8])
    after = suppress_duplicates(scores, torch.tensor([3, 3]), torch.ones(2, 2))
    assert after.tolist() == scores.tolist()


def test_of_two_equal_scores_the_first_stays():
    after = suppress_duplicates(torch.tensor([0.6, 0.6]), torch.tensor([0, 1]), torch.ones(2, 2))
    assert after.tolist() == pytest.approx([0.6, 0.6 * 0.4])


@pytest.mark.parametrize("overlap", [0.55, 0.7, 0.9, 1.0])
def test_the_score_of_the_weaker_duplicate_is_bounded(overlap):
    score = torch.linspace(0, 1, 201)
    best = torch.ones(2, 2) * overlap
    weaker = [suppress_duplicates(s.repeat(2), torch.tensor([0, 1]), best)[1] for s in score]
    assert max(weaker).item() == pytest.approx(1 / (4 * overlap), abs=1e-4)


def test_several_duplicates_multiply_and_order_does_not_matter():
    scores = torch.tensor([0.3, 0.9, 0.5])
    classes = torch.tensor([0, 1, 2])
    overlaps = torch.tensor([[1.0, 0.8, 0.5], [0.8, 1.0, 0.4], [0.5, 0.4, 1.0]])
    after = suppress_duplicates(scores, classes, overlaps)
    assert after[0].item() == pytest.approx(0.3 * (1 - 0.8 * 0.9) * (1 - 0.5 * 0.5))
    assert after[1].item() == pytest.approx(0.9)
    order = torch.tensor([2, 0, 1])
    permuted = suppress_duplicates(scores[order], classes[order], overlaps[order][:, order])
    assert torch.equal(permuted, after[order])


def test_no_detections():
    nothing = detections([], [], [], [])
    nothing.pred_boxes = Boxes(torch.zeros(0, 4))
    nothing.pred_classes = torch.zeros(0, dtype=torch.int64)
    assert len(rescore(nothing, COUNTS, confidence_power=2, suppress_across_categories=True)) == 0
