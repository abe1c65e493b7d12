"""Training and evaluation on a GPU, where there is one."""

import json

import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog

from df2_landmarks.data import register_landmark_dataset
from df2_landmarks.engine.setup import CONFIGS, setup_config
from df2_landmarks.engine.trainer import Trainer

TINY = [
    *("MODEL.FPN.OUT_CHANNELS", "16", "MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS", "[16]"),
    *("INPUT.MIN_SIZE_TRAIN", "(96,)", "INPUT.MIN_SIZE_TEST", "96", "DATALOADER.NUM_WORKERS", "0"),
    *("SOLVER.IMS_PER_BATCH", "2", "SOLVER.MAX_ITER", "4", "DATASETS.TRAIN", "('drawn_gpu',)"),
    *("DATASETS.TEST", "('drawn_gpu',)", "TEST.NUM_PICTURES", "0"),
]


@pytest.fixture
def drawn(tiny_datasets):
    data = tiny_datasets / "deepfashion2_synthetic"
    images = data / "validation" / "image"
    register_landmark_dataset("drawn_gpu", data / "annotations" / "validation.json", images)
    yield
    DatasetCatalog.remove("drawn_gpu")
    MetadataCatalog.pop("drawn_gpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.usefixtures("drawn")
@pytest.mark.parametrize("mixed_precision", [False, True])
def test_a_gpu_trains_and_evaluates(tmp_path, mixed_precision):
    path = CONFIGS / "df2_landmark_rcnn_R_18_FPN_demo.yaml"
    options = ["SOLVER.AMP.ENABLED", str(mixed_precision), "OUTPUT_DIR", str(tmp_path)]
    cfg = setup_config(path, [*TINY, *options], on_cpu=False)
    trainer = Trainer(cfg)
    trainer.resume_or_load(resume=False)
    trainer.train()
    results = Trainer.test(cfg, trainer.model)
    assert set(results) >= {"bbox", "segm", "landmarks", "landmarks_visible"}
    lines = [json.loads(line) for line in (tmp_path / "metrics.json").read_text().splitlines()]
    losses = [line["loss_keypoint"] for line in lines if "loss_keypoint" in line]
    assert losses
    assert all(0 < loss < 100 for loss in losses)
    assert next(trainer.model.parameters()).is_cuda
