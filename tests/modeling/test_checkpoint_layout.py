"""Stock checkpoints into the 13 heads and back."""

import logging

import pytest
import torch
from detectron2.layers import ShapeSpec
from detectron2.modeling.roi_heads.keypoint_head import KRCNNConvDeconvUpsampleHead
from detectron2.structures import Boxes, Instances, Keypoints
from torch import nn

from df2_landmarks.common import UserError
from df2_landmarks.engine.checkpoint import LandmarkCheckpointer, load_for_evaluation
from df2_landmarks.modeling import LandmarkRCNNHead
from df2_landmarks.modeling.checkpoint_layout import (
    HEAD,
    to_category_predictors,
    to_single_predictor,
)
from df2_landmarks.taxonomy import DEEPFASHION2

SHAPE = ShapeSpec(channels=8, height=14, width=14)


class Model(nn.Module):
    """A model of nothing but its landmark head, under the usual name."""

    def __init__(self, head):
        super().__init__()
        self.roi_heads = nn.Module()
        self.roi_heads.keypoint_head = head

    @property
    def head(self):
        return self.roi_heads.keypoint_head


def stock(seed=0, num_keypoints=DEEPFASHION2.num_slots):
    torch.manual_seed(seed)
    return Model(
        KRCNNConvDeconvUpsampleHead(
            SHAPE, num_keypoints=num_keypoints, conv_dims=[6], loss_normalizer="visible"
        )
    )


def ours(class_conv_dims=(), *, share=False, visibility=False):
    head = LandmarkRCNNHead(
        SHAPE,
        num_landmarks=DEEPFASHION2.counts,
        conv_dims=[6],
        class_conv_dims=class_conv_dims,
        shared_names=[c.landmark_names for c in DEEPFASHION2.categories] if share else None,
        visibility=visibility,
    )
    return Model(head)


def proposals(*, in_slots):
    """Two garments of each category; landmarks category-local, or in all slots."""
    generator = torch.Generator().manual_seed(1)
    count = 2 * DEEPFASHION2.num_categories
    instances = Instances((100, 100))
    instances.proposal_boxes = Boxes(torch.tensor([[10.0, 20.0, 90.0, 80.0]]).repeat(count, 1))
    instances.gt_classes = torch.arange(count) % DEEPFASHION2.num_categories
    width = DEEPFASHION2.num_slots if in_slots else DEEPFASHION2.max_landmarks
    landmarks = torch.zeros(count, width, 3)
    for row, class_index in enumerate(instances.gt_classes.tolist()):
        valid = torch.rand(DEEPFASHION2.counts[class_index], 3, generator=generator) * 80 + 10
        valid[:, 2] = (valid[:, 2] > 40) * 2  # some are not labelled
        start = DEEPFASHION2.offsets[class_index] if in_slots else 0
        landmarks[row, start : start + len(valid)] = valid
    instances.gt_keypoints = Keypoints(landmarks)
    return instances


def features():
    count = 2 * DEEPFASHION2.num_categories
    return torch.randn(count, 8, 14, 14, generator=torch.Generator().manual_seed(2))


def assert_same(actual, expected):
    assert actual.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.equal(actual[key], value), key


def test_there_and_back_is_the_same():
    given = stock().state_dict()
    assert_same(to_single_predictor(to_category_predictors(given)), given)
    weights = ours().state_dict()
    assert_same(to_category_predictors(to_single_predictor(weights)), weights)
    assert f"{HEAD}score_lowres.weight" in given  # the argument is not changed


def test_a_converted_model_computes_what_the_stock_one_does():
    given, converted = stock(), ours()
    converted.load_state_dict(to_category_predictors(given.state_dict()))
    inputs, instances = features(), proposals(in_slots=False)

    all_slots = given.head.layers(inputs)
    outputs = converted.head.class_outputs(inputs, instances.gt_classes)
    for class_index, rows, maps, *_ in outputs:
        expected = all_slots[rows][:, DEEPFASHION2.slots(class_index)]
        torch.testing.assert_close(maps, expected, atol=1e-5, rtol=1e-5)

    expected_loss = given.head(inputs, [proposals(in_slots=True)])["loss_keypoint"]
    loss = converted.head(inputs, [instances])["loss_keypoint"]
    torch.testing.assert_close(loss, expected_loss)
    expected_loss.backward()
    loss.backward()
    gradients = {HEAD + k: p.grad for k, p in given.head.named_parameters()}
    for key, gradient in to_category_predictors(gradients).items():
        actual = converted.get_parameter(key).grad
        torch.testing.assert_close(actual, gradient, atol=1e-6, rtol=1e-4)


def test_a_shared_predictor_is_merged_into_a_stock_head():
    own, merged = ours(share=True), stock()
    for branch in own.head.branches:
        nn.init.normal_(branch.score_lowres.weight)
        nn.init.normal_(branch.score_lowres.bias)
    nn.init.normal_(own.head.shared_predictor.bias)
    merged.load_state_dict(to_single_predictor(own.state_dict()))
    inputs, classes = features(), proposals(in_slots=False).gt_classes
    all_slots = merged.head.layers(inputs)
    for class_index, rows, maps, *_ in own.head.class_outputs(inputs, classes):
        expected = all_slots[rows][:, DEEPFASHION2.slots(class_index)]
        torch.testing.assert_close(maps, expected, atol=1e-4, rtol=1e-4)


def test_a_stock_file_into_heads_that_share_computes_the_same(tmp_path):
    given, model = stock(), ours(share=True)
    path = tmp_path / "stock.pth"
    torch.save({"model": given.state_dict()}, path)
    load_for_evaluation(model, str(path))
    for name in ("weight", "bias"):
        merged = to_single_predictor(model.state_dict())[f"{HEAD}score_lowres.{name}"]
        assert torch.equal(merged, given.state_dict()[f"{HEAD}score_lowres.{name}"])


def test_a_stock_file_is_evaluated_as_it_is(tmp_path, caplog):
    given, model = stock(), ours()
    path = tmp_path / "stock.pth"
    torch.save({"model": given.state_dict()}, path)
    with caplog.at_level(logging.INFO, logger="df2_landmarks"):
        load_for_evaluation(model, str(path))
    assert "stock.pth: the channels of its stock landmark head" in caplog.text
    assert_same(to_single_predictor(model.state_dict()), given.state_dict())


def test_a_stock_file_gives_a_model_with_class_convolutions_its_trunk_only(tmp_path):
    given, model = stock(), ours(class_conv_dims=[6])
    before = model.head.branches[3].score_lowres.weight.clone()
    path = tmp_path / "stock.pth"
    torch.save({"model": given.state_dict()}, path)
    LandmarkCheckpointer(model).load(str(path), checkpointables=[])
    assert torch.equal(model.head.conv_fcn1.weight, given.head.conv_fcn1.weight)
    assert torch.equal(model.head.branches[3].score_lowres.weight, before)


@pytest.mark.parametrize("trained", [{"share": True}, {"class_conv_dims": [6]}])
def test_a_head_with_more_than_the_model_s_is_not_evaluated(tmp_path, trained):
    """What the model lacks would be left out in silence, and its landmarks be others."""
    path = tmp_path / "trained.pth"
    torch.save({"model": ours(**trained).state_dict()}, path)
    model = ours()
    with pytest.raises(UserError, match=r"trained\.pth: its landmark head has \d+ tensors"):
        load_for_evaluation(model, str(path))
    LandmarkCheckpointer(model).load(str(path), checkpointables=[])  # a start for training


def test_weights_without_visibility_say_what_to_set_and_start_a_training(tmp_path):
    path = tmp_path / "older.pth"
    torch.save({"model": ours(share=True).state_dict()}, path)
    model = ours(share=True, visibility=True)
    with pytest.raises(UserError) as caught:
        load_for_evaluation(model, str(path))
    assert str(caught.value) == (
        f"{path}: was trained without MODEL.ROI_LANDMARK_HEAD.VISIBILITY: set "
        "MODEL.ROI_LANDMARK_HEAD.VISIBILITY False"
    )
    LandmarkCheckpointer(model).load(str(path), checkpointables=[])
    assert not model.head.visibility.weight.any()


def test_weights_with_visibility_are_evaluated_without_it(tmp_path):
    """Landmarks do not depend on it."""
    path = tmp_path / "trained.pth"
    given, model = ours(visibility=True), ours()
    torch.save({"model": given.state_dict()}, path)
    load_for_evaluation(model, str(path))
    assert torch.equal(
        model.head.branches[3].score_lowres.weight, given.head.branches[3].score_lowres.weight
    )


@pytest.mark.parametrize("share", [True, False])
def test_a_stock_head_gets_no_visibility(share):
    converted = to_single_predictor(ours(share=share, visibility=True).state_dict())
    stock().load_state_dict(converted)
    ours().load_state_dict(to_category_predictors(converted))


def test_what_cannot_be_converted():
    with pytest.raises(UserError, match=r"294 channels.*but it has 17"):
        to_category_predictors(stock(num_keypoints=17).state_dict())
    with pytest.raises(UserError, match=r"294 channels.*but there is none"):
        to_category_predictors(ours().state_dict())
    with pytest.raises(UserError, match="predictor for every category"):
        to_single_predictor(stock().state_dict())
    with pytest.raises(UserError, match=r"CLASS_CONV_DIMS.*cannot be merged"):
        to_single_predictor(ours(class_conv_dims=[6]).state_dict())


def test_the_tool_writes_files_that_load(tmp_path, run_python):
    tool = ("-m", "df2_landmarks.cli.training.convert_checkpoint")
    given = stock().state_dict()
    first, second, third = (tmp_path / f"{i}.pth" for i in range(3))
    torch.save({"model": given, "optimizer": {"lr": 1.0}, "iteration": 7}, first)
    done = run_python(*tool, first, second, "--to", "per-category")
    assert done.returncode == 0, done.stderr
    load_for_evaluation(ours(), str(second))
    assert run_python(*tool, second, third, "--to", "single").returncode == 0
    written = torch.load(third, weights_only=True)
    assert written.keys() == {"model"}
    assert_same(written["model"], given)

    failed = run_python(*tool, first, second, "--to", "single")
    assert failed.returncode == 1
    assert failed.stderr.startswith(
        f"df2 convert-checkpoint: {first}: needs a head with a predictor"
    )
    assert len(failed.stderr.splitlines()) == 1


def test_trunk_of_a_stock_coco_keypoint_rcnn_loads(tmp_path):
    """COCO Keypoint R-CNN: one class, 17 keypoints."""
    from detectron2.config import get_cfg
    from detectron2.modeling import build_model

    from df2_landmarks.engine import setup_config

    stock_cfg = get_cfg()
    stock_cfg.merge_from_list(
        ["MODEL.DEVICE", "cpu", "MODEL.KEYPOINT_ON", True, "MODEL.MASK_ON", False]
        + ["MODEL.BACKBONE.NAME", "build_resnet_fpn_backbone"]
        + ["MODEL.RESNETS.OUT_FEATURES", ["res2", "res3", "res4", "res5"]]
        + ["MODEL.FPN.IN_FEATURES", ["res2", "res3", "res4", "res5"]]
        + ["MODEL.RPN.IN_FEATURES", ["p2", "p3", "p4", "p5", "p6"]]
        + ["MODEL.ANCHOR_GENERATOR.SIZES", [[32], [64], [128], [256], [512]]]
        + ["MODEL.ROI_HEADS.NAME", "StandardROIHeads", "MODEL.ROI_HEADS.NUM_CLASSES", 1]
        + ["MODEL.ROI_HEADS.IN_FEATURES", ["p2", "p3", "p4", "p5"]]
        + ["MODEL.ROI_BOX_HEAD.NAME", "FastRCNNConvFCHead", "MODEL.ROI_BOX_HEAD.NUM_FC", 2]
        + ["MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION", 7]
    )
    stock = build_model(stock_cfg)
    path = tmp_path / "coco.pth"
    torch.save({"model": stock.state_dict()}, path)
    ours = build_model(setup_config(on_cpu=True))
    LandmarkCheckpointer(ours).load(str(path), checkpointables=[])
    loaded, given = ours.state_dict(), stock.state_dict()
    trunk = [k for k in given if "keypoint_head.conv_fcn" in k]
    assert len(trunk) == 16
    for key in [*trunk, "backbone.bottom_up.res5.2.conv3.weight", "roi_heads.box_head.fc1.weight"]:
        torch.testing.assert_close(loaded[key], given[key])
