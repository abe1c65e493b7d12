"""Exponential moving average of a model's weights."""

from __future__ import annotations

from typing import Any

import torch
from detectron2.engine import HookBase
from torch import nn
from torch.optim.swa_utils import AveragedModel

from df2_landmarks.common import UserError

TensorList = tuple[torch.Tensor, ...] | list[torch.Tensor]


class WeightAverage:
    """A second model whose parameters and floating-point buffers are a running average.

    The n-th update is ``average += (1 - d) * (raw - average)`` with
    ``d = min(decay, (1 + n) / (10 + n))``, so that the random start is soon forgotten (the rule of
    TensorFlow's ExponentialMovingAverage with ``num_updates``). The raw model is not changed.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """
        Args:
            model: the raw model, on its device.
            decay: weight of the past, such as 0.999.

        Raises:
            UserError: decay is not between 0 and 1.
        """
        if not 0 < decay < 1:
            raise UserError(f"SOLVER.EMA_DECAY must be 0 (off) or between 0 and 1, but got {decay}")
        self._raw = model
        self._decay = decay
        self._averaged = AveragedModel(model, multi_avg_fn=self._lerp, use_buffers=True)
        self.start()

    @property
    def model(self) -> nn.Module:
        """The averaged model."""
        return self._averaged.module

    @property
    def num_updates(self) -> int:
        """Updates since `start`."""
        return int(self._averaged.n_averaged) - 1

    def start(self) -> None:
        """Begin at the weights that the raw model has now."""
        self._averaged.n_averaged.zero_()
        self._averaged.update_parameters(self._raw)  # the first of an AveragedModel is a copy

    def update(self) -> None:
        """Take in the raw weights after a step of the optimizer."""
        self._averaged.update_parameters(self._raw)

    @torch.no_grad()
    def _lerp(self, average: TensorList, raw: TensorList, _: Any) -> None:
        if not average[0].is_floating_point():  # counters and indices
            torch._foreach_copy_(average, raw)
            return
        n = self.num_updates
        decay = min(self._decay, (1 + n) / (10 + n))
        torch._foreach_lerp_(average, raw, weight=1 - decay)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint needs beside the averaged model: the state of the training."""
        return {"raw_weights": self._raw.state_dict(), "num_updates": self.num_updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore from a checkpoint whose model, the average, the raw model has just loaded."""
        self.start()
        self._raw.load_state_dict(state["raw_weights"], strict=False)
        self._averaged.n_averaged.fill_(state["num_updates"] + 1)


class AverageWeights(HookBase):
    """A hook that updates a `WeightAverage` after each step; registered before its users."""

    def __init__(self, average: WeightAverage) -> None:
        self._average = average

    def before_train(self) -> None:
        if self._average.num_updates == 0:  # not resumed
            self._average.start()

    def after_step(self) -> None:
        self._average.update()
