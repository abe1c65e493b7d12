"""Shared by all tests: the repository's root, and a tiny drawn data set."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
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


@pytest.fixture(scope="session")
def run_python():
    """Run a program of the repository as a user does: `run_python("path.py", "--help")`."""

    def run(*arguments, cwd=ROOT, timeout=300, **environment):
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run
