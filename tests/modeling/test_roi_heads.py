"""The whole model: training with gaps in the annotations, one forward pass at inference."""

import pytest
import torch
from detectron2.structures import Boxes, Instances, Keypoints, PolygonMasks
from detectron2.utils.events import EventStorage

from df2_landmarks.engine import Trainer
from tests.support import tiny_config

OPTIONS = {
    "BOX_SCALE": 1.2,
    "COORDINATES": True,
    "OKS_BRANCH": True,
    "SECOND_LOOK": True,
    "COVARIANCE": True,
}
ALL = [word for key, value in OPTIONS.items() for word in (f"MODEL.ROI_LANDMARK_HEAD.{key}", value)]


@pytest.fixture(scope="module", params=[(), ALL], ids=["plain", "all"])
def model(request):
    """Plain, and with everything that is off by default."""
    torch.manual_seed(0)
    return Trainer.build_model(tiny_config(*request.param))


def example(classes, polygons=True, labelled=True):
    instances = Instances((96, 128))
    count = len(classes)
    box = torch.tensor([[10.0, 10.0, 90.0, 90.0]])
    instances.gt_boxes = Boxes(box.repeat(count, 1))
    instances.gt_classes = torch.tensor(classes, dtype=torch.int64)
    square = [10.0, 10.0, 90.0, 10.0, 90.0, 90.0, 10.0, 90.0]
    instances.gt_masks = PolygonMasks([[square] if polygons else [] for _ in classes])
    landmarks = torch.full((count, 39, 3), 50.0)
    landmarks[..., 2] = 2 if labelled else 0
    instances.gt_keypoints = Keypoints(landmarks)
    image = torch.randint(0, 255, (3, 96, 128), dtype=torch.uint8)
    return {"image": image, "instances": instances, "height": 96, "width": 128}


def losses(model, batch):
    model.train()
    model.zero_grad()
    with EventStorage() as storage:
        result = model(batch)
        sum(result.values()).backward()
        logged = {name: value for name, (value, _) in storage.latest().items()}
    assert all(torch.isfinite(loss) for loss in result.values()), result
    assert all(value == value for value in logged.values()), logged
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    return {name: loss.item() for name, loss in result.items()}


def test_usual_batch(model):
    result = losses(model, [example([0, 5]), example([12])])
    assert result["loss_keypoint"] > 1
    assert result["loss_visibility"] == pytest.approx(0.6931, abs=1e-4)  # log 2: untrained
    assert result["loss_mask"] > 0.1


def test_batch_without_any_garment(model):
    result = losses(model, [example([]), example([])])
    assert result["loss_keypoint"] == result["loss_visibility"] == result["loss_mask"] == 0


def test_batch_with_an_empty_image(model):
    assert losses(model, [example([]), example([3])])["loss_keypoint"] > 1


def test_batch_with_nothing_labelled(model):
    result = losses(model, [example([2], labelled=False)])
    assert result["loss_keypoint"] == result["loss_visibility"] == 0
    assert result["loss_mask"] > 0.1


def test_garment_without_polygon_teaches_landmarks_but_no_mask(model):
    result = losses(model, [example([2], polygons=False)])
    assert result["loss_mask"] == 0
    assert result["loss_keypoint"] > 1


@torch.no_grad()
def test_one_forward_pass_gives_box_category_mask_and_landmarks(model):
    inputs = {"image": example([])["image"], "height": 192, "width": 256}
    (output,) = model.eval()([inputs])
    instances = output["instances"]
    assert len(instances) > 0
    fields = set(instances.get_fields())
    landmark_fields = {"pred_keypoints", "pred_visibility"}
    if model.roi_heads.keypoint_head.covariance:
        landmark_fields.add("pred_covariance")
    assert fields == {"pred_boxes", "scores", "pred_classes", "pred_masks", *landmark_fields}
    assert instances.pred_keypoints.shape == (len(instances), 39, 3)
    assert instances.pred_visibility.shape == (len(instances), 39)
    assert instances.pred_masks.shape == (len(instances), 192, 256)


@torch.no_grad()
def test_a_model_without_landmarks_detects():
    model = Trainer.build_model(tiny_config("MODEL.KEYPOINT_ON", False)).eval()
    (output,) = model([{"image": example([])["image"]}])
    assert not output["instances"].has("pred_keypoints")
