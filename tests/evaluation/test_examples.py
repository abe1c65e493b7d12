"""The examples in the docstrings of the evaluation run as written."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.cases import make_ground_truth, write_json

MODULES = (
    *("oks", "score", "tables.scores", "tables.papers", "comparison", "mean_shape"),
    *("diagnosis.detection_errors", "diagnosis.cases", "diagnosis.confusion"),
    "diagnosis.calibration",
)


@pytest.mark.parametrize("name", [*MODULES, "diagnosis.diagnose"])
def test_the_examples_of_the_docstrings_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = make_ground_truth(np.random.default_rng(0), crowd=0, unlabelled=0)
    write_json(tmp_path / "validation.json", truth)
    perfect = [{**item, "score": 1} for item in truth["annotations"]]
    write_json(tmp_path / "landmark_results.json", perfect)
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(f"df2_landmarks.evaluation.{name}")
    tested = doctest.testmod(module)
    assert tested.attempted > 0 and tested.failed == 0
