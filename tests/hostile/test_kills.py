"""Killed at random moments, again and again in one folder: nothing half is left under a final name.

`make test-slow` kills each command 50 times; the tests twice.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image

from df2_landmarks.data import load_landmark_json
from df2_landmarks.engine import last_checkpoint
from df2_landmarks.formats import check_submission
from tests.support import DEMO, ROOT, TINY

KILLS = int(os.environ.get("KILLS", "2"))
SEED = int(os.environ.get("SEED", "0"))
SECONDS = 300

REWRITING = """
import sys, torch
from torch import nn
from df2_landmarks.engine import LandmarkCheckpointer
checkpointer = LandmarkCheckpointer(nn.Linear(2000, 2000), sys.argv[1], record={"config": ""})
checkpointer.start_run(new=False)
for iteration in range(40):
    checkpointer.save("model_final", iteration=iteration)
"""
LOADING = """
import sys
from df2_landmarks.data import load_landmark_json
assert len(list(load_landmark_json(sys.argv[1], sys.argv[2]))) == 12
"""


class Case(NamedTuple):
    """A command, and what has to hold whenever it was killed."""

    command: Callable[[Path, Path], Sequence[object]]  # of the data and the output
    check: Callable[[Path, Path], object]


def whole_json(path: Path) -> None:
    if path.exists():
        json.loads(path.read_text())


def whole_pictures(folder: Path) -> None:
    for path in folder.rglob("*.jpg"):
        Image.open(path).load()


def whole_checkpoint(output: Path) -> None:
    if (output / "model_final.pth").exists():
        assert last_checkpoint(output) == output / "model_final.pth"


def _train(data: Path, output: Path) -> Sequence[object]:
    return (
        *("projects/df2_landmarks/train_net.py", "--num-gpus", 0, "--resume"),
        *("--config-file", DEMO, *TINY, "OUTPUT_DIR", output, "SOLVER.MAX_ITER", 12),
        *("SOLVER.CHECKPOINT_PERIOD", 1, "DATASETS.TRAIN", f"('{data}',)", "DATASETS.TEST", "()"),
    )


CASES = {
    "convert": Case(
        lambda data, output: (
            *("-m", "converters.deepfashion2_to_coco", "--annos", data / "train/annos"),
            *("--images", data / "train/image", "--output", output / "train.json"),
        ),
        lambda data, output: whole_json(output / "train.json"),
    ),
    "draw": Case(
        lambda data, output: (
            *("datasets/make_synthetic.py", "--train", 30, "--validation", 2, "--test", 2),
            *("--size", 160, "--workers", 2, "--resume", "--output", output / "drawn"),
        ),
        lambda data, output: whole_pictures(output),
    ),
    "cache": Case(
        lambda data, output: ("-c", LOADING, data / "annotations/train.json", data),
        lambda data, output: load_landmark_json(data / "annotations/train.json", data)[11],
    ),
    "model_final.pth": Case(
        lambda data, output: ("-c", REWRITING, output),
        lambda data, output: whole_checkpoint(output),
    ),
    "pack": Case(
        lambda data, output: (
            *("-m", "df2_landmarks.cli.main", "submission", "pack", "--results"),
            *(data / "results.json", "--gt", data / "annotations/validation.json"),
            *("--output", output / "val.zip"),
        ),
        lambda data, output: (output / "val.zip").exists() and check_submission(output / "val.zip"),
    ),
    "subset": Case(
        lambda data, output: (
            *("-m", "converters.make_subset", data, output / f"subset-{time.time_ns()}"),
            *("--images", 3, "--copy", "--splits", "train"),
        ),
        lambda data, output: [
            whole_json(folder / "subset.json")
            or len(list((folder / "train/image").iterdir())) == 3
            or pytest.fail(f"{folder} is half a subset")
            for folder in output.iterdir()
            if not folder.name.startswith(".")
        ],
    ),
    "train": Case(_train, lambda data, output: None),
}


def start(command: Sequence[object]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a process and its children, and wait until the system knows none of them any more."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    deadline = time.monotonic() + 10
    with suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(process.pid, 0)
            time.sleep(0.01)


def run(command: Sequence[object]) -> float:
    """Run a command to its end; return its seconds."""
    started = time.perf_counter()
    process = start(command)
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err[-2000:]
    return time.perf_counter() - started


def with_results(data: Path) -> Path:
    """Add a results file to a drawn data set."""
    truth = json.loads((data / "annotations/validation.json").read_text())
    records = [
        {"image_id": item["image_id"], "category_id": item["category_id"], "score": 0.5}
        | {"keypoints": [min(value, 160) for value in item["keypoints"]]}
        for item in truth["annotations"]
    ]
    for record in records:
        record["keypoints"][2::3] = [min(v, 1) for v in record["keypoints"][2::3]]
    (data / "results.json").write_text(json.dumps(records))
    return data


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_command_that_is_killed_leaves_nothing_half(
    name: str, tiny_datasets: Path, tmp_path: Path
) -> None:
    command, check = CASES[name]
    data, output = with_results(tiny_datasets / "deepfashion2_synthetic"), tmp_path / "output"
    (tmp_path / "whole").mkdir()
    output.mkdir()
    seconds = run(command(data, tmp_path / "whole"))
    rng = random.Random(f"{SEED} {name}")
    kills = 0
    while kills < KILLS:
        if name == "cache":
            for cache in (data / "annotations/.cache").glob("train*"):
                cache.unlink()
        process = start(command(data, output))
        time.sleep(rng.uniform(0.1, 1.0) * seconds)
        if process.poll() is not None:
            assert process.returncode == 0, process.communicate()
            check(data, output)
            shutil.rmtree(output)  # it was faster: from the start, and earlier
            output.mkdir()
            seconds *= 0.9
            continue
        kill(process)
        kills += 1
        check(data, output)
    run(command(data, output))
    check(data, output)
    assert not [path for path in output.rglob("*.partial") if name != "subset"]


@pytest.mark.slow
def test_a_killed_prediction_loses_nothing_and_has_nothing_twice(tmp_path: Path) -> None:
    """With `--resume` each time, as long as kills hit, on 400 pictures and a model that is fast."""
    pictures, output = tmp_path / "in", tmp_path / "out"
    pictures.mkdir()
    for number in range(400):
        Image.new("RGB", (80 + number % 3, 60)).save(pictures / f"{number:03}.jpg")
    command = (
        *("-m", "tests.predict.fake_model", pictures, "--output", output),
        *("--resume", "--workers", 3),
    )
    rng = random.Random(f"{SEED} predict")
    kills = 0
    while kills < KILLS:
        process = start(command)
        time.sleep(rng.uniform(0.2, 1.0))
        if process.poll() is not None:
            assert process.returncode == 0, process.communicate()
            (output / "predictions.jsonl").unlink()  # it was faster: once more from the start
            continue
        kill(process)
        kills += 1
        names = predicted(output)
        assert len(names) == len(set(names))
    run(command)
    assert predicted(output) == sorted(map(str, pictures.iterdir()))
    drawn = [path for path in (output / "pictures").iterdir() if path.suffix == ".jpg"]
    assert sorted(path.name for path in drawn) == sorted(p.name for p in pictures.iterdir())
    whole_pictures(output)


def predicted(output: Path) -> list[str]:
    """The pictures that a prediction has a whole line for."""
    path = output / "predictions.jsonl"
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line)["file"] for line in lines if line.endswith(b"\n")]


@pytest.mark.slow
def test_two_writers_of_one_zip_leave_a_whole_one(tiny_datasets: Path, tmp_path: Path) -> None:
    data = with_results(tiny_datasets / "deepfashion2_synthetic")
    for _ in range(KILLS):
        writers = [start(CASES["pack"].command(data, tmp_path)) for _ in range(2)]
        for writer in writers:
            _, err = writer.communicate(timeout=SECONDS)
            assert writer.returncode == 0, err
        check_submission(tmp_path / "val.zip")
        assert [path.name for path in tmp_path.iterdir()] == ["val.zip"]
