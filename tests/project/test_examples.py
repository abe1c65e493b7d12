"""The examples in the docstrings run as written; the evaluation has a test of its own."""

from __future__ import annotations

import doctest
import importlib

import numpy as np
import pytest
from PIL import Image

from df2_landmarks import Predictor
from tests.evaluation.cases import make_ground_truth, write_json
from tests.predict.fake_model import FakeModel
from tests.project.test_structure import PACKAGES, SOURCES
from tests.support import ROOT


def runs_examples(text: str) -> bool:
    """Whether a source has examples that are not all skipped."""
    return any(">>> " in line and "+SKIP" not in line for line in text.splitlines())


MODULES = sorted(
    name
    for name, path in SOURCES.items()
    if name.startswith("df2_landmarks.")
    and not name.startswith("df2_landmarks.evaluation")
    and runs_examples((ROOT / path).read_text(encoding="utf-8"))
)


def test_the_public_rooms_have_examples():
    rooms = {name.split(".")[1] for name in MODULES}
    assert rooms >= {"common", "formats", "predict", "visualization"}
    assert not PACKAGES & set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_the_docstrings_run(name, tmp_path, monkeypatch):
    """Beside a ground truth, and a photo in which the model, an untrained one, finds a skirt."""
    truth = make_ground_truth(np.random.default_rng(0), crowd=0, unlabelled=0)
    write_json(tmp_path / "validation.json", truth)
    Image.fromarray(np.full((320, 336, 3), 90, np.uint8)).save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Predictor, "load", lambda *_, **__: Predictor(FakeModel()))
    tested = doctest.testmod(importlib.import_module(name))
    assert tested.attempted > 0 and tested.failed == 0
