"""Visible or occluded: what is predicted, what it learns from, and that landmarks stay the same."""

from functools import partial

import pytest
import torch
from detectron2.layers import ShapeSpec
from torch import nn

from df2_landmarks.data import LandmarkDatasetMapper, build_augmentation, load_landmark_json
from df2_landmarks.engine import Trainer
from df2_landmarks.engine.ground_truth_boxes import GivenBoxes
from df2_landmarks.evaluation.visibility import average_precision
from df2_landmarks.modeling import LandmarkRCNNHead
from df2_landmarks.modeling.landmark_loss import landmark_loss, probability_loss
from tests.modeling import regions
from tests.modeling.regions import CHANNELS, COUNTS, detections, features
from tests.support import tiny_config

NAMES = [["collar", "left", "right"], ["left", "right", "waist", "hem", "cuff"], ["hem", "waist"]]


def build(visibility=True, *, share=True, trained=True, **options):
    torch.manual_seed(0)
    head = LandmarkRCNNHead(
        ShapeSpec(channels=CHANNELS, height=14, width=14),
        num_landmarks=COUNTS,
        conv_dims=[6],
        shared_names=NAMES if share else None,
        visibility=visibility,
        **options,
    )
    for name, parameter in head.named_parameters():
        if trained and name.startswith("visibility."):
            nn.init.normal_(parameter)
    return head


proposals = partial(regions.proposals, all_visible=False)


@torch.no_grad()
def test_probabilities_of_the_own_landmarks_and_zeros_in_the_padding():
    head = build().eval()
    results = head(features(4), [detections([2, 0]), detections([]), detections([1, 1])])
    for result, classes in zip(results, ([2, 0], [], [1, 1]), strict=True):
        assert result.pred_visibility.shape == (len(classes), max(COUNTS))
        for row, class_index in zip(result.pred_visibility, classes, strict=True):
            own = row[: COUNTS[class_index]]
            assert ((own > 0) & (own < 1)).all()
            assert not row[COUNTS[class_index] :].any()
    (nothing,) = head(features(0), [detections([])])
    assert nothing.pred_visibility.shape == (0, max(COUNTS))


def test_switched_off_there_is_no_field_no_loss_and_no_parameter():
    off, on = build(visibility=False), build()
    assert off(features(2), [proposals([0, 1])]).keys() == {"loss_keypoint"}
    (result,) = off.eval()(features(2), [detections([0, 1])])
    assert not result.has("pred_visibility")
    added = on.state_dict().keys() - off.state_dict().keys()
    assert added == {f"visibility.{name}" for name in ("weight", "bias", "shared_weight")}


@pytest.mark.parametrize("share", [True, False])
def test_landmarks_train_to_the_same_with_it_and_without_it(share):
    """The same random numbers at the start, the same loss, and the same gradients."""
    inputs, instances = features(4), proposals([1, 0, 1, 2])
    losses, gradients, numbers = [], [], []
    for visibility in (False, True):
        head = build(visibility, share=share, trained=False)
        numbers.append(torch.rand(3))
        x = inputs.clone().requires_grad_()
        result = head(x, [instances])
        sum(result.values()).backward()
        losses.append(result["loss_keypoint"])
        of_landmarks = {
            k: p.grad for k, p in head.named_parameters() if not k.startswith("visibility.")
        }
        gradients.append({**of_landmarks, "features": x.grad})
    assert torch.equal(*numbers)
    assert torch.equal(*losses)
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        assert torch.equal(gradient, gradients[1][name]), name


@torch.no_grad()
def test_landmarks_are_the_same_with_it_and_without_it():
    plain, head = build(visibility=False).eval(), build().eval()
    for result, expected in zip(
        head(features(2), [detections([2, 1])]),
        plain(features(2), [detections([2, 1])]),
        strict=True,
    ):
        assert torch.equal(result.pred_keypoints, expected.pred_keypoints)


@torch.no_grad()
@pytest.mark.parametrize("share", [True, False])
def test_it_is_a_linear_function_of_the_features_where_the_heatmap_lies(share):
    """Region by region, landmark by landmark and cell by cell."""
    head = build(share=share).eval()
    inputs, classes = features(4), [1, 2, 0, 1]
    (result,) = head(inputs, [detections(classes)])
    names = list(dict.fromkeys(name for row in NAMES for name in row))
    predictor = head.visibility
    for region, class_index in enumerate(classes):
        trunk = head.conv_fcn1(inputs[region : region + 1]).relu()
        lowres = head.branches[class_index](trunk, head._shared(class_index))[0]
        for k, name in enumerate(NAMES[class_index]):
            slot = sum(COUNTS[:class_index]) + k
            weight = predictor.weight[slot]
            if share:
                weight = weight + predictor.shared_weight[names.index(name)]
            total = lowres[k].double().exp().sum()
            logit = predictor.bias[slot].double()
            for y in range(28):
                for x in range(28):
                    share_of_cell = lowres[k, y, x].double().exp() / total
                    evidence = (weight * inputs[region, :, y // 2, x // 2]).sum()
                    logit = logit + share_of_cell * evidence
            assert result.pred_visibility[region, k].item() == pytest.approx(
                logit.sigmoid().item(), abs=1e-5
            )


def test_loss_is_the_cross_entropy_over_labelled_landmarks():
    """v = 2 is visible, v = 1 occluded; unlabelled landmarks and those outside do not count."""
    head = build(trained=False)
    with torch.no_grad():
        head.visibility.bias[0], head.visibility.bias[1] = 2.0, -1.0
    instances = proposals([0])
    instances.gt_keypoints.tensor[0, :3] = torch.tensor(
        [[50.0, 50.0, 2.0], [50.0, 50.0, 1.0], [95.0, 50.0, 2.0]]
    )
    loss = head(features(1), [instances])["loss_visibility"]
    # log(1 + e^-2) and log(1 + e^-1)
    assert loss.item() == pytest.approx((0.1269280 + 0.3132617) / 2, abs=1e-6)


def test_only_labelled_landmarks_and_their_names_are_taught():
    head = build()
    instances = proposals([1])
    instances.gt_keypoints.tensor[0, :, 2] = 0
    instances.gt_keypoints.tensor[0, 3] = torch.tensor([50.0, 60.0, 1.0])
    x = features(1).requires_grad_()
    head(x, [instances])["loss_visibility"].backward()
    predictor = head.visibility
    slots = [slot for slot, bias in enumerate(predictor.bias.grad) if bias != 0]
    assert slots == [COUNTS[0] + 3]
    assert predictor.weight.grad.abs().sum(dim=1).nonzero()[:, 0].tolist() == slots
    # in order of appearance: collar, left, right, waist, hem, cuff
    assert predictor.shared_weight.grad.abs().sum(dim=1).nonzero()[:, 0].tolist() == [4]
    assert x.grad is None
    others = [p.grad for k, p in head.named_parameters() if not k.startswith("visibility.")]
    assert all(gradient is None for gradient in others)


@pytest.mark.parametrize("classes", [[], [0], [1, 1]])
@pytest.mark.parametrize("labelled", [True, False])
def test_every_parameter_has_a_gradient_whatever_the_batch_holds(classes, labelled):
    """Else DistributedDataParallel stalls."""
    head = build()
    instances = proposals(classes)
    if not labelled:
        instances.gt_keypoints.tensor.zero_()
    losses = head(features(len(classes)), [instances])
    sum(losses.values()).backward()
    assert all(torch.isfinite(p.grad).all() for p in head.parameters())
    if not labelled or not classes:
        assert losses["loss_visibility"].item() == 0


def test_rescoring_keeps_visibility_with_its_detection():
    options = {"confidence_power": 2.0, "suppress_across_categories": True}
    classes = [0, 2, 1, 2, 1, 0]
    with torch.no_grad():
        (plain,) = build().eval()(features(6), [detections(classes)])
        (rescored,) = build(**options).eval()(features(6), [detections(classes)])
    order = [
        (plain.pred_boxes.tensor == box).all(dim=1).nonzero().item()
        for box in rescored.pred_boxes.tensor
    ]
    assert order != sorted(order)
    assert torch.equal(rescored.pred_visibility, plain.pred_visibility[order])


def test_in_mixed_precision_the_loss_is_float32():
    head = build()
    with torch.autocast("cpu", torch.bfloat16):
        loss = head(features(3), [proposals([0, 1, 1])])["loss_visibility"]
    expected = head(features(3), [proposals([0, 1, 1])])["loss_visibility"]
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected.item(), rel=0.02)


def test_loss_functions_of_nothing_are_zero_and_connected():
    logits = torch.zeros(0, requires_grad=True)
    probability_loss(logits, torch.zeros(0, dtype=torch.bool)).backward()
    assert logits.grad.shape == (0,)
    maps = torch.zeros(0, 4, 4, requires_grad=True)
    assert landmark_loss(maps, torch.zeros(0, dtype=torch.int64)).item() == 0


def test_occluded_landmarks_of_drawn_pictures_are_learned_by_heart(tiny_datasets):
    """From the files to `pred_visibility`: v is not lost or turned round on the way."""
    data = tiny_datasets / "deepfashion2_synthetic"
    head = "MODEL.ROI_LANDMARK_HEAD."
    cfg = tiny_config(
        *("INPUT.RANDOM_FLIP", "none", "MODEL.MASK_ON", False),
        *(f"{head}CONFIDENCE_POWER", 0.0, f"{head}SUPPRESS_ACROSS_CATEGORIES", False),
    )
    mapper = LandmarkDatasetMapper(
        cfg, is_train=True, augmentations=build_augmentation(cfg, is_train=False), use_masks=False
    )
    records = load_landmark_json(data / "annotations" / "train.json", data / "train" / "image")
    batch = [example for example in map(mapper, records) if len(example["instances"])]
    torch.manual_seed(0)
    model = Trainer.build_model(cfg).eval()
    keypoint_head = model.roi_heads.keypoint_head
    optimizer = torch.optim.AdamW(keypoint_head.visibility.parameters(), lr=0.05)
    with torch.no_grad():
        images = model.preprocess_image(batch)
        maps = model.backbone(images.tensor)
        instances = [example["instances"] for example in batch]
        for x in instances:
            x.proposal_boxes = x.gt_boxes
        names = model.roi_heads.keypoint_in_features
        pooled = model.roi_heads.keypoint_pooler(
            [maps[name] for name in names], [x.gt_boxes for x in instances]
        )
    keypoint_head.train()
    for _ in range(30):
        loss = keypoint_head(pooled, instances)["loss_visibility"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        outputs = GivenBoxes(model.eval())(batch)
    probability = torch.cat([output["instances"].pred_visibility for output in outputs])
    visibility = torch.cat([x.gt_keypoints.tensor[..., 2] for x in instances])
    labelled = visibility > 0
    occluded = (visibility == 1)[labelled].numpy()
    assert 10 < occluded.sum() < len(occluded) / 2
    ap = average_precision(-probability[labelled].double().numpy(), occluded)
    assert ap > 0.9
