"""Landmarks with one name share a predictor, in whatever category they are."""

import pytest
import torch
from detectron2.layers import ShapeSpec
from detectron2.structures import Boxes, Instances, Keypoints

from df2_landmarks.modeling import LandmarkRCNNHead

CHANNELS = 8
NAMES = [["collar", "left", "right"], ["left", "right", "waist", "hem", "cuff"], ["hem", "waist"]]


def head(shared_names):
    torch.manual_seed(0)
    return LandmarkRCNNHead(
        ShapeSpec(channels=CHANNELS, height=14, width=14),
        num_landmarks=[len(names) for names in NAMES],
        conv_dims=[6, 6],
        shared_names=shared_names,
    )


@pytest.fixture
def sharing_head():
    return head(NAMES)


def features():
    return torch.randn(1, CHANNELS, 14, 14, generator=torch.Generator().manual_seed(1))


def dress_with_a_labelled_hem():
    instances = Instances((100, 100))
    instances.proposal_boxes = Boxes(torch.tensor([[10.0, 10.0, 90.0, 80.0]]))
    instances.gt_classes = torch.tensor([1])
    landmarks = torch.zeros(1, 5, 3)
    landmarks[0, 3] = torch.tensor([50.0, 60.0, 2.0])
    instances.gt_keypoints = Keypoints(landmarks)
    return instances


def maps_of(head, class_index):
    classes = torch.tensor([class_index])
    return next(iter(head.class_outputs(features(), classes))).logits[0]


def test_landmarks_of_one_name_start_with_the_same_heatmap(sharing_head):
    """In different categories; what differs between them is learned on top."""
    with torch.no_grad():
        shirt, dress, skirt = (maps_of(sharing_head, c) for c in range(3))
    assert shirt[1:].equal(dress[:2])
    assert skirt[0].equal(dress[3])
    assert skirt[1].equal(dress[2])
    assert not dress[0].equal(dress[1])
    assert sharing_head.shared_predictor.weight.shape[1] == 6


def test_a_landmark_teaches_its_name_and_itself(sharing_head):
    sharing_head(features(), [dress_with_a_labelled_hem()])["loss_keypoint"].backward()
    taught = sharing_head.shared_predictor.weight.grad.abs().sum(dim=(0, 2, 3)) > 0
    # in order of appearance: collar, left, right, waist, hem, cuff
    assert taught.tolist() == [False, False, False, False, True, False]
    own_grad = sharing_head.branches[1].score_lowres.weight.grad.abs().sum(dim=(0, 2, 3)) > 0
    assert own_grad.tolist() == [False, False, False, True, False]
    assert all(p.grad is not None for p in sharing_head.parameters())


def test_heatmaps_are_those_of_the_summed_predictors(sharing_head):
    for branch in sharing_head.branches:
        torch.nn.init.normal_(branch.score_lowres.weight)
    trunk = features()
    for name in sharing_head.trunk_names:
        trunk = getattr(sharing_head, name)(trunk).relu()
    channels = torch.tensor([1, 2, 3, 4, 5])  # of the second category's names
    own, shared = sharing_head.branches[1].score_lowres, sharing_head.shared_predictor
    both = own(trunk) + shared(trunk)[:, channels]
    expected = torch.nn.functional.interpolate(both, scale_factor=2, mode="bilinear")[0]
    torch.testing.assert_close(maps_of(sharing_head, 1), expected, atol=1e-5, rtol=1e-5)


def test_weights_without_a_shared_predictor_compute_the_same_in_a_head_that_has_one(sharing_head):
    plain = head(None)
    assert not sharing_head.load_state_dict(plain.state_dict()).missing_keys
    for class_index in range(3):
        got = maps_of(sharing_head, class_index)
        torch.testing.assert_close(got, maps_of(plain, class_index))
