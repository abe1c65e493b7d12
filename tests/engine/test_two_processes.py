"""Two processes that split batches, average weights and stop early stay one training."""

import datetime
import os
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
from detectron2.engine import SimpleTrainer
from detectron2.utils.events import EventStorage
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from df2_landmarks.engine.checkpoint import LandmarkCheckpointer
from df2_landmarks.engine.evaluation_hook import EarlyStop, EvaluationHook
from df2_landmarks.engine.setup import setup_config
from df2_landmarks.engine.training.averaging import WeightAverage
from df2_landmarks.engine.training.step import training_step

LANDMARK_APS = (10.0, 30.0, 20.0, 25.0, 40.0)
"""Of the main process; the other ones get no results."""


class MeanLoss(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 1)

    def forward(self, batch):
        return {"loss": self.linear(torch.stack(batch)).square().mean()}


def batches(rank):
    generator = torch.Generator().manual_seed(rank)
    return [[torch.randn(3, generator=generator) for _ in range(4)] for _ in LANDMARK_APS]


def new_model():
    torch.manual_seed(0)
    return MeanLoss()


def hook(folder, model, rank):
    opts = ["SOLVER.EARLY_STOPPING.PATIENCE", "2", "TEST.EVAL_PERIOD", "1"]
    aps = iter(LANDMARK_APS)
    evaluation = EvaluationHook(
        setup_config(opts=opts, on_cpu=True),
        evaluate=lambda: {} if rank else {"landmarks": {"AP": next(aps)}},
        checkpointer=LandmarkCheckpointer(model, folder),
        with_pictures=False,
    )
    evaluation.trainer = SimpleNamespace(max_iter=100, start_iter=0)
    return evaluation


def train(rank, address, folder):
    timeout = datetime.timedelta(seconds=60)
    dist.init_process_group("gloo", init_method=address, rank=rank, world_size=2, timeout=timeout)
    model = new_model()
    parallel = DistributedDataParallel(model)
    average = WeightAverage(model, decay=0.5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    trainer = SimpleTrainer(parallel, batches(rank), optimizer)
    evaluation = hook(folder, model, rank)
    with EventStorage() as evaluation.trainer.storage:
        try:
            for trainer.iter in range(len(LANDMARK_APS)):
                evaluation.trainer.iter = trainer.iter
                training_step(trainer, num_parts=2)
                average.update()
                evaluation.after_step()
        except EarlyStop:
            states = {"raw": model.state_dict(), "average": average.model.state_dict()}
            torch.save({**states, "iter": trainer.iter}, f"{folder}/{rank}.pth")
    dist.barrier()
    os._exit(0)  # gloo's teardown may wait forever for a process that is gone already


@pytest.mark.slow
def test_both_stop_after_the_same_step_with_the_weights_of_the_whole_batch(
    tmp_path, run_in_two_processes
):
    first, second = run_in_two_processes(train)
    assert first["iter"] == second["iter"] == 3
    assert torch.load(tmp_path / "model_best.pth")["landmark_ap"] == 30.0
    for name in ("raw", "average"):
        torch.testing.assert_close(first[name], second[name], rtol=0, atol=0)

    alone = new_model()
    optimizer = torch.optim.SGD(alone.parameters(), lr=0.1)
    for first_half, second_half in list(zip(batches(0), batches(1), strict=True))[:4]:
        optimizer.zero_grad()
        alone(first_half + second_half)["loss"].backward()
        optimizer.step()
    torch.testing.assert_close(first["raw"], dict(alone.state_dict()))
