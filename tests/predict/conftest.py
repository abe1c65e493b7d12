"""A tiny model in a file as a training writes it, and pictures of several sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support import tiny_config

NUM_DETECTIONS = 8


@pytest.fixture(scope="session")
def model_file(tmp_path_factory) -> Path:
    """Untrained, but with large weights behind the features, so that scores and places differ."""
    import torch
    from detectron2.modeling import build_model

    from df2_landmarks.engine.checkpoint import LandmarkCheckpointer
    from df2_landmarks.formats import model_record
    from df2_landmarks.taxonomy import DEEPFASHION2

    cfg = tiny_config("TEST.DETECTIONS_PER_IMAGE", NUM_DETECTIONS)
    torch.manual_seed(1)
    model = build_model(cfg)
    heads = model.roi_heads
    with torch.no_grad():
        heads.box_predictor.cls_score.weight *= 60
        heads.keypoint_head.shared_predictor.weight.normal_(std=2)
        heads.mask_head.predictor.weight.normal_()
    folder = tmp_path_factory.mktemp("output")
    LandmarkCheckpointer(model, str(folder), record=model_record(cfg.dump(), DEEPFASHION2)).save(
        "model_final"
    )
    return folder / "model_final.pth"


@pytest.fixture(scope="session")
def plain_file(model_file) -> Path:
    """The same weights as an older version saved them: without a record."""
    import torch

    path = model_file.with_name("plain.pth")
    torch.save({"model": torch.load(model_file)["model"]}, path)
    return path


@pytest.fixture(scope="session")
def predictor(model_file):
    """Of the tiny model, on the CPU; returns everything that it detects."""
    from df2_landmarks import Predictor

    return Predictor.load(model_file, device="cpu", min_score=0.0)


@pytest.fixture(scope="session")
def photos(tiny_datasets) -> list[np.ndarray]:
    """Drawn pictures, RGB, of several sizes."""
    folder = tiny_datasets / "deepfashion2_synthetic" / "train" / "image"
    pictures = []
    for index, path in enumerate(sorted(folder.iterdir())[:8]):
        with Image.open(path) as image:
            if index % 4 == 3:
                image = image.resize((300, 120))
            pictures.append(np.array(image.convert("RGB")))
    assert len({picture.shape for picture in pictures}) >= 3
    return pictures


@pytest.fixture(scope="session")
def onnx_file(model_file, tmp_path_factory) -> Path:
    """The tiny model, exported."""
    from df2_landmarks.export import export_model

    output = tmp_path_factory.mktemp("exported") / "model.onnx"
    export_model(model_file, output)
    return output


@pytest.fixture(scope="session")
def torchscript_file(model_file, tmp_path_factory) -> Path:
    """The tiny model, exported."""
    from df2_landmarks.export import export_model

    output = tmp_path_factory.mktemp("exported") / "model.ts"
    export_model(model_file, output, format_name="torchscript")
    return output
