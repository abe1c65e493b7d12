"""The model can learn, eight pictures by heart, from scratch; and what it knows comes out named."""

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from detectron2.utils.env import seed_all_rng

from converters.deepfashion2_to_coco import main as convert
from df2_landmarks.cli.export import main as export
from df2_landmarks.cli.predict import main as predict
from df2_landmarks.data import load_landmark_json
from df2_landmarks.engine import Trainer, load_for_evaluation, setup_config, train_within
from df2_landmarks.formats import garments_of_record
from df2_landmarks.synthetic import write_dataset
from tests.support import DEMO, registered

OPTIONS = [
    *("DATASETS.TRAIN", "('eight',)", "DATASETS.TEST", "('eight',)", "DATALOADER.NUM_WORKERS", "0"),
    *("INPUT.RANDOM_FLIP", "none", "INPUT.MIN_SIZE_TRAIN", "(128,)", "INPUT.MIN_SIZE_TEST", "128"),
    *("SOLVER.MAX_ITER", "160", "SOLVER.WARMUP_ITERS", "30", "SOLVER.BASE_LR", "0.002"),
]
MIN_SCORE = ("--min-score", "0.2")  # after so few iterations scores are low

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """The folder with the eight pictures, and the results of the model that has learned them."""
    folder = tmp_path_factory.mktemp("learned")
    data = folder / "deepfashion2_synthetic"
    write_dataset(data, {"train": 0, "validation": 8, "test": 0}, size_px=160)
    paths = ["--annos", data / "validation" / "annos", "--images", data / "validation" / "image"]
    assert convert([str(a) for a in (*paths, "--output", folder / "eight.json")]) == 0
    output = folder / "output"
    output.mkdir()
    cfg = setup_config(DEMO, ["OUTPUT_DIR", str(output), *OPTIONS], on_cpu=True)
    seed_all_rng(1)
    with (
        registered(folder, "validation", name="eight", json_file=folder / "eight.json"),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        train_within(cfg, minutes=20)
        model = Trainer.build_model(cfg)
        load_for_evaluation(model, str(output / "model_final.pth"))
        return folder, Trainer.test(cfg, model)


def test_eight_pictures_are_learned_by_heart(learned):
    _, results = learned
    assert results["landmarks"]["AP"] > 95
    assert results["landmarks_visible"]["AP"] > 95
    assert results["visibility"]["AP-occluded"] > 2 * results["visibility"]["share-occluded"]
    assert results["bbox"]["AP"] > 80


def test_an_exported_model_predicts_the_same_lines(learned, tmp_path):
    """Of pictures that it knows, from the command line to the file."""
    folder, _ = learned
    images = folder / "deepfashion2_synthetic" / "validation" / "image"
    exported = tmp_path / "model.onnx"
    assert export([str(folder / "output"), "--output", str(exported)]) == 0
    lines = []
    for weights in (folder / "output", exported):
        output = tmp_path / weights.name
        command = [str(images), "--weights", str(weights), "--output", f"{output}.predictions"]
        assert predict([*command, *MIN_SCORE, "--no-pictures"]) == 0
        text = Path(f"{output}.predictions", "predictions.jsonl").read_text()
        lines.append([json.loads(line) for line in text.splitlines()])
    assert sum(len(line["garments"]) for line in lines[0]) >= 8
    for a, b in zip(*lines, strict=True):
        assert [g["category"] for g in a["garments"]] == [g["category"] for g in b["garments"]]
        for garment, other in zip(a["garments"], b["garments"], strict=True):
            assert garment["score"] == pytest.approx(other["score"], abs=2e-4)
            assert garment["box_xyxy"] == pytest.approx(other["box_xyxy"], abs=0.06)
            for name, landmark in garment["landmarks"].items():
                distance = [landmark[axis] - other["landmarks"][name][axis] for axis in "xy"]
                assert np.hypot(*distance) < 0.5, name  # of two equal places, either


def test_a_drawn_garment_is_predicted_with_its_landmarks_where_they_were_drawn(learned, tmp_path):
    """From the file on disk to the line in predictions.jsonl, by name, in pixels of the picture."""
    folder, _ = learned
    images = folder / "deepfashion2_synthetic" / "validation" / "image"
    weights = ("--weights", str(folder / "output"))
    assert predict([str(images), *weights, *MIN_SCORE, "--output", str(tmp_path)]) == 0
    lines = (tmp_path / "predictions.jsonl").read_bytes().splitlines()
    found = {record["file"]: record["garments"] for record in map(json.loads, lines)}
    errors = []
    for record in load_landmark_json(folder / "eight.json", images):
        for garment in garments_of_record(record):
            same = [g for g in found[record["file_name"]] if g["category"] == garment.category]
            assert same, f"{record['file_name']}: no {garment.category}"
            side = np.sqrt(np.prod(garment.box_xyxy[2:] - garment.box_xyxy[:2]))
            for landmark in garment.landmarks:
                if landmark.visibility:
                    got = same[0]["landmarks"][landmark.name]
                    distance = np.hypot(got["x"] - landmark.x, got["y"] - landmark.y)
                    errors.append(distance / side)
    assert len(errors) > 100
    # A shift of one landmark along the outline would be some 0.1 of the garment's size.
    assert np.quantile(errors, 0.9) < 0.05
