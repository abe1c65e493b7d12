"""Exponential moving average of a model's weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from detectron2.engine import HookBase
from torch import nn


class WeightAverage:
    """A running average of all parameters and floating-point buffers of a model.

    The model trains on with its raw weights; `applied` lends it the average. Each update is
    ``average += (1 - d) * (raw - average)`` with ``d = min(decay, (1 + n) / (10 + n))`` at the
    n-th update, so that the random start is soon forgotten (the rule of TensorFlow's
    ExponentialMovingAverage with ``num_updates``).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """
        Args:
            model: on its device already; its tensors are followed, not replaced.
            decay: weight of the past, such as 0.999.

        Raises:
            ValueError: decay is not between 0 and 1.
        """
        if not 0 < decay < 1:
            raise ValueError(f"SOLVER.EMA_DECAY must be 0 (off) or between 0 and 1, got {decay}")
        named = chain(model.named_parameters(), model.named_buffers())
        self._raw = {name: t.detach() for name, t in named if t.is_floating_point()}
        self._average = {name: t.clone() for name, t in self._raw.items()}
        self._decay = decay
        self._applied = False
        self.num_updates = 0

    def start(self) -> None:
        """Begin at the weights that the model has now."""
        for name, tensor in self._raw.items():
            self._average[name].copy_(tensor)

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after one step of the optimizer."""
        assert not self._applied
        decay = min(self._decay, (1 + self.num_updates) / (10 + self.num_updates))
        torch._foreach_lerp_(
            list(self._average.values()), list(self._raw.values()), weight=1 - decay
        )
        self.num_updates += 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model holds the average inside, and its raw weights again afterwards."""
        assert not self._applied
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint holds beside the averaged model: where training goes on from."""
        assert self._applied, "a checkpoint holds the average as its model"
        return {"raw_weights": dict(self._average), "num_updates": self.num_updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore from a checkpoint whose average the model has just loaded."""
        self.start()
        for name, tensor in self._raw.items():
            tensor.copy_(state["raw_weights"][name])
        self.num_updates = state["num_updates"]

    def _swap(self) -> None:
        for name, tensor in self._raw.items():
            kept = tensor.clone()
            tensor.copy_(self._average[name])
            self._average[name].copy_(kept)
        self._applied = not self._applied


class AverageWeights(HookBase):
    """Updates a `WeightAverage` after each step; to be registered before what uses it."""

    def __init__(self, average: WeightAverage) -> None:
        self._average = average

    def before_train(self) -> None:
        if self._average.num_updates == 0:  # not resumed
            self._average.start()

    def after_step(self) -> None:
        self._average.update()
