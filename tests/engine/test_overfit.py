"""The model can learn: eight pictures by heart, from scratch."""

import contextlib
import io

import pytest
from detectron2.utils.env import seed_all_rng

from converters.deepfashion2_to_coco import main as convert
from df2_landmarks.engine.checkpoint import load_for_evaluation
from df2_landmarks.engine.setup import setup_config
from df2_landmarks.engine.timed_training import train_within
from df2_landmarks.engine.trainer import Trainer
from df2_landmarks.synthetic import write_dataset
from tests.support import DEMO, registered

OPTIONS = [
    *("DATASETS.TRAIN", "('eight',)", "DATASETS.TEST", "('eight',)", "DATALOADER.NUM_WORKERS", "0"),
    *("INPUT.RANDOM_FLIP", "none", "INPUT.MIN_SIZE_TRAIN", "(128,)", "INPUT.MIN_SIZE_TEST", "128"),
    *("SOLVER.MAX_ITER", "160", "SOLVER.WARMUP_ITERS", "30", "SOLVER.BASE_LR", "0.002"),
]


@pytest.fixture
def eight_pictures(tmp_path):
    data = tmp_path / "deepfashion2_synthetic"
    write_dataset(data, {"train": 0, "validation": 8, "test": 0}, size_px=160)
    paths = ["--annos", data / "validation" / "annos", "--images", data / "validation" / "image"]
    assert convert([str(a) for a in (*paths, "--output", tmp_path / "eight.json")]) == 0
    with registered(tmp_path, "validation", name="eight", json_file=tmp_path / "eight.json"):
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("eight_pictures")
def test_eight_pictures_are_learned_by_heart(tmp_path):
    output = tmp_path / "output"
    output.mkdir()
    cfg = setup_config(DEMO, ["OUTPUT_DIR", str(output), *OPTIONS], on_cpu=True)
    seed_all_rng(1)
    with contextlib.redirect_stdout(io.StringIO()):
        train_within(cfg, minutes=20)
        model = Trainer.build_model(cfg)
        load_for_evaluation(model, str(output / "model_final.pth"))
        results = Trainer.test(cfg, model)
    assert results["landmarks"]["AP"] > 95
    assert results["landmarks_visible"]["AP"] > 95
    assert results["bbox"]["AP"] > 80
