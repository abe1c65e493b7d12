"""The OKS branch: what it predicts and learns, and that landmarks stay the same."""

import math
from functools import partial

import pytest
import torch
from detectron2.layers import ShapeSpec
from detectron2.structures import Boxes
from torch import nn

from df2_landmarks.common import UserError
from df2_landmarks.engine import Trainer, load_for_evaluation
from df2_landmarks.evaluation.oks import landmark_oks
from df2_landmarks.modeling import LandmarkRCNNHead, to_single_predictor
from df2_landmarks.modeling.oks_branch import similarity
from tests.modeling import regions
from tests.modeling.regions import CHANNELS, COUNTS, detections, features
from tests.support import ROOT, tiny_config

NAMES = [["collar", "left", "right"], ["left", "right", "waist", "hem", "cuff"], ["hem", "waist"]]
SIGMAS = [[0.03 + 0.01 * k for k in range(count)] for count in COUNTS]
HEAD = "MODEL.ROI_LANDMARK_HEAD."


def build(oks_branch=True, *, share=True, trained=False, **options):
    torch.manual_seed(0)
    options = {"conv_dims": [6], "decoder": "expected_oks", "sigmas": SIGMAS, **options}
    head = LandmarkRCNNHead(
        ShapeSpec(channels=CHANNELS, height=14, width=14),
        num_landmarks=COUNTS,
        shared_names=NAMES if share else None,
        oks_branch=oks_branch,
        **options,
    )
    with torch.no_grad():
        for branch in head.branches:
            branch.score_lowres.weight.normal_(generator=torch.Generator().manual_seed(5))
    for name, parameter in head.named_parameters():
        if trained and name.startswith("oks_branch."):
            nn.init.normal_(parameter)
    return head


def proposals(classes, **options):
    instances = regions.proposals(classes, **options)
    box = torch.tensor([[12.0, 8.0, 88.0, 84.0]])
    instances.gt_boxes = Boxes(box.repeat(len(classes), 1))
    return instances


def test_the_similarity_is_the_metric_s():
    generator = torch.Generator().manual_seed(0)
    found, true = torch.rand(2, 5, 2, generator=generator).double() * 60
    sigmas = torch.linspace(0.02, 0.3, 5).double()
    expected = landmark_oks(
        found[None].numpy(),
        true[None].numpy(),
        torch.ones(1, 5, dtype=torch.bool).numpy(),
        torch.tensor([3000.0]).double().numpy(),
        sigmas.numpy(),
    )
    actual = similarity(found, true, sigmas, torch.full((5,), 3000.0))
    assert actual.mean().item() == pytest.approx(expected[0], rel=1e-9)


@torch.no_grad()
def test_untrained_it_says_what_the_decoder_says():
    plain, head = build(False).eval(), build().eval()
    for result, expected in zip(
        head(features(3), [detections([2, 1, 0])]),
        plain(features(3), [detections([2, 1, 0])]),
        strict=True,
    ):
        torch.testing.assert_close(result.pred_keypoints, expected.pred_keypoints)


@torch.no_grad()
@pytest.mark.parametrize("share", [True, False])
def test_trained_it_changes_the_confidence_only_and_leaves_the_padding(share):
    plain, head = build(False, share=share).eval(), build(share=share, trained=True).eval()
    (result,) = head(features(3), [detections([2, 1, 0])])
    (expected,) = plain(features(3), [detections([2, 1, 0])])
    assert torch.equal(result.pred_keypoints[..., :2], expected.pred_keypoints[..., :2])
    for row, class_index in enumerate([2, 1, 0]):
        confidence = result.pred_keypoints[row, : COUNTS[class_index], 2]
        assert ((confidence > 0) & (confidence < 1)).all()
        assert (confidence != expected.pred_keypoints[row, : COUNTS[class_index], 2]).all()
        assert not result.pred_keypoints[row, COUNTS[class_index] :].any()


@torch.no_grad()
def test_the_logit_is_that_of_the_confidence_and_linear_functions_of_the_features():
    """Region by region and landmark by landmark."""
    head = build(share=False, trained=True).eval()
    inputs, classes = features(3), [1, 2, 1]
    (result,) = head(inputs, [detections(classes)])
    (plain,) = build(False, share=False).eval()(inputs, [detections(classes)])
    branch = head.oks_branch
    for region, class_index in enumerate(classes):
        trunk = head.conv_fcn1(inputs[region : region + 1]).relu()
        lowres = head.branches[class_index](trunk)
        local = branch.local(trunk, lowres, class_index)[0]
        of_region = branch.region_weight[class_index] @ trunk[0].mean(dim=(1, 2))
        confidence = plain.pred_keypoints[region, : COUNTS[class_index], 2].clamp(1e-4, 1 - 1e-4)
        logit = (1 + branch.slope[class_index]) * confidence.logit() + local + of_region
        torch.testing.assert_close(
            result.pred_keypoints[region, : COUNTS[class_index], 2], logit.sigmoid()
        )


@torch.no_grad()
def test_the_score_is_multiplied_by_the_predicted_oks():
    """The mean over the own landmarks, to the power that is configured."""
    classes = [1, 2]
    head = build(trained=True, confidence_power=1.5).eval()
    (result,) = head(features(2), [detections(classes)])
    scores = dict(zip(classes, detections(classes).scores.tolist(), strict=True))
    for class_index, score, landmarks in zip(
        result.pred_classes.tolist(), result.scores, result.pred_keypoints, strict=True
    ):
        oks = landmarks[: COUNTS[class_index], 2].mean().item()
        assert score.item() == pytest.approx(scores[class_index] * oks**1.5, rel=1e-5)


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("target_width", [0.0, 0.25])
def test_landmarks_train_to_the_same_with_it_and_without_it(share, target_width):
    """The same random numbers at the start, the same loss, and the same gradients."""
    inputs, instances = features(4), proposals([1, 0, 1, 2], all_visible=False)
    instances.gt_keypoints.tensor[0, 0] = torch.tensor([95.0, 50.0, 2.0])  # outside of its box
    losses, gradients, numbers = [], [], []
    for oks_branch in (False, True):
        head = build(oks_branch, share=share, target_width=target_width, visibility=True)
        numbers.append(torch.rand(3))
        x = inputs.clone().requires_grad_()
        result = head(x, [instances])
        assert ("loss_oks" in result) == oks_branch
        sum(result.values()).backward()
        losses.append((result["loss_keypoint"], result["loss_visibility"]))
        of_landmarks = {
            k: p.grad for k, p in head.named_parameters() if not k.startswith("oks_branch.")
        }
        gradients.append({**of_landmarks, "features": x.grad})
    assert torch.equal(*numbers)
    torch.testing.assert_close(*losses, rtol=1e-6, atol=0)
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-5, atol=1e-7)


def test_no_gradient_leaves_the_branch():
    head = build(trained=True)
    x = features(3).requires_grad_()
    head(x, [proposals([1, 0, 2])])["loss_oks"].backward()
    assert x.grad is None
    with_gradient = {k for k, p in head.named_parameters() if p.grad is not None}
    branch = {k for k, _ in head.named_parameters() if k.startswith("oks_branch.")}
    assert with_gradient == branch


@pytest.mark.parametrize("box_scale", [1.0, 1.3])
def test_the_loss_compares_with_the_similarity_of_the_landmarks_that_the_head_places(box_scale):
    """Labelled landmarks only, those outside of the box too; the area is that of the true box.
    Every fourth region in the order of the classes counts."""
    head = build(share=False, trained=True, box_scale=box_scale)
    classes = [1, 2, 1, 1, 1]
    instances = proposals(classes, all_visible=False)
    points = instances.gt_keypoints.tensor
    points[0, 3] = torch.tensor([97.0, 50.0, 1.0])
    points[1, :2, 2] = 2
    loss = head(features(5), [instances])["loss_oks"]
    instances.pred_boxes, instances.pred_classes = instances.proposal_boxes, instances.gt_classes
    with torch.no_grad():
        (result,) = head.eval()(features(5), [instances])
    area, terms = 76.0 * 76, []
    for row in (0, 1):
        class_index = classes[row]
        for k in range(COUNTS[class_index]):
            x, y, confidence = result.pred_keypoints[row, k].tolist()
            if points[row, k, 2] > 0:
                squared = (x - points[row, k, 0].item()) ** 2 + (y - points[row, k, 1].item()) ** 2
                target = math.exp(-squared / (2 * (2 * SIGMAS[class_index][k]) ** 2 * area))
                terms.append(
                    -target * math.log(confidence) - (1 - target) * math.log(1 - confidence)
                )
    assert 3 < len(terms) < COUNTS[1] + COUNTS[2]
    assert loss.item() == pytest.approx(sum(terms) / len(terms), rel=1e-3)


@pytest.mark.parametrize("classes", [[], [0], [1, 1]])
@pytest.mark.parametrize("labelled", [True, False])
def test_every_parameter_has_a_gradient_whatever_the_batch_holds(classes, labelled):
    """Else DistributedDataParallel stalls."""
    head = build(visibility=True)
    instances = proposals(classes)
    if not labelled:
        instances.gt_keypoints.tensor.zero_()
    losses = head(features(len(classes)), [instances])
    assert tuple(losses) == head.loss_names
    sum(losses.values()).backward()
    assert all(torch.isfinite(p.grad).all() for p in head.parameters())
    if not labelled or not classes:
        assert losses["loss_oks"].item() == 0


def test_it_learns_how_good_landmarks_are():
    """One category's landmarks are where its heatmaps say, the other's are anywhere."""
    head = build(share=False)
    inputs, instances = features(60), proposals([1, 2] * 30)
    instances.pred_boxes, instances.pred_classes = instances.proposal_boxes, instances.gt_classes
    with torch.no_grad():
        (placed,) = head.eval()(inputs, [instances])
    right = instances.gt_classes == 1
    points = instances.gt_keypoints.tensor
    points[right, :, :2] = placed.pred_keypoints[right, :, :2]
    optimizer = torch.optim.AdamW(head.oks_branch.parameters(), lr=0.05)
    head.train()
    for _ in range(60):
        loss = head(inputs, [instances])["loss_oks"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        (result,) = head.eval()(inputs, [instances])
    oks = result.pred_keypoints[..., 2].sum(dim=1) / torch.tensor(COUNTS)[result.pred_classes]
    assert oks[right].min() > 0.9
    assert oks[~right].mean() < 0.3


def test_in_mixed_precision_the_loss_is_float32():
    head = build(trained=True)
    loss_of = partial(head, features(3), [proposals([0, 1, 1])])
    with torch.autocast("cpu", torch.bfloat16):
        loss = loss_of()["loss_oks"]
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(loss_of()["loss_oks"].item(), rel=0.05)


def test_it_needs_the_decoder_whose_confidence_it_corrects():
    with pytest.raises(UserError, match=r"OKS_BRANCH needs DECODER expected_oks.*got 'peak'"):
        build(decoder="peak")


def test_a_model_with_it_is_evaluated_and_converted_without_it_but_not_the_reverse(tmp_path):
    models = [
        Trainer.build_model(tiny_config(f"{HEAD}OKS_BRANCH", on, f"{HEAD}COORDINATES", False))
        for on in (True, False)
    ]
    paths = [tmp_path / "with.pth", tmp_path / "without.pth"]
    for model, path in zip(models, paths, strict=True):
        torch.save({"model": model.state_dict()}, path)
    load_for_evaluation(models[1], str(paths[0]))
    for name, weight in models[1].state_dict().items():
        assert torch.equal(weight, models[0].state_dict()[name])
    assert not any("oks_branch" in name for name in to_single_predictor(models[0].state_dict()))
    with pytest.raises(
        UserError, match=r"without MODEL\S+OKS_BRANCH: set MODEL\S+OKS_BRANCH False$"
    ):
        load_for_evaluation(models[0], str(paths[1]))


def test_other_categories_have_it_too():
    file = ROOT / "docs/examples/coco_person.yaml"
    cfg = tiny_config(f"{HEAD}OKS_BRANCH", True, f"{HEAD}TAXONOMY", file, "MODEL.MASK_ON", False)
    head = Trainer.build_model(cfg).roi_heads.keypoint_head
    assert len(head.oks_branch.slope) == 1
    assert len(head.oks_branch.local.bias) == sum(head.num_landmarks)
