"""The model can learn: eight pictures by heart, from scratch."""

import contextlib
import io

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.utils.env import seed_all_rng

from converters.deepfashion2_to_coco import main as convert
from df2_landmarks.data import register_landmark_dataset
from df2_landmarks.engine.checkpoint import load_for_evaluation
from df2_landmarks.engine.setup import CONFIGS, setup_config
from df2_landmarks.engine.timed_training import train_within
from df2_landmarks.engine.trainer import Trainer
from df2_landmarks.synthetic import write_dataset

OPTIONS = [
    *("DATASETS.TRAIN", "('eight',)", "DATASETS.TEST", "('eight',)", "DATALOADER.NUM_WORKERS", "0"),
    *("INPUT.RANDOM_FLIP", "none", "INPUT.MIN_SIZE_TRAIN", "(128,)", "INPUT.MIN_SIZE_TEST", "128"),
    *("SOLVER.MAX_ITER", "160", "SOLVER.WARMUP_ITERS", "30", "SOLVER.BASE_LR", "0.002"),
]


@pytest.fixture
def eight_pictures(tmp_path):
    data = tmp_path / "data"
    write_dataset(data, {"train": 0, "validation": 8, "test": 0}, size_px=160)
    paths = ["--annos", data / "validation" / "annos", "--images", data / "validation" / "image"]
    assert convert([str(a) for a in (*paths, "--output", data / "eight.json")]) == 0
    register_landmark_dataset("eight", data / "eight.json", data / "validation" / "image")
    yield
    DatasetCatalog.remove("eight")
    MetadataCatalog.pop("eight")


@pytest.mark.slow
@pytest.mark.usefixtures("eight_pictures")
def test_eight_pictures_are_learned_by_heart(tmp_path):
    output = tmp_path / "output"
    output.mkdir()
    config = CONFIGS / "df2_landmark_rcnn_R_18_FPN_demo.yaml"
    cfg = setup_config(config, ["OUTPUT_DIR", str(output), *OPTIONS], on_cpu=True)
    seed_all_rng(1)
    with contextlib.redirect_stdout(io.StringIO()):
        train_within(cfg, minutes=20)
        model = Trainer.build_model(cfg)
        load_for_evaluation(model, str(output / "model_final.pth"))
        results = Trainer.test(cfg, model)
    assert results["landmarks"]["AP"] > 95
    assert results["landmarks_visible"]["AP"] > 95
    assert results["bbox"]["AP"] > 80
