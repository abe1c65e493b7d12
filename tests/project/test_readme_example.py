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
from df2_landmarks.formats import RECORD_KEY, model_record
from df2_landmarks.taxonomy import DEEPFASHION2


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The code, in a folder with everything that it opens: an untrained model and a photo."""
    root = Path(__file__).resolve().parents[2]
    text = (root / "docs/how-to/predict.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL).group(1)
    (weights,) = re.findall(r'"([^"]+\.pth)"', code)
    monkeypatch.chdir(tmp_path)
    Path(weights).parent.mkdir(parents=True)
    torch.manual_seed(0)
    cfg = setup_config("df2_landmark_rcnn_lite0_FPN_demo.yaml", on_cpu=True)
    record = model_record(cfg.dump(), DEEPFASHION2)
    torch.save({"model": build_model(cfg).state_dict(), RECORD_KEY: record}, weights)
    cv2.imwrite("photo.jpg", np.full((96, 128, 3), 127, dtype=np.uint8))
    return code


def test_it_prints_garments(example, capsys):
    # An untrained model is sure of nothing.
    exec(example.replace('.pth")', '.pth", min_score=0.0)'), {})
    printed = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"[a-z ]+ \(0\.\d\d\), box \[.+\]", printed[0])
    assert re.fullmatch(r"  \w+: -?\d+\.\d, -?\d+\.\d  \(0\.\d\d\)", printed[1])
