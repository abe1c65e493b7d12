"""The optimizer, with parameters of one kind in one group."""

from __future__ import annotations

from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.solver import get_default_optimizer_params
from detectron2.solver.build import maybe_add_gradient_clipping
from torch import nn

from df2_landmarks.common import UserError


def build_optimizer(cfg: CfgNode, model: nn.Module) -> torch.optim.Optimizer:
    """Return SGD or AdamW.

    Detectron2 v0.5 makes a group of each tensor, and an optimizer steps through its groups one by
    one. Parameters with the same learning rate and weight decay share a group here.

    Args:
        cfg: frozen configuration.
        model: whose parameters are trained.

    Raises:
        UserError: SOLVER.OPTIMIZER is neither.
    """
    solver = cfg.SOLVER
    choices: dict[str, tuple[type[torch.optim.Optimizer], dict[str, Any]]] = {
        "SGD": (torch.optim.SGD, {"momentum": solver.MOMENTUM, "nesterov": solver.NESTEROV}),
        "AdamW": (torch.optim.AdamW, {"fused": True}),
    }
    if solver.OPTIMIZER not in choices:
        raise UserError(f'SOLVER.OPTIMIZER must be "SGD" or "AdamW", but got {solver.OPTIMIZER!r}')
    optimizer_class, options = choices[solver.OPTIMIZER]
    parameters = get_default_optimizer_params(
        model,
        base_lr=solver.BASE_LR,
        weight_decay=solver.WEIGHT_DECAY,
        weight_decay_norm=solver.WEIGHT_DECAY_NORM,
        bias_lr_factor=solver.BIAS_LR_FACTOR,
        weight_decay_bias=solver.WEIGHT_DECAY_BIAS,
    )
    return maybe_add_gradient_clipping(cfg, optimizer_class)(
        _merged(parameters), lr=solver.BASE_LR, weight_decay=solver.WEIGHT_DECAY, **options
    )


def _merged(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Merge groups that differ in their parameters only."""
    merged: dict[tuple[Any, ...], list[nn.Parameter]] = {}
    for group in groups:
        values = tuple(sorted((k, v) for k, v in group.items() if k != "params"))
        merged.setdefault(values, []).extend(group["params"])
    return [{"params": parameters, **dict(values)} for values, parameters in merged.items()]
