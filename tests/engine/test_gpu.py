"""Training and evaluation on a GPU, where there is one."""

import json

import pytest
import torch

from df2_landmarks.engine.trainer import Trainer
from tests.support import tiny_config


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("mixed_precision", [False, True])
def test_a_gpu_trains_and_evaluates(drawn_splits, tmp_path, mixed_precision):
    _, validation, _ = drawn_splits
    data = ["DATASETS.TRAIN", f"('{validation}',)", "DATASETS.TEST", f"('{validation}',)"]
    options = ["SOLVER.AMP.ENABLED", mixed_precision, "OUTPUT_DIR", tmp_path]
    cfg = tiny_config(*data, *options, "SOLVER.MAX_ITER", 4, "SOLVER.EMA_DECAY", 0.9, on_cpu=False)
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
