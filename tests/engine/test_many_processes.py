"""Several processes, started by torchrun or as machines of their own, are one run."""

import contextlib
import datetime
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from detectron2.data import DatasetCatalog
from detectron2.utils.events import EventStorage
from torch.nn.parallel import DistributedDataParallel

from df2_landmarks.common import UserError
from df2_landmarks.data import LandmarkDatasetMapper
from df2_landmarks.engine import Trainer, argument_parser, launch, processes
from tests.support import (
    DEMO,
    ROOT,
    TINY,
    default_signals,
    registered,
    run_python,
    tiny_config,
)

TRAIN_NET = ("projects/df2_landmarks/train_net.py", "--num-gpus", "0", "--config-file", DEMO)
DATA = (
    *("DATASETS.TRAIN", "('deepfashion2_synthetic_train',)"),
    *("DATASETS.TEST", "('deepfashion2_synthetic_validation',)"),
    *("SOLVER.BASE_LR", "0.0001", "SEED", "3", "SOLVER.IMS_PER_BATCH", "4"),
)

pytestmark = pytest.mark.slow


def torchrun(num_processes, *flags):
    flags = ("--standalone", "--nproc-per-node", num_processes, *flags)
    return ("-m", "torch.distributed.run", *flags)


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


@pytest.fixture
def train_net(tiny_datasets):
    """Start `train_net.py` and give the child; flags, then keys and values."""
    children = []

    def start(*arguments, launcher=(), output, opts=()):
        command = [sys.executable, *launcher, *TRAIN_NET, *arguments]
        command += ["OUTPUT_DIR", output, *TINY, *DATA, *opts]
        child = subprocess.Popen(
            [str(word) for word in command],
            cwd=ROOT,
            env={**os.environ, "DETECTRON2_DATASETS": str(tiny_datasets), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=default_signals,
        )
        children.append(child)
        return child

    yield start
    for child in children:
        if child.poll() is None:
            child.kill()


def ended(child, *, exit_code=0, timeout=180):
    log, _ = child.communicate(timeout=timeout)
    assert child.returncode == exit_code, log[-3000:]
    return log


def wait_for(path, child):
    deadline = time.monotonic() + 120
    while not path.exists():
        assert child.poll() is None, child.communicate()[0][-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.1)


def losses(folder):
    lines = [json.loads(line) for line in (folder / "metrics.json").read_text().splitlines()]
    return {line["iteration"]: line["total_loss"] for line in lines if "total_loss" in line}


def processes_of(*, parent):
    """Ids of the processes that work for a child, without multiprocessing's resource tracker."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            command = (folder / "cmdline").read_text()
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent and fields[0] != "Z" and "resource_tracker" not in command:
                found.append(int(folder.name))
    return sorted(found)


def test_two_processes_train_and_score_as_one_does(train_net, tmp_path):
    """The batch is shared out; a seed gives the same losses again; each number of processes, also
    one that gives a process no image, gives the same results to the last digit."""
    opts = ("SOLVER.MAX_ITER", 20, "TEST.EVAL_PERIOD", 0)
    for name in ("a", "b"):
        child = train_net(launcher=torchrun(2), output=tmp_path / name, opts=opts)
        log = ended(child)
    assert "Starting training from iteration 0" in log
    assert losses(tmp_path / "a") == losses(tmp_path / "b")

    weights = ("MODEL.WEIGHTS", tmp_path / "a/model_final.pth")
    for kind in ((), ("--ground-truth-boxes",)):
        outputs = []
        for number in (1, 2, 3):  # of 4 images, the third of three processes has none
            output = tmp_path / f"{number}{''.join(kind)}"
            launcher = torchrun(number) if number > 1 else ()
            flags = ("--eval-only", *kind)
            ended(train_net(*flags, launcher=launcher, output=output, opts=weights))
            outputs.append(sorted(path for path in output.rglob("*.json")))
        names = [[path.name for path in files] for files in outputs]
        assert names[0] == names[1] == names[2]
        assert {"scores.json", "landmark_results.json"} <= set(names[0])
        for files in zip(*outputs, strict=True):
            contents = {path.read_bytes() for path in files}
            assert len(contents) == 1, files


def test_augmented_evaluation_in_two_processes_is_that_of_one(train_net, tmp_path):
    opts = ("TEST.AUG.ENABLED", True, "TEST.AUG.MIN_SIZES", "(96,)")
    ended(train_net(output=tmp_path / "model", opts=("SOLVER.MAX_ITER", 2)))
    opts += ("MODEL.WEIGHTS", tmp_path / "model/model_final.pth")
    ended(train_net("--eval-only", output=tmp_path / "1", opts=opts))
    ended(train_net("--eval-only", launcher=torchrun(2), output=tmp_path / "2", opts=opts))
    one, two = (json.loads((tmp_path / n / "scores.json").read_text()) for n in "12")
    assert one == two


def test_a_killed_process_ends_the_others_within_a_minute(train_net, tmp_path):
    opts = ("SOLVER.MAX_ITER", 4000, "SOLVER.CHECKPOINT_PERIOD", 5)
    child = train_net(launcher=torchrun(2), output=tmp_path, opts=opts)
    wait_for(tmp_path / "model_0000004.pth", child)
    killed = processes_of(parent=child.pid)[-1]
    os.kill(killed, signal.SIGKILL)
    started = time.monotonic()
    log = ended(child, exit_code=1)
    assert time.monotonic() - started < 60
    assert re.search(rf"Signal 9 \(SIGKILL\) received by PID {killed}", log)
    assert not processes_of(parent=child.pid)


def test_torchrun_restarts_a_training_from_its_last_checkpoint(train_net, tmp_path):
    opts = ("SOLVER.MAX_ITER", 40, "SOLVER.CHECKPOINT_PERIOD", 10, "SOLVER.CHECKPOINTS_KEPT", 2)
    child = train_net(launcher=torchrun(2, "--max-restarts", 1), output=tmp_path, opts=opts)
    wait_for(tmp_path / "model_0000009.pth", child)
    os.kill(processes_of(parent=child.pid)[-1], signal.SIGKILL)
    log = ended(child)
    starts = [int(n) for n in re.findall(r"Starting training from iteration (\d+)", log)]
    assert starts[0] == 0
    assert starts[1] in (10, 20, 30)
    assert {path.name for path in tmp_path.glob("model_*.pth")} == {
        "model_0000029.pth",
        "model_0000039.pth",
        "model_final.pth",
    }


def test_a_changed_number_of_processes_is_refused_with_the_remedy(train_net, tmp_path):
    """The recipe of 2 processes: with another number, batch and schedule would be others."""
    opts = ("SOLVER.MAX_ITER", 4, "SOLVER.REFERENCE_WORLD_SIZE", 2)
    ended(train_net(launcher=torchrun(2), output=tmp_path, opts=opts))
    log = ended(train_net("--resume", output=tmp_path, opts=opts), exit_code=1)
    assert "the training had 4 images in a batch (2 processes), now it has 2 (1)" in log
    assert "SOLVER.REFERENCE_WORLD_SIZE 0" in log
    opts += ("SOLVER.MAX_ITER", 6, "SOLVER.REFERENCE_WORLD_SIZE", 0)
    assert "1 processes go on with what 2 began" in ended(
        train_net("--resume", output=tmp_path, opts=opts)
    )


def machines(train_net, output, *flags, opts=()):
    url = f"tcp://127.0.0.1:{free_port()}"
    return [
        train_net(
            *("--num-machines", 2, "--machine-rank", rank, "--dist-url", url, *flags),
            output=output,
            opts=opts,
        )
        for rank in (0, 1)
    ]


def test_two_machines_are_one_training(train_net, tmp_path):
    first, second = machines(train_net, tmp_path, opts=("SOLVER.MAX_ITER", 2))
    ended(first)
    ended(second)
    assert (tmp_path / "model_final.pth").exists()
    assert (tmp_path / "log.txt.rank1").exists()  # of one training


@pytest.mark.parametrize("lost", [0, 1])
def test_both_machines_say_which_of_them_lost_a_process(train_net, tmp_path, lost):
    opts = ("SOLVER.MAX_ITER", 4000, "SOLVER.CHECKPOINT_PERIOD", 5)
    both = machines(train_net, tmp_path, opts=opts)
    wait_for(tmp_path / "model_0000004.pth", both[0])
    started = time.monotonic()
    os.kill(processes_of(parent=both[lost].pid)[-1], signal.SIGKILL)
    for number, child in enumerate(both):
        last_line = ended(child, exit_code=1).strip().splitlines()[-1]
        if number == lost or lost == 1:
            assert f"process 0 of machine {lost} was killed by SIGKILL" in last_line
        else:
            assert re.search("machine 0 (ended|was killed)|process 0 of machine 0", last_line)
        assert "--resume continues from the last checkpoint" in last_line
    assert time.monotonic() - started < 60


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--num-machines", 0), "--num-machines must be 1 or more, but got 0"),
        (
            ("--num-machines", 2, "--machine-rank", 2),
            "--machine-rank must be 0 to 1, the number of this machine among the "
            "--num-machines 2, but got 2",
        ),
        (("--machine-rank", -1), "--machine-rank must be 0 to 0"),
        (("--num-machines", 2), "--num-machines 2 needs --dist-url tcp://HOST"),
        (
            ("--num-machines", 2, "--dist-url", "tcp://127.0.0.1:99999"),
            "got tcp://127.0.0.1:99999",
        ),
        (
            ("--num-machines", 99, "--dist-url", "tcp://127.0.0.1:PORT", "--join-minutes", 0.02),
            "98 of the 99 machines have not come in 0.02 minutes: 1, 2, 3, 4, 5, ...",
        ),
        (
            (
                *("--num-machines", 2, "--machine-rank", 1, "--join-minutes", 0.02),
                *("--dist-url", "tcp://127.0.0.1:PORT"),
            ),
            "machine 1 has not reached machine 0 at 127.0.0.1:PORT in 0.02 minutes",
        ),
    ],
)
def test_wrong_machines_are_refused_in_one_line(tmp_path, flags, message):
    port = str(free_port())
    flags = [str(flag).replace("PORT", port) for flag in flags]
    done = run_python(*TRAIN_NET, *flags, "OUTPUT_DIR", tmp_path / "out")
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("train_net: ")]
    assert message.replace("PORT", port) in line
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_port_in_use_is_said(tmp_path):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        url = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        flags = ("--num-machines", 2, "--dist-url", url)
        done = run_python(*TRAIN_NET, *flags, "OUTPUT_DIR", tmp_path / "out")
    assert done.returncode == 1
    assert f"machine 0 cannot listen on {url[6:]}: is the port in use?" in done.stderr


def test_a_mistake_is_one_line_of_each_machine(train_net, tmp_path):
    opts = ("DATASETS.TRAIN", "('nowhere',)", "DATASETS.TEST", "()")
    for child in machines(train_net, tmp_path, opts=opts):
        log = ended(child, exit_code=1)
        (line,) = [line for line in log.splitlines() if line.startswith("train_net: ")]
        assert line.startswith("train_net: DATASETS.TRAIN: there is no data set 'nowhere'")
        assert "Traceback" not in log


def bug(args):
    _, _ = [1]


def test_a_bug_in_a_process_keeps_its_traceback(monkeypatch):
    """Although it is a ValueError, as a user's mistake is."""
    alone = types.SimpleNamespace(host="127.0.0.1", port=free_port())
    monkeypatch.setattr(processes, "_meet", lambda args: alone)
    monkeypatch.setattr(processes, "_child", bug_in_child)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    args = argument_parser().parse_args(["--num-gpus", "2"])
    with pytest.raises(mp.ProcessRaisedException, match=r"in bug\n[^$]*not enough values"):
        launch(bug, args)


def bug_in_child(local_rank, run, args, *_):
    run(args)


def test_machines_that_differ_are_refused(train_net, tmp_path):
    url = f"tcp://127.0.0.1:{free_port()}"
    flags = ("--dist-url", url, "--join-minutes", 1)
    first = train_net("--num-machines", 2, *flags, output=tmp_path)
    second = train_net("--num-machines", 3, "--machine-rank", 1, *flags, output=tmp_path)
    third = train_net("--num-machines", 3, "--machine-rank", 2, *flags, output=tmp_path)
    logs = [ended(child, exit_code=1) for child in (first, second, third)]
    assert any("was started with --num-machines" in log for log in logs)
    assert not (tmp_path / "model_final.pth").exists()


def test_options_of_machines_under_torchrun_are_refused(train_net, tmp_path):
    flags = ("--num-machines", 2)
    log = ended(train_net(*flags, launcher=torchrun(1), output=tmp_path), exit_code=1)
    assert "neither --num-machines nor --machine-rank" in log


@pytest.mark.parametrize(
    ("num_gpus", "message"),
    [
        (None, "torchrun has started 2 processes on this machine, which has 1 GPUs"),
        (1, "torchrun has started 2 processes on this machine, which has 1 GPUs"),
    ],
)
def test_more_processes_than_gpus_are_refused(monkeypatch, num_gpus, message):
    place = {"RANK": 0, "WORLD_SIZE": 2, "LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 2}
    for name, value in {**place, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    args = argument_parser().parse_args([] if num_gpus is None else ["--num-gpus", str(num_gpus)])
    with pytest.raises(UserError, match=message):
        launch(lambda args: pytest.fail("runs"), args)


def test_srun_without_torchrun_is_refused(tmp_path):
    done = run_python(*TRAIN_NET, "OUTPUT_DIR", tmp_path / "out", SLURM_STEP_NUM_TASKS="4")
    assert done.returncode == 1
    assert "srun has started 4 tasks" in done.stderr
    assert (ROOT / "docs/examples/train.slurm").exists()


def one_image_twice(datasets, num_images):
    """A tiny model, and a batch of one image as often as asked."""
    # all proposals count, so that none are drawn at random
    every = ("MODEL.RPN.BATCH_SIZE_PER_IMAGE", 10**6, "MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE", 10**5)
    cfg = tiny_config(*every, "INPUT.RANDOM_FLIP", "none", "SOLVER.BF16_ON_CPU", False)
    torch.manual_seed(0)
    model = Trainer.build_model(cfg)
    with registered(datasets, "validation") as name:
        record = DatasetCatalog.get(name)[0]
        example = LandmarkDatasetMapper(cfg, is_train=True)(record)
    return model, [example] * num_images


def gradients_of(model, batch):
    with EventStorage():
        sum(model(batch).values()).backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def exchange(rank, address, folder):
    timeout = datetime.timedelta(seconds=60)
    dist.init_process_group("gloo", init_method=address, rank=rank, world_size=2, timeout=timeout)
    model, batch = one_image_twice(Path(os.environ["DF2_TEST_DATASETS"]), 1)
    gradients = gradients_of(DistributedDataParallel(model, broadcast_buffers=False), batch)
    torch.save(gradients, f"{folder}/{rank}.pth")
    dist.barrier()
    os._exit(0)  # gloo's teardown may wait forever for a process that is gone already


def test_gradients_of_two_processes_are_those_of_the_whole_batch(
    tiny_datasets, run_in_two_processes, monkeypatch
):
    monkeypatch.setenv("DF2_TEST_DATASETS", str(tiny_datasets))
    first, second = run_in_two_processes(exchange)
    assert torch.equal(first, second)
    expected = gradients_of(*one_image_twice(tiny_datasets, 2))
    assert expected.abs().max() > 1e-3
    torch.testing.assert_close(first, expected, rtol=1e-3, atol=1e-5)
