"""Training, evaluation and prediction on a GPU, where there is one."""

import copy
import json

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog
from detectron2.structures import Boxes, Instances, Keypoints

from df2_landmarks.engine import Trainer
from df2_landmarks.predict import Predictor
from df2_landmarks.taxonomy import DEEPFASHION2
from tests.support import tiny_config

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
DEVICE = "cuda"
SIZE = (96, 128)


@pytest.fixture
def exact(monkeypatch):
    """Convolutions in float32 proper, as on a CPU."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def config(splits, output, *opts):
    _, validation, _ = splits
    data = ["DATASETS.TRAIN", f"('{validation}',)", "DATASETS.TEST", f"('{validation}',)"]
    return tiny_config(*data, "OUTPUT_DIR", output, *opts, on_cpu=DEVICE == "cpu")


def trained(cfg, *, resume=False):
    trainer = Trainer(cfg)
    trainer.resume_or_load(resume=resume)
    trainer.train()
    return trainer


def losses(folder):
    lines = [json.loads(line) for line in (folder / "metrics.json").read_text().splitlines()]
    return [line["loss_keypoint"] for line in lines if "loss_keypoint" in line]


@pytest.mark.parametrize("mixed_precision", [False, True])
def test_a_gpu_trains_and_evaluates(drawn_splits, tmp_path, mixed_precision):
    options = ["SOLVER.AMP.ENABLED", mixed_precision, "SOLVER.MAX_ITER", 4]
    cfg = config(drawn_splits, tmp_path, *options, "SOLVER.EMA_DECAY", 0.9)
    trainer = trained(cfg)
    results = Trainer.test(cfg, trainer.model)
    assert set(results) >= {"bbox", "segm", "landmarks", "landmarks_visible"}
    assert losses(tmp_path)
    assert all(0 < loss < 100 for loss in losses(tmp_path))
    assert next(trainer.model.parameters()).device.type == DEVICE


def test_a_training_in_mixed_precision_is_resumed(drawn_splits, tmp_path):
    options = ["SOLVER.AMP.ENABLED", True, "SOLVER.EMA_DECAY", 0.9, "SOLVER.CHECKPOINT_PERIOD", 2]
    trained(config(drawn_splits, tmp_path, *options, "SOLVER.MAX_ITER", 2))
    trainer = trained(config(drawn_splits, tmp_path, *options, "SOLVER.MAX_ITER", 4), resume=True)
    assert trainer.start_iter == 2
    assert (tmp_path / "model_final.pth").exists()


def regions(num_regions):
    """Features and proposals of all categories in turn."""
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(num_regions, 2, generator=generator) * 30
    boxes_xyxy = torch.cat((corners, corners + 20 + corners), dim=1)
    proposals = Instances(SIZE)
    proposals.proposal_boxes = Boxes(boxes_xyxy)
    proposals.gt_classes = torch.arange(num_regions) % DEEPFASHION2.num_categories
    unit = torch.rand(num_regions, DEEPFASHION2.max_landmarks, 2, generator=generator)
    xy = boxes_xyxy[:, None, :2] + unit * (boxes_xyxy[:, None, 2:] - boxes_xyxy[:, None, :2])
    v = 2.0 * torch.as_tensor(DEEPFASHION2.own_landmarks.copy())[proposals.gt_classes]
    proposals.gt_keypoints = Keypoints(torch.cat((xy, v[..., None]), dim=2))
    return torch.rand(num_regions, 16, 14, 14, generator=generator), proposals


def test_losses_and_gradients_are_those_of_the_cpu(exact):
    torch.manual_seed(0)
    head = Trainer.build_model(tiny_config()).roi_heads.keypoint_head.train()
    features, proposals = regions(26)
    heads = [("cpu", head), (DEVICE, copy.deepcopy(head).to(DEVICE))]
    values, gradients = [], []
    for device, head_there in heads:
        found = head_there(features.to(device), [proposals.to(device)])
        sum(found.values()).backward()
        values.append({name: loss.item() for name, loss in found.items()})
        gradients.append(torch.cat([p.grad.flatten().cpu() for p in head_there.parameters()]))
    assert values[1] == pytest.approx(values[0], rel=1e-4)
    assert torch.allclose(*gradients, rtol=1e-3, atol=1e-5)


def test_landmarks_of_given_boxes_are_those_of_the_cpu(exact):
    torch.manual_seed(0)
    head = Trainer.build_model(tiny_config()).roi_heads.keypoint_head.eval()
    features, proposals = regions(26)
    with torch.no_grad():
        head.shared_predictor.weight *= 1000  # heatmaps with clear peaks
    landmarks = []
    for device in ("cpu", DEVICE):
        detections = Instances(SIZE)
        detections.pred_boxes = proposals.proposal_boxes.clone()
        detections.pred_classes = proposals.gt_classes
        detections.scores = torch.linspace(1, 0.5, len(proposals))
        with torch.no_grad():
            (found,) = head.to(device)(features.to(device), [detections.to(device)])
        found = found.to("cpu")
        by_place = found.pred_boxes.tensor[:, 0].argsort()
        landmarks.append(found.pred_keypoints[by_place])
    assert len(landmarks[0])
    torch.testing.assert_close(landmarks[1], landmarks[0], atol=0.02, rtol=0)


@pytest.mark.parametrize("half", [False, True])
def test_prediction_finds_what_the_cpu_finds(drawn_splits, tmp_path, exact, half):
    """After a short training, so that there is something to find."""
    options = ["SOLVER.MAX_ITER", 150, "SOLVER.WARMUP_ITERS", 30, "SOLVER.BASE_LR", 0.002]
    cfg = config(drawn_splits, tmp_path, *options, "TEST.EVAL_PERIOD", 0)
    trained(cfg)
    picture = DatasetCatalog.get(drawn_splits[1])[0]["file_name"]
    on_cpu, on_gpu = (
        Predictor.load(tmp_path, device=device, half=half, min_score=0.0)(picture)
        for device in ("cpu", DEVICE)
    )
    best = max(on_cpu, key=lambda garment: garment.score)
    same = [g for g in on_gpu if g.category == best.category]
    offsets = [np.abs(np.subtract(g.box_xyxy, best.box_xyxy)).max() for g in same]
    assert min(offsets) < (5 if half else 0.1), (best.score, offsets)
