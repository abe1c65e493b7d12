"""Two processes whose batches hold different categories train on, and stay the same model."""

import datetime
import os

import pytest
import torch
import torch.distributed as dist
from detectron2.layers import ShapeSpec
from detectron2.structures import Boxes, Instances, Keypoints
from torch.nn.parallel import DistributedDataParallel

from df2_landmarks.modeling import LandmarkRCNNHead

COUNTS = (3, 5, 2)
CLASSES_OF_RANK = (([0, 0], [1], []), ([2], [], [1, 2]))
"""Per rank, the categories in its batches: never the same, and sometimes none at all."""


def batch(classes):
    instances = Instances((100, 100))
    instances.proposal_boxes = Boxes(torch.tensor([[10.0, 10, 90, 90]]).repeat(len(classes), 1))
    instances.gt_classes = torch.tensor(classes, dtype=torch.int64)
    landmarks = torch.full((len(classes), max(COUNTS), 3), 50.0)
    for row, class_index in enumerate(classes):
        landmarks[row, COUNTS[class_index] :] = 0
    instances.gt_keypoints = Keypoints(landmarks)
    return torch.randn(len(classes), 4, 14, 14), [instances]


def train(rank, address, folder):
    dist.init_process_group(
        "gloo",
        init_method=address,
        rank=rank,
        world_size=2,
        timeout=datetime.timedelta(seconds=60),
    )
    torch.manual_seed(0)
    shape = ShapeSpec(channels=4, height=14, width=14)
    head = LandmarkRCNNHead(shape, num_landmarks=COUNTS, conv_dims=[4], visibility=True)
    model = DistributedDataParallel(head)  # find_unused_parameters=False, as in Detectron2
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for classes in CLASSES_OF_RANK[rank]:
        optimizer.zero_grad()
        sum(model(*batch(classes)).values()).backward()
        optimizer.step()
    torch.save(head.state_dict(), f"{folder}/{rank}.pth")
    dist.barrier()
    os._exit(0)  # gloo's teardown may wait forever for a process that is gone already


@pytest.mark.slow
def test_absent_categories_stall_no_process(run_in_two_processes):
    first, second = run_in_two_processes(train)
    shape = ShapeSpec(channels=4, height=14, width=14)
    start = LandmarkRCNNHead(
        shape, num_landmarks=COUNTS, conv_dims=[4], visibility=True
    ).state_dict()
    assert first.keys() == start.keys()
    for name in first:
        assert torch.isfinite(first[name]).all()
        torch.testing.assert_close(first[name], second[name])
