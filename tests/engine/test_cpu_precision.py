"""bfloat16 on a CPU is for the forward pass in training only, and only where it was asked for."""

import pytest
import torch
from df2_landmarks.engine.cpu_precision import train_in_bfloat16
from torch import nn

from df2_landmarks.engine import trainer as trainer_module
from df2_landmarks.engine.setup import setup_config
from df2_landmarks.engine.trainer import Trainer


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Conv2d(3, 4, 3)


def test_training_runs_in_bfloat16_and_parameters_stay_float32(model):
    train_in_bfloat16(model)
    output = model.train()(torch.randn(2, 3, 8, 8))
    assert output.dtype == torch.bfloat16
    output.float().sum().backward()
    assert model.weight.dtype == model.weight.grad.dtype == torch.float32


def test_evaluation_is_unchanged(model):
    image = torch.randn(2, 3, 8, 8)
    before = model.eval()(image)
    train_in_bfloat16(model)
    torch.testing.assert_close(model(image), before)


@pytest.mark.parametrize(
    ("wanted", "able", "expected"), [(True, True, 1), (True, False, 0), (False, True, 0)]
)
def test_only_where_it_is_asked_for_and_native(monkeypatch, wanted, able, expected):
    changed = []
    monkeypatch.setattr(trainer_module, "has_bfloat16", lambda: able)
    monkeypatch.setattr(trainer_module, "train_in_bfloat16", changed.append)
    Trainer.build_model(setup_config(opts=["SOLVER.BF16_ON_CPU", str(wanted)], on_cpu=True))
    assert len(changed) == expected
