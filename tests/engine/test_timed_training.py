"""A training with a budget ends in time, annealed and saved, and shows its progress."""

import io
import json
import resource
import sys
import time
from types import SimpleNamespace

import pytest
import torch
from detectron2.utils.events import EventStorage

from df2_landmarks.engine.timed_training import Progress, _Annealing, train_within
from tests.support import tiny_config


@pytest.fixture
def config(drawn_splits, tmp_path):
    data = ["DATASETS.TRAIN", f"('{drawn_splits[0]}',)", "OUTPUT_DIR", tmp_path]
    return lambda *opts: tiny_config(*data, *opts)


def test_the_budget_ends_the_training(config, tmp_path):
    run = train_within(config("SOLVER.MAX_ITER", "100000"), minutes=3 / 60)
    assert 0 < run.iterations < 1000
    assert run.minutes < 1
    assert (tmp_path / "model_final.pth").is_file()
    assert (tmp_path / "last_checkpoint").read_text() == "model_final.pth"


def test_the_number_of_iterations_ends_the_training(config):
    assert train_within(config("SOLVER.MAX_ITER", "2"), minutes=10).iterations == 2


def test_the_peak_memory_is_written_with_the_losses(config, tmp_path):
    train_within(config("SOLVER.MAX_ITER", "2"), minutes=10)
    last = json.loads((tmp_path / "metrics.json").read_text().splitlines()[-1])
    assert "total_loss" in last
    # of this process, whose Python with torch needs more than 100 MB
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    assert 100 < last["max_mem_mb"] <= peak


def test_the_final_model_is_the_average_where_there_is_one(config, tmp_path):
    train_within(config("SOLVER.MAX_ITER", "2", "SOLVER.EMA_DECAY", "0.5"), minutes=10)
    saved = torch.load(tmp_path / "model_final.pth")
    assert saved["ema"]["num_updates"] == 2
    name = "roi_heads.box_predictor.cls_score.weight"
    assert not torch.equal(saved["model"][name], saved["ema"]["raw_weights"][name])


@pytest.mark.parametrize(
    ("iteration", "share_done", "expected"),
    [(0, 0.0, 0.1), (4, 0.0, 0.5), (50, 0.0, 1.0), (50, 0.5, 0.5), (50, 1.0, 0.0)],
)
def test_learning_rate_warms_up_and_falls_along_a_cosine(iteration, share_done, expected):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=3.0)
    optimizer.param_groups[0]["initial_lr"] = 2.0
    hook = _Annealing()
    solver = SimpleNamespace(SOLVER=SimpleNamespace(WARMUP_ITERS=10))
    hook.trainer = SimpleNamespace(
        iter=iteration, share_done=share_done, optimizer=optimizer, cfg=solver
    )
    hook.before_step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(2.0 * expected)


def written(iterations, *, max_iter=100, deadline=float("inf")):
    """Write the progress of each iteration, half a second each."""
    progress = Progress(max_iter, deadline=deadline)
    with EventStorage(0) as storage:
        for _ in range(iterations):
            storage.put_scalars(total_loss=2.5, loss_keypoint=1.25, time=0.5)
            progress.write()
            storage.step()
    progress.close()


def test_time_left_is_that_of_the_iterations_to_come(capsys):
    written(40)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "  iteration 40/100  loss 2.50  landmarks 1.25  0.50 s/iteration  0:30 left"


def test_a_deadline_comes_before_the_last_iteration(capsys):
    written(1, max_iter=1000, deadline=time.perf_counter() + 9.5)
    assert capsys.readouterr().out.endswith("0:09 left\n")


def test_a_machine_that_is_slow_or_busy_is_told_of_once(capsys):
    written(60, max_iter=10**6, deadline=time.perf_counter() + 30)
    lines = capsys.readouterr().out.splitlines()
    (told,) = [line for line in lines if "slow or busy" in line]
    iterations = int(told.split("about ")[1].split()[0])
    assert 70 <= iterations <= 80  # 20, and 30 seconds of those that take half a second
    written(60, max_iter=10**6, deadline=time.perf_counter() + 300)
    written(60, max_iter=100)  # as many as were asked for
    assert "slow or busy" not in capsys.readouterr().out


def test_a_log_file_gets_a_line_for_each_twentieth(capsys):
    written(100)
    output = capsys.readouterr()
    assert len(output.out.splitlines()) == 21
    assert output.err == ""


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_a_bar_and_no_lines(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    written(40)
    assert "training" in terminal.getvalue() and "40/100" in terminal.getvalue()
    assert "loss 2.50  landmarks 1.25  0.50 s/iteration  0:30 left" in terminal.getvalue()
    assert capsys.readouterr().out == ""


def test_a_training_that_fails_at_once_writes_nothing(capsys):
    with EventStorage(0):
        Progress(10).write()
    assert capsys.readouterr().out == ""
