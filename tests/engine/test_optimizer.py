"""The optimizer's groups."""

import detectron2.solver
import pytest
import torch
from torch import nn

from df2_landmarks.common import UserError
from df2_landmarks.engine import setup_config
from df2_landmarks.engine.training.optimizer import build_optimizer


def model_with_every_kind():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4), nn.Linear(4, 2))


def config(*opts):
    return setup_config(opts=[*opts], on_cpu=True)


@pytest.mark.parametrize(("name", "kind"), [("SGD", torch.optim.SGD), ("AdamW", torch.optim.AdamW)])
def test_optimizer_is_a_choice_of_two(name, kind):
    cfg = config("SOLVER.OPTIMIZER", name)
    assert isinstance(build_optimizer(cfg, model_with_every_kind()), kind)


def test_another_optimizer_is_refused():
    with pytest.raises(UserError, match='"SGD" or "AdamW", but got \'Adam\''):
        build_optimizer(config("SOLVER.OPTIMIZER", "Adam"), model_with_every_kind())


def test_parameters_of_one_kind_share_a_group():
    cfg = config("SOLVER.WEIGHT_DECAY", 1e-3, "SOLVER.WEIGHT_DECAY_NORM", 0.0)
    groups = build_optimizer(cfg, model_with_every_kind()).param_groups
    assert [(group["weight_decay"], len(group["params"])) for group in groups] == [
        (1e-3, 3),  # weights
        (1e-5, 4),  # biases, that of the normalization too
        (0.0, 1),  # its scale
    ]


@pytest.mark.parametrize("clip", [False, True])
def test_steps_are_those_of_detectron2s_optimizer(clip):
    cfg = config(
        *("SOLVER.WEIGHT_DECAY", 0.1, "SOLVER.WEIGHT_DECAY_NORM", 0.0, "SOLVER.BASE_LR", 0.5),
        *("SOLVER.BIAS_LR_FACTOR", 2.0, "SOLVER.CLIP_GRADIENTS.ENABLED", clip),
        *("SOLVER.CLIP_GRADIENTS.CLIP_VALUE", 0.01),
    )
    ends = []
    for build in (build_optimizer, detectron2.solver.build_optimizer):
        model = model_with_every_kind()
        optimizer = build(cfg, model)
        for step in range(3):
            torch.manual_seed(step)
            optimizer.zero_grad()
            model(torch.rand(8, 4)).square().sum().backward()
            optimizer.step()
        ends.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert torch.equal(*ends)
