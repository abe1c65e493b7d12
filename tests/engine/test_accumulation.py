"""A batch in micro-batches gives the step of the whole batch."""

from types import SimpleNamespace

import pytest
import torch
from detectron2.engine import SimpleTrainer
from detectron2.utils.events import EventStorage
from df2_landmarks.engine.accumulation import accumulated_step, check_accumulation
from torch import nn

from df2_landmarks.engine.setup import setup_config


class MeanLoss(nn.Module):
    """Losses that are means over the images of a batch, as the RPN's."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 2)
        self.batch_sizes = []

    def forward(self, batch):
        self.batch_sizes.append(len(batch))
        a, b = self.linear(torch.stack(batch)).unbind(1)
        return {"loss_a": a.square().mean(), "loss_b": b.abs().mean()}


class CountingScaler:
    """Stands in for the GradScaler of an AMPTrainer, which needs a GPU."""

    def __init__(self):
        self.calls = []

    def scale(self, loss):
        self.calls.append("scale")
        return loss * 8

    def step(self, optimizer):
        self.calls.append("step")
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad /= 8
        optimizer.step()

    def update(self):
        self.calls.append("update")


def one_step(*, steps, scaler=None):
    """Weights after a step, logged values, and the sizes of the batches that the model saw."""
    torch.manual_seed(0)
    model = MeanLoss()
    batches = [[torch.randn(3) for _ in range(6)]] * 2
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    trainer = SimpleTrainer(model, batches, optimizer)
    if scaler:
        trainer.grad_scaler = scaler
    with EventStorage() as storage:
        for trainer.iter in range(2):  # the second step finds gradients of the first
            trainer.run_step() if steps == 1 else accumulated_step(trainer, steps)
        logged = {name: value for name, (value, _) in storage.latest().items()}
    return model.state_dict(), logged, model.batch_sizes


@pytest.mark.parametrize("steps", [2, 3, 6])
def test_the_step_is_the_one_of_the_whole_batch(steps):
    expected, expected_logged, _ = one_step(steps=1)
    weights, logged, sizes = one_step(steps=steps)
    torch.testing.assert_close(weights, expected)
    assert sizes == [6 // steps] * 2 * steps
    for name in ("loss_a", "loss_b", "total_loss"):
        assert logged[name] == pytest.approx(expected_logged[name])


@pytest.mark.filterwarnings("ignore:CUDA is not available")
def test_the_gradient_scaler_of_mixed_precision_scales_each_part_and_steps_once():
    expected, _, _ = one_step(steps=1)
    scaler = CountingScaler()
    weights, _, _ = one_step(steps=3, scaler=scaler)
    assert scaler.calls == [*["scale"] * 3, "step", "update"] * 2
    torch.testing.assert_close(weights, expected)


@pytest.mark.parametrize("steps", [0, 3, 32])
def test_steps_that_do_not_divide_the_batch_are_refused(steps):
    cfg = setup_config(opts=["SOLVER.ACCUMULATE_STEPS", str(steps)], on_cpu=True)
    with pytest.raises(ValueError, match=r"must divide .* 16 \(SOLVER.IMS_PER_BATCH 16 over 1 .*"):
        check_accumulation(cfg)


def test_steps_must_divide_the_share_of_a_process(monkeypatch):
    comm = SimpleNamespace(get_world_size=lambda: 8)
    monkeypatch.setattr("df2_landmarks.engine.accumulation.comm", comm)
    check_accumulation(setup_config(opts=["SOLVER.ACCUMULATE_STEPS", "2"], on_cpu=True))
    with pytest.raises(ValueError, match="process gets: 2 "):
        check_accumulation(setup_config(opts=["SOLVER.ACCUMULATE_STEPS", "4"], on_cpu=True))
