"""Shared by all tests: the repository's root, and a tiny drawn data set."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support import ROOT, registered, run_python

os.environ.setdefault("OMP_NUM_THREADS", "2")


@pytest.fixture(scope="session")
def root() -> Path:
    """Root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def tiny_datasets(tmp_path_factory) -> Path:
    """A DETECTRON2_DATASETS folder with a drawn data set of 12 + 4 + 2 pictures, converted."""
    from converters.deepfashion2_to_coco import main as convert
    from df2_landmarks.synthetic import write_dataset

    datasets = tmp_path_factory.mktemp("datasets")
    data = datasets / "deepfashion2_synthetic"
    write_dataset(data, {"train": 12, "validation": 4, "test": 2}, size_px=160)
    assert convert(["--root", str(data)]) == 0
    return datasets


@pytest.fixture
def drawn_splits(tiny_datasets) -> Iterator[tuple[str, str, str]]:
    """Names of the registered splits of the drawn data set: train, validation, test."""
    with ExitStack() as stack:
        splits = ("train", "validation", "test")
        yield tuple(stack.enter_context(registered(tiny_datasets, split)) for split in splits)


@pytest.fixture(scope="session", name="run_python")
def _run_python():
    """`tests.support.run_python`."""
    return run_python


@pytest.fixture
def run_in_two_processes(tmp_path):
    """`run_in_two_processes(train)` calls train(rank, address, folder); -> folder/{rank}.pth."""
    import torch
    import torch.multiprocessing as mp

    def run(train, deadline_s=120):
        arguments = (f"file://{tmp_path}/rendezvous", str(tmp_path))
        processes = mp.spawn(train, args=arguments, nprocs=2, join=False)
        deadline = time.monotonic() + deadline_s
        while not processes.join(timeout=1):
            if time.monotonic() > deadline:
                for process in processes.processes:
                    process.kill()
                pytest.fail(f"the training has not ended after {deadline_s} s")
        return [torch.load(tmp_path / f"{rank}.pth") for rank in (0, 1)]

    return run
