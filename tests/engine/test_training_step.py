"""A batch in micro-batches gives the step of the whole batch; bfloat16 is for training only."""

from types import SimpleNamespace

import pytest
import torch
from detectron2.engine import SimpleTrainer
from detectron2.utils.events import EventStorage
from torch import nn

from df2_landmarks.common import UserError
from df2_landmarks.engine.setup import setup_config
from df2_landmarks.engine.trainer import Trainer
from df2_landmarks.engine.training.step import (
    check_accumulation,
    training_step,
    trains_in_bfloat16,
)
from tests.support import tiny_config


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
    """A replacement for the GradScaler of an AMPTrainer, which needs a GPU."""

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


def two_steps(*, num_parts=None, scaler=None):
    """Weights after two steps, the logged values, and the sizes of the model's batches."""
    torch.manual_seed(0)
    model = MeanLoss()
    batches = [[torch.randn(3) for _ in range(6)]] * 2
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    trainer = SimpleTrainer(model, batches, optimizer)
    if scaler:
        trainer.grad_scaler = scaler
    with EventStorage() as storage:
        for trainer.iter in range(2):  # the second step finds gradients of the first
            if num_parts is None:
                trainer.run_step()
            else:
                training_step(trainer, num_parts=num_parts)
        logged = {name: value for name, (value, _) in storage.latest().items()}
    return model.state_dict(), logged, model.batch_sizes


@pytest.mark.parametrize("num_parts", [1, 2, 3, 6])
def test_the_step_is_the_one_of_the_whole_batch(num_parts):
    expected, expected_logged, _ = two_steps()
    weights, logged, sizes = two_steps(num_parts=num_parts)
    torch.testing.assert_close(weights, expected)
    assert sizes == [6 // num_parts] * 2 * num_parts
    for name in ("loss_a", "loss_b", "total_loss"):
        assert logged[name] == pytest.approx(expected_logged[name])


@pytest.mark.filterwarnings("ignore:CUDA is not available")
def test_the_gradient_scaler_of_mixed_precision_scales_each_part_and_steps_once():
    expected, _, _ = two_steps()
    scaler = CountingScaler()
    weights, _, _ = two_steps(num_parts=3, scaler=scaler)
    assert scaler.calls == [*["scale"] * 3, "step", "update"] * 2
    torch.testing.assert_close(weights, expected)


@pytest.mark.parametrize("steps", [0, 3, 32])
def test_steps_that_do_not_divide_the_batch_are_refused(steps):
    cfg = setup_config(opts=["SOLVER.ACCUMULATE_STEPS", str(steps)], on_cpu=True)
    with pytest.raises(UserError, match=r"must divide .* 16 \(SOLVER.IMS_PER_BATCH 16 over 1 .*"):
        check_accumulation(cfg)


def test_steps_must_divide_the_share_of_a_process(monkeypatch):
    comm = SimpleNamespace(get_world_size=lambda: 8)
    monkeypatch.setattr("df2_landmarks.engine.training.step.comm", comm)
    check_accumulation(setup_config(opts=["SOLVER.ACCUMULATE_STEPS", "2"], on_cpu=True))
    with pytest.raises(UserError, match="process gets: 2 "):
        check_accumulation(setup_config(opts=["SOLVER.ACCUMULATE_STEPS", "4"], on_cpu=True))


class SeenDtypes(nn.Module):
    """A loss of a convolution, whose output's type is kept."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3)
        self.dtypes = []

    def forward(self, batch):
        output = self.convolution(torch.stack(batch))
        self.dtypes.append(output.dtype)
        return {"loss": output.float().square().mean()}


@pytest.mark.parametrize(("bfloat16", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_bfloat16_is_for_the_forward_pass_of_the_step_only(bfloat16, expected):
    torch.manual_seed(0)
    model = SeenDtypes()
    batch = [torch.randn(3, 8, 8) for _ in range(4)]
    trainer = SimpleTrainer(model, [batch], torch.optim.SGD(model.parameters(), lr=0.1))
    trainer.iter = 0
    with EventStorage():
        training_step(trainer, num_parts=2, bfloat16=bfloat16)
    model(batch)
    assert model.dtypes == [expected, expected, torch.float32]
    weight = model.convolution.weight
    assert weight.dtype == weight.grad.dtype == torch.float32


@pytest.mark.parametrize(
    ("asked_for", "native", "device", "expected"),
    [
        (True, True, "cpu", True),
        (True, False, "cpu", False),
        (False, True, "cpu", False),
        (True, True, "cuda", False),
    ],
)
def test_bfloat16_only_where_it_is_asked_for_and_native(
    monkeypatch, asked_for, native, device, expected
):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": native})
    opts = ["SOLVER.BF16_ON_CPU", str(asked_for)]
    assert trains_in_bfloat16(setup_config(opts=opts, on_cpu=device == "cpu")) is expected


@pytest.mark.parametrize(("native", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_training_runs_in_the_precision_of_the_processor(
    monkeypatch, native, expected, drawn_splits, tmp_path
):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": native})
    train, *_ = drawn_splits
    opts = ["DATASETS.TRAIN", f"('{train}',)", "DATASETS.TEST", "()", "OUTPUT_DIR", tmp_path]
    trainer = Trainer(tiny_config(*opts, "SOLVER.MAX_ITER", 1))
    dtypes = []
    trainer.model.backbone.register_forward_hook(
        lambda module, inputs, output: dtypes.append(output["p3"].dtype)
    )
    trainer.train()
    assert dtypes == [expected]
    weight = trainer.model.backbone.bottom_up.stem.conv1.weight
    assert weight.dtype == torch.float32
    assert weight.is_contiguous(memory_format=torch.channels_last) == native
