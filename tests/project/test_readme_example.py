"""The Python example of the documentation runs as it stands there."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from detectron2.modeling import build_model

import df2_landmarks.modeling  # noqa: F401  (registers the heads)
from df2_landmarks.engine import setup_config


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The code, in a folder with everything that it opens: an untrained model and a photo."""
    root = Path(__file__).resolve().parents[2]
    text = (root / "docs/how-to/predict.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL).group(1)
    config, weights = re.findall(r'"([^"]+\.(?:yaml|pth))"', code)
    (tmp_path / "projects").symlink_to(root / "projects")
    monkeypatch.chdir(tmp_path)
    Path(weights).parent.mkdir(parents=True)
    torch.manual_seed(0)
    torch.save({"model": build_model(setup_config(config)).state_dict()}, weights)
    cv2.imwrite("photo.jpg", np.full((96, 128, 3), 127, dtype=np.uint8))
    return code


def test_it_prints_garments_and_draws_them(example, capsys):
    exec(example.replace("0.4", "0.0"), {})  # an untrained model is sure of nothing
    printed = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"[a-z ]+ \(0\.\d\d\), box \[.+\]", printed[0])
    assert re.fullmatch(r"  \w+: -?\d+\.\d, -?\d+\.\d  \(0\.\d\d\)", printed[1])
    assert cv2.imread("drawn.jpg").shape == (96, 128, 3)
