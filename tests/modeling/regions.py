"""Regions for the tests of the landmark head: features, proposals and detections of one image."""

from __future__ import annotations

import torch
from detectron2.structures import Boxes, Instances, Keypoints

CHANNELS = 8
COUNTS = (3, 5, 2)
"""Landmarks of each category."""
MOST = max(COUNTS)
IMAGE_SIZE = (100, 100)


def features(count):
    return torch.randn(count, CHANNELS, 14, 14, generator=torch.Generator().manual_seed(1))


def proposals(classes, *, all_visible=True):
    """Proposals in one place with landmarks inside; else visible, occluded or not labelled."""
    generator = torch.Generator().manual_seed(0)
    instances = Instances(IMAGE_SIZE)
    count = len(classes)
    instances.proposal_boxes = Boxes(torch.tensor([[10.0, 10.0, 90.0, 80.0]]).repeat(count, 1))
    instances.gt_classes = torch.tensor(classes, dtype=torch.int64)
    landmarks = torch.rand(count, MOST, 3, generator=generator) * 60 + 15
    landmarks[..., 2] = 2
    if not all_visible:
        landmarks[..., 2] = torch.randint(0, 3, (count, MOST), generator=generator)
    for row, class_index in enumerate(classes):
        landmarks[row, COUNTS[class_index] :] = 0
    instances.gt_keypoints = Keypoints(landmarks)
    return instances


def detections(classes):
    """Detections, each a pixel further than the one before; best first."""
    instances = Instances(IMAGE_SIZE)
    offsets = torch.arange(len(classes), dtype=torch.float32)[:, None]
    instances.pred_boxes = Boxes(torch.tensor([[10.0, 10.0, 80.0, 70.0]]) + offsets)
    instances.pred_classes = torch.tensor(classes, dtype=torch.int64)
    instances.scores = torch.linspace(0.9, 0.5, len(classes))
    return instances
