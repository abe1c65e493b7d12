"""Scores of detections after their landmarks are known.

The box head's score says how sure the category is. `rescore` adds what the box head cannot know:
how well the landmarks are placed, and which detections are duplicates of another category, that is,
the same garment detected under two categories.

Shapes: N = detections of one image, M = width of category-local landmark rows.
"""

from __future__ import annotations

import torch
from detectron2.structures import Boxes, Instances, pairwise_iou


def rescore(
    instances: Instances,
    num_landmarks: torch.Tensor,
    *,
    confidence_power: float,
    suppress_across_categories: bool,
) -> Instances:
    """Return the detections with new `scores`, best first.

    Args:
        instances: with `pred_boxes`, `scores`, `pred_classes` and `pred_keypoints` (N, M, 3), whose
            third number is the confidence of a landmark, 0 in the padding.
        num_landmarks: (C,) number of landmarks of each class.
        confidence_power: a score is multiplied by this power of the mean confidence of the
            detection's landmarks; 0 leaves it.
        suppress_across_categories: apply `suppress_duplicates`.

    Returns:
        All N detections, sorted; `instances` stays as it is.
    """
    scores = new_scores(
        instances.scores,
        instances.pred_classes,
        instances.pred_boxes,
        instances.pred_keypoints,
        num_landmarks,
        confidence_power=confidence_power,
        suppress_across_categories=suppress_across_categories,
    )
    order = scores.argsort(descending=True, stable=True)
    rescored = instances[order]
    rescored.scores = scores[order]
    return rescored


def new_scores(
    scores: torch.Tensor,
    classes: torch.Tensor,
    boxes: Boxes,
    landmarks: torch.Tensor,
    num_landmarks: torch.Tensor,
    *,
    confidence_power: float,
    suppress_across_categories: bool,
) -> torch.Tensor:
    """Return the (N,) scores of `rescore`, in the order of the detections.

    Args:
        scores: (N,) in 0..1.
        classes: (N,).
        boxes: N boxes.
        landmarks: (N, M, 3), as of `rescore`.
        num_landmarks: (C,) number of landmarks of each class.
        confidence_power: as of `rescore`.
        suppress_across_categories: as of `rescore`.
    """
    if confidence_power > 0:
        confidence = landmarks[..., 2].sum(dim=1) / num_landmarks[classes]
        scores = scores * confidence**confidence_power
    if suppress_across_categories:
        scores = suppress_duplicates(scores, classes, pairwise_iou(boxes, boxes))
    return scores


def suppress_duplicates(
    scores: torch.Tensor, classes: torch.Tensor, overlaps: torch.Tensor
) -> torch.Tensor:
    """Lower scores so that one garment does not come out under two categories.

    A score is multiplied by the probability that no better detection of another category is the
    same garment. A better detection with score t and intersection over union u is assumed to be the
    same garment with probability u t, independently of the others. For two detections of different
    categories with overlap u above 1/2, the lower score ends at no more than the maximum over t of
    t (1 - u t) = 1 / (4 u): 0.28 for u = 0.9. Detections of one category are left to non-maximum
    suppression.

    Args:
        scores: (N,) in 0..1.
        classes: (N,).
        overlaps: (N, N) intersection over union of the boxes.

    Returns:
        (N,) scores, none higher than before.
    """
    place = torch.arange(scores.shape[0], device=scores.device)
    is_earlier = (scores[None, :] == scores[:, None]) & (place[None, :] < place[:, None])
    is_better = (scores[None, :] > scores[:, None]) | is_earlier
    is_duplicate = is_better & (classes[None, :] != classes[:, None])
    same_garment = (overlaps * scores[None, :]).clamp(max=1) * is_duplicate
    return scores * (1 - same_garment).prod(dim=1)
