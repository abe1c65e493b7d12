"""What the landmark head sees: the box with its surroundings, and where in it a cell is."""

import math

import pytest
import torch
import torch.nn.functional as F
from detectron2.layers import ShapeSpec
from detectron2.structures import Boxes
from torch import nn

from df2_landmarks.common import UserError
from df2_landmarks.engine import Trainer, convert_checkpoint, load_for_evaluation
from df2_landmarks.engine.ground_truth_boxes import as_detections
from df2_landmarks.formats import RECORD_KEY, model_record
from df2_landmarks.modeling import LandmarkRCNNHead, enlarge_boxes, to_single_predictor
from df2_landmarks.taxonomy import DEEPFASHION2
from tests.modeling.regions import CHANNELS, COUNTS, detections, features, proposals
from tests.modeling.test_roi_heads import example
from tests.support import ROOT, tiny_config

SIGMAS = [[0.03 + 0.01 * k for k in range(count)] for count in COUNTS]
HEAD = "MODEL.ROI_LANDMARK_HEAD."


def build(**options):
    torch.manual_seed(0)
    return LandmarkRCNNHead(
        ShapeSpec(channels=CHANNELS, height=14, width=14),
        num_landmarks=COUNTS,
        conv_dims=[6, 6],
        sigmas=SIGMAS,
        **options,
    )


def test_a_region_has_the_centre_of_its_box():
    boxes = torch.tensor([[10.0, 20.0, 30.0, 60.0], [0.0, 0.0, 0.0, 0.0]])
    expected = torch.tensor([[5.0, 10.0, 35.0, 70.0], [0.0, 0.0, 0.0, 0.0]])
    assert torch.equal(enlarge_boxes(boxes, 1.5), expected)
    assert enlarge_boxes(boxes, 1.0) is boxes


@torch.no_grad()
@pytest.mark.parametrize("decoder", ["peak", "expected_oks"])
def test_landmarks_are_placed_in_the_region_and_boxes_stay(decoder):
    """Peaks near the border of the map lie outside the box."""
    head = build(box_scale=1.5, decoder=decoder).eval()
    logits = torch.zeros(1, COUNTS[0], 56, 56)
    logits[..., 28, 1] = 60
    # 80 x 40 px; the region is 120 x 60 px from (-10, 0)
    decoded = head.decode(logits, torch.tensor([[10.0, 10.0, 90.0, 50.0]]), 0)[0]
    assert decoded[:, 0].tolist() == pytest.approx([-10 + 1.5 * 120 / 56] * COUNTS[0], abs=1)
    assert decoded[:, 1].tolist() == pytest.approx([28.5 * 60 / 56] * COUNTS[0], abs=1)
    before = detections([0, 2]).pred_boxes.tensor
    (result,) = head(features(2), [detections([0, 2])])
    assert torch.equal(result.pred_boxes.tensor, before)


@torch.no_grad()
def test_confidence_is_the_expected_oks_for_the_area_of_the_box():
    """Not of the region: cell by cell, in pixels."""
    head = build(box_scale=1.5, decoder="expected_oks").eval()
    box = torch.tensor([[10.0, 10.0, 90.0, 50.0]])
    logits = torch.randn(1, COUNTS[2], 56, 56, generator=torch.Generator().manual_seed(3)) * 3
    places = (torch.arange(56) + 0.5) / 56
    for k, (x, y, confidence) in enumerate(head.decode(logits, box, 2)[0].tolist()):
        std = 2 * SIGMAS[2][k] * math.sqrt(80 * 40)
        squared = (y - places[:, None] * 60) ** 2 + (x + 10 - places * 120) ** 2
        probability = logits[0, k].flatten().softmax(0).view(56, 56)
        expected = (probability * (-squared / (2 * std**2)).exp()).sum()
        assert confidence == pytest.approx(expected.item(), abs=1e-5)


@pytest.mark.parametrize("target_width", [0.0, 0.25])
def test_a_landmark_beside_the_box_teaches_a_head_with_surroundings_only(target_width):
    instances = proposals([2])  # in a box from (10, 10) to (90, 80)
    instances.gt_keypoints.tensor[0, :2] = torch.tensor([[94.0, 50.0, 2.0], [50.0, 84.0, 1.0]])
    plain, wide = (build(box_scale=scale, target_width=target_width) for scale in (1.0, 1.2))
    assert plain(features(1), [instances])["loss_keypoint"] == 0
    loss = wide(features(1), [instances])["loss_keypoint"]
    loss.backward()
    assert loss > 1
    assert wide.conv_fcn1.weight.grad.any()


@torch.no_grad()
def test_surroundings_are_pooled_from_the_region_that_is_decoded():
    """A model with surroundings sees a box as one without sees the region."""
    options = (f"{HEAD}DECODER", "peak", f"{HEAD}CONFIDENCE_POWER", 0.0, "MODEL.MASK_ON", False)
    options += (f"{HEAD}SUPPRESS_ACROSS_CATEGORIES", False)
    batch = [example([0, 5]), example([12])]
    batch[0]["instances"].gt_boxes = Boxes(torch.tensor([[20.0, 30.0, 60.0, 60], [9, 9, 50, 90]]))
    results = []
    for scale in (1.25, 1.0):
        torch.manual_seed(0)
        model = Trainer.build_model(tiny_config(*options, f"{HEAD}BOX_SCALE", scale)).eval()
        maps = model.backbone(model.preprocess_image(batch).tensor)
        given = [as_detections(x["instances"]) for x in batch]
        for x in given:
            if scale == 1:
                x.pred_boxes = Boxes(enlarge_boxes(x.pred_boxes.tensor, 1.25))
        results.append(model.roi_heads.forward_with_given_boxes(maps, given))
    for with_surroundings, in_region in zip(*results, strict=True):
        assert torch.equal(with_surroundings.pred_keypoints, in_region.pred_keypoints)


def test_coordinates_are_further_inputs_of_the_first_convolution():
    head = build(coordinates=True)
    nn.init.normal_(head.coordinates.weight)
    inputs = features(3)
    x = torch.linspace(-1, 1, 14).expand(3, 1, 14, 14)
    weight = torch.cat((head.conv_fcn1.weight, head.coordinates.weight), dim=1)
    channels = torch.cat((inputs, x, x.transpose(2, 3)), dim=1)
    expected = F.conv2d(channels, weight, head.conv_fcn1.bias, padding=1).relu()
    expected = head.conv_fcn2(expected).relu()
    torch.testing.assert_close(head._trunk(inputs), expected, atol=1e-5, rtol=1e-4)


def test_coordinates_start_without_an_effect_and_learn():
    losses = []
    for coordinates in (False, True):
        head = build(coordinates=coordinates)
        losses.append(head(features(3), [proposals([1, 0, 2])])["loss_keypoint"])
    assert torch.equal(*losses)
    losses[1].backward()
    assert head.coordinates.weight.grad.abs().sum() > 0


def test_weights_without_coordinates_load():
    head = build(coordinates=True)
    nn.init.normal_(head.coordinates.weight)
    head.load_state_dict(build().state_dict())
    assert not head.coordinates.weight.any()


def test_coordinates_without_a_convolution_are_refused():
    with pytest.raises(UserError, match="COORDINATES needs a shared convolution"):
        LandmarkRCNNHead(
            ShapeSpec(channels=CHANNELS, height=14, width=14),
            num_landmarks=COUNTS,
            conv_dims=[],
            coordinates=True,
        )


def test_a_head_with_coordinates_is_no_stock_head():
    model = Trainer.build_model(tiny_config(f"{HEAD}COORDINATES", True))
    with pytest.raises(UserError, match="sees coordinates"):
        to_single_predictor(model.state_dict())


def test_a_file_of_a_head_with_surroundings_is_not_converted_to_a_stock_one(tmp_path):
    cfg = tiny_config(f"{HEAD}BOX_SCALE", 1.2)
    weights = Trainer.build_model(cfg).state_dict()
    record = model_record(cfg.dump(), DEEPFASHION2)
    torch.save({"model": weights, RECORD_KEY: record}, tmp_path / "model.pth")
    with pytest.raises(UserError, match=r"model\.pth: its head sees boxes enlarged by 1\.2"):
        convert_checkpoint(tmp_path / "model.pth", tmp_path / "stock.pth", to="single")
    assert not (tmp_path / "stock.pth").exists()


def test_a_model_with_other_surroundings_than_in_training_is_not_evaluated(tmp_path):
    cfg = tiny_config(f"{HEAD}BOX_SCALE", 1.0)
    trained, path = Trainer.build_model(cfg), tmp_path / "model.pth"
    record = model_record(cfg.dump(), DEEPFASHION2)
    torch.save({"model": trained.state_dict(), RECORD_KEY: record}, path)
    load_for_evaluation(trained, str(path))
    other = Trainer.build_model(tiny_config(f"{HEAD}BOX_SCALE", 1.2))
    with pytest.raises(UserError, match=r"with \S+BOX_SCALE 1\.0, but the model has 1\.2: set"):
        load_for_evaluation(other, str(path))


def test_other_categories_have_surroundings_and_coordinates_too():
    options = (f"{HEAD}BOX_SCALE", 1.2, f"{HEAD}COORDINATES", True, "MODEL.MASK_ON", False)
    file = ROOT / "docs/examples/coco_person.yaml"
    cfg = tiny_config(*options, f"{HEAD}TAXONOMY", file)
    head = Trainer.build_model(cfg).roi_heads.keypoint_head
    assert head.coordinates is not None
    assert len(head.branches) == 1
    assert head.sigmas.shape[1] == head.num_landmarks[0]


@torch.no_grad()
def test_the_second_look_is_into_the_box_of_the_first_landmarks():
    """Its landmarks are those of a model that is given that box; boxes stay, scores follow."""
    options = (f"{HEAD}SUPPRESS_ACROSS_CATEGORIES", False, "MODEL.MASK_ON", False)
    batch = [example([0, 5]), example([]), example([12])]
    batch[0]["instances"].gt_boxes = Boxes(torch.tensor([[20.0, 30.0, 60.0, 60], [9, 9, 50, 90]]))
    models = []
    for second_look in (False, True):
        torch.manual_seed(0)
        model = Trainer.build_model(tiny_config(*options, f"{HEAD}SECOND_LOOK", second_look))
        models.append(model.eval())
    model, looking_twice = (model.roi_heads.forward_with_given_boxes for model in models)
    maps = models[0].backbone(models[0].preprocess_image(batch).tensor)
    given = [as_detections(x["instances"]) for x in batch]
    first = model(maps, [as_detections(x["instances"]) for x in batch])
    boxes = [torch.zeros(0, 4)] * 3
    for image, x in enumerate(first):
        for row, class_index in enumerate(x.pred_classes):
            xy = x.pred_keypoints[row, : DEEPFASHION2.counts[class_index], :2]
            box = torch.cat((xy.min(dim=0).values, xy.max(dim=0).values))[None]
            boxes[image] = torch.cat((boxes[image], box))
        x.pred_boxes, x.scores = Boxes(boxes[image]), torch.ones(len(x))
    expected, actual = model(maps, first), looking_twice(maps, given)
    assert [len(x) for x in actual] == [2, 0, 1]
    for looked_twice, in_box, before in zip(actual, expected, batch, strict=True):
        for name in ("pred_keypoints", "pred_visibility", "scores"):
            assert torch.equal(looked_twice.get(name), in_box.get(name))
        kept = looked_twice.pred_boxes.tensor.sort(dim=0).values
        assert torch.equal(kept, before["instances"].gt_boxes.tensor.sort(dim=0).values)
