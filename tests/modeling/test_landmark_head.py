"""The 13 heads: an RoI trains and asks the head of its category, and no other."""

import pytest
import torch
from detectron2.layers import ShapeSpec
from detectron2.modeling.roi_heads.keypoint_head import (
    KRCNNConvDeconvUpsampleHead,
    keypoint_rcnn_loss,
)
from detectron2.structures import Boxes, Instances, Keypoints
from detectron2.utils.events import EventStorage

from df2_landmarks.modeling import LandmarkRCNNHead, landmark_loss
from df2_landmarks.taxonomy import DEEPFASHION2
from tests.modeling.regions import (
    CHANNELS,
    COUNTS,
    MOST,
    detections,
    features,
    proposals,
)


@pytest.fixture
def head():
    torch.manual_seed(0)
    return LandmarkRCNNHead(
        ShapeSpec(channels=CHANNELS, height=14, width=14), num_landmarks=COUNTS, conv_dims=[6, 6]
    )


def gradient_norms(head):
    return [sum(p.grad.abs().sum().item() for p in branch.parameters()) for branch in head.branches]


def test_gradients_reach_the_trunk_and_the_own_heads_only(head):
    head(features(3), [proposals([1, 1]), proposals([2])])["loss_keypoint"].backward()
    norms = gradient_norms(head)
    assert norms[0] == 0
    assert norms[1] > 0
    assert norms[2] > 0
    assert head.conv_fcn1.weight.grad.abs().sum() > 0


def test_every_parameter_has_a_gradient_when_categories_are_absent(head):
    """Else DistributedDataParallel stalls."""
    head(features(1), [proposals([0])])["loss_keypoint"].backward()
    assert all(p.grad is not None for p in head.parameters())


def test_batch_without_regions_has_loss_zero_and_gradients(head):
    loss = head(features(0), [proposals([])])["loss_keypoint"]
    loss.backward()
    assert loss.item() == 0
    assert all(p.grad is not None and not p.grad.any() for p in head.parameters())


def test_batch_with_nothing_labelled_has_loss_zero_and_no_nan(head):
    unlabelled = proposals([0, 1])
    unlabelled.gt_keypoints.tensor.zero_()
    loss = head(features(2), [unlabelled])["loss_keypoint"]
    loss.backward()
    assert loss.item() == 0
    assert all(torch.isfinite(p.grad).all() for p in head.parameters())


def test_loss_is_the_mean_over_labelled_landmarks_of_the_own_categories(head):
    """Of untrained zero logits it is log(number of cells), whatever the categories' sizes."""
    for branch in head.branches:
        torch.nn.init.zeros_(branch.score_lowres.weight)
    for classes in ([0], [1], [0, 1, 2, 2]):
        loss = head(features(len(classes)), [proposals(classes)])["loss_keypoint"]
        assert loss.item() == pytest.approx(torch.log(torch.tensor(56.0 * 56)).item(), rel=1e-5)


def test_landmark_loss_on_a_hand_made_map():
    logits = torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 5.0], [5.0, 5.0]]])
    # -log(e^4 / (e^1 + e^2 + e^3 + e^4)), and log(4)
    expected = (0.4401897 + 1.3862944) / 2
    assert landmark_loss(logits, torch.tensor([3, 0])).item() == pytest.approx(expected, abs=1e-6)


@torch.no_grad()
def test_inference_uses_the_head_of_the_predicted_category(head):
    head.eval()
    for index, branch in enumerate(head.branches):
        branch.score_lowres.weight.zero_()
        branch.score_lowres.bias.fill_(float(index))  # flat maps: the score is 1 / 3136 in all
    before = [x.pred_keypoints.clone() for x in head(features(3), [detections([2, 0, 1])])]
    head.branches[0].score_lowres.weight.normal_()
    after = [x.pred_keypoints for x in head(features(3), [detections([2, 0, 1])])]
    changed = (before[0] != after[0]).flatten(1).any(dim=1)
    assert changed.tolist() == [False, True, False]


@torch.no_grad()
def test_padding_is_zero_and_own_landmarks_lie_in_the_box(head):
    (result,) = head.eval()(features(3), [detections([2, 0, 1])])
    assert result.pred_keypoints.shape == (3, MOST, 3)
    for row, class_index in enumerate([2, 0, 1]):
        valid = result.pred_keypoints[row, : COUNTS[class_index]]
        x1, y1, x2, y2 = result.pred_boxes.tensor[row]
        assert (result.pred_keypoints[row, COUNTS[class_index] :] == 0).all()
        assert ((valid[:, 0] > x1) & (valid[:, 0] < x2)).all()
        assert ((valid[:, 1] > y1) & (valid[:, 1] < y2)).all()
        assert (valid[:, 2] > 0).all()
    assert not result.has("pred_keypoint_heatmaps")


@torch.no_grad()
def test_permuting_regions_permutes_landmarks(head):
    head.eval()
    order = torch.tensor([3, 0, 4, 1, 2])
    inputs, classes = features(5), torch.tensor([0, 1, 2, 1, 0])
    instances = detections(classes.tolist())
    permuted = instances[order]
    expected = head(inputs, [instances])[0].pred_keypoints[order]
    actual = head(inputs[order], [permuted])[0].pred_keypoints
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_images_without_detections_among_others(head):
    results = head.eval()(features(2), [detections([]), detections([1, 2]), detections([])])
    assert [len(x.pred_keypoints) for x in results] == [0, 2, 0]


@torch.no_grad()
def test_no_detections_at_all(head):
    (result,) = head.eval()(features(0), [detections([])])
    assert result.pred_keypoints.shape == (0, MOST, 3)


def stock_head():
    return KRCNNConvDeconvUpsampleHead(
        ShapeSpec(channels=CHANNELS, height=14, width=14),
        num_keypoints=MOST,
        conv_dims=[6, 6],
        loss_normalizer="visible",
    )


def test_with_one_category_it_is_the_stock_head():
    torch.manual_seed(2)
    stock = stock_head()
    ours = LandmarkRCNNHead(
        ShapeSpec(channels=CHANNELS, height=14, width=14), num_landmarks=[MOST], conv_dims=[6, 6]
    )
    weights = stock.state_dict()
    weights["branches.0.score_lowres.weight"] = weights.pop("score_lowres.weight")
    weights["branches.0.score_lowres.bias"] = weights.pop("score_lowres.bias")
    ours.load_state_dict(weights)

    instances = proposals([1, 1, 1])
    instances.gt_classes.zero_()
    inputs = features(3)
    with EventStorage():
        expected = keypoint_rcnn_loss(stock.layers(inputs), [instances], normalizer=None)
    actual = ours(inputs, [instances])["loss_keypoint"]
    assert actual.item() == pytest.approx(expected.item(), rel=1e-5)
    expected.backward()
    actual.backward()
    torch.testing.assert_close(ours.conv_fcn1.weight.grad, stock.conv_fcn1.weight.grad)


def test_class_convolutions_and_norm_are_options():
    head = LandmarkRCNNHead(
        ShapeSpec(channels=CHANNELS, height=14, width=14),
        num_landmarks=COUNTS,
        conv_dims=[32],
        class_conv_dims=[32],
        norm="GN",
    )
    loss = head(features(2), [proposals([0, 2])])["loss_keypoint"]
    loss.backward()
    assert head.branches[0].conv_fcn1.norm.weight.grad.abs().sum() > 0
    assert torch.isfinite(loss)


def test_predictors_have_their_category_s_own_number_of_channels():
    from detectron2.modeling.roi_heads import build_keypoint_head

    from df2_landmarks.engine import setup_config

    cfg = setup_config()
    head = build_keypoint_head(cfg, ShapeSpec(channels=256, height=14, width=14))
    assert isinstance(head, LandmarkRCNNHead)
    channels = tuple(branch.score_lowres.out_channels for branch in head.branches)
    assert channels == DEEPFASHION2.counts
    assert sum(channels) == 294


def test_gradients_of_each_region_stay_in_its_own_head(head):
    """Each region alone gives its head the gradient that the batch gives, and no other head any."""
    inputs, instances = features(4), proposals([1, 0, 1, 2])
    head(inputs, [instances])["loss_keypoint"].backward()
    of_batch = [b.score_lowres.weight.grad.clone() for b in head.branches]
    total = sum(COUNTS[c] for c in (1, 0, 1, 2))
    summed = [torch.zeros_like(g) for g in of_batch]
    for row, class_index in enumerate((1, 0, 1, 2)):
        head.zero_grad()
        head(inputs[row : row + 1], [instances[[row]]])["loss_keypoint"].backward()
        others = [n for i, n in enumerate(gradient_norms(head)) if i != class_index]
        assert others == [0, 0]
        gradient = head.branches[class_index].score_lowres.weight.grad
        summed[class_index] += gradient * COUNTS[class_index] / total  # a mean over landmarks
    for actual, expected in zip(of_batch, summed, strict=True):
        torch.testing.assert_close(actual, expected, atol=1e-7, rtol=1e-4)


def test_gradients_of_the_features_keep_the_order_of_the_regions(head):
    """The head sorts regions by category; nothing of that shows outside."""
    inputs, instances = features(5), proposals([2, 0, 1, 0, 2])
    order = [3, 0, 4, 1, 2]
    gradients, losses = [], []
    for rows in (list(range(5)), order):
        x = inputs[rows].requires_grad_()
        loss = head(x, [instances[rows]])["loss_keypoint"]
        loss.backward()
        gradients.append(x.grad)
        losses.append(loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    torch.testing.assert_close(gradients[0][order], gradients[1], atol=1e-8, rtol=1e-4)


def test_unlabelled_landmarks_train_nothing(head):
    """Their channels of the own head get no gradient, and the others the mean over the labelled."""
    instances = proposals([1, 1])
    instances.gt_keypoints.tensor[:, 2:, 2] = 0
    head(features(2), [instances])["loss_keypoint"].backward()
    per_channel = head.branches[1].score_lowres.weight.grad.abs().sum(dim=(0, 2, 3))
    assert (per_channel[:2] > 0).all()
    assert not per_channel[2:].any()


def test_loss_on_hand_made_tensors():
    """One landmark per category; the trunk is the identity of one channel, and each predictor
    repeats a feature in 2 x 2 cells of its map, with a factor of its own."""
    head = LandmarkRCNNHead(
        ShapeSpec(channels=1, height=1, width=1), num_landmarks=[1, 1], conv_dims=[]
    )
    # of the 4 x 4 kernel the middle 2 x 2 remain for one input cell with stride 2 and padding 1
    for branch, factor in zip(head.branches, (1.0, 3.0), strict=True):
        torch.nn.init.zeros_(branch.score_lowres.weight)
        branch.score_lowres.weight.data[0, 0, 1, 1] = factor
    instances = Instances((8, 8))
    instances.proposal_boxes = Boxes(torch.tensor([[0.0, 0.0, 8.0, 8.0]]).repeat(2, 1))
    instances.gt_classes = torch.tensor([1, 0])
    # 8 px for 4 cells: the first landmark lies in cell (0, 0), the second in cell (3, 3)
    points = [[[1.0, 1.0, 2.0]], [[7.0, 7.0, 1.0]]]
    instances.gt_keypoints = Keypoints(torch.tensor(points))
    loss = head(torch.tensor([2.0, 1.0]).view(2, 1, 1, 1), [instances])["loss_keypoint"]
    # 2 x 2 maps [[v, 0], [0, 0]] with v = 2 * 3 and 1 * 1, upsampled bilinearly to 4 x 4 cells:
    # products of (1, 0.75, 0.25, 0) along x and y
    ramp = torch.tensor([1.0, 0.75, 0.25, 0.0], dtype=torch.float64)
    share = (ramp[:, None] * ramp).flatten()
    expected = (torch.logsumexp(6 * share, 0) - 6 + torch.logsumexp(share, 0) - 0) / 2
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert loss.item() == pytest.approx(1.7676692, abs=1e-6)
