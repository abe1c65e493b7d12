"""A training with a budget ends in time, annealed and saved."""

from types import SimpleNamespace

import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog

from df2_landmarks.data import register_landmark_dataset
from df2_landmarks.engine.setup import CONFIGS, setup_config
from df2_landmarks.engine.timed_training import _Annealing, train_within

TINY = [
    *("MODEL.FPN.OUT_CHANNELS", "16", "MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS", "[16]"),
    *("INPUT.MIN_SIZE_TRAIN", "(96,)", "DATALOADER.NUM_WORKERS", "0"),
    *("SOLVER.IMS_PER_BATCH", "2", "DATASETS.TRAIN", "('drawn_timed',)"),
]


@pytest.fixture
def config(tiny_datasets, tmp_path):
    data = tiny_datasets / "deepfashion2_synthetic"
    images = data / "train" / "image"
    register_landmark_dataset("drawn_timed", data / "annotations" / "train.json", images)

    def make(*options):
        path = CONFIGS / "df2_landmark_rcnn_R_18_FPN_demo.yaml"
        return setup_config(path, [*TINY, *options, "OUTPUT_DIR", str(tmp_path)], on_cpu=True)

    yield make
    DatasetCatalog.remove("drawn_timed")
    MetadataCatalog.pop("drawn_timed")


def test_the_budget_ends_the_training(config, tmp_path):
    run = train_within(config("SOLVER.MAX_ITER", "100000"), minutes=3 / 60)
    assert 0 < run.iterations < 1000
    assert run.minutes < 1
    assert (tmp_path / "model_final.pth").is_file()
    assert (tmp_path / "last_checkpoint").read_text() == "model_final.pth"


def test_the_number_of_iterations_ends_the_training(config):
    assert train_within(config("SOLVER.MAX_ITER", "2"), minutes=10).iterations == 2


def test_the_final_model_is_the_average_where_there_is_one(config, tmp_path):
    train_within(config("SOLVER.MAX_ITER", "2", "SOLVER.EMA_DECAY", "0.5"), minutes=10)
    saved = torch.load(tmp_path / "model_final.pth")
    assert saved["ema"]["num_updates"] == 2
    name = "roi_heads.box_predictor.cls_score.weight"
    assert not torch.equal(saved["model"][name], saved["ema"]["raw_weights"][name])


@pytest.mark.parametrize(
    ("iteration", "share_done", "expected"),
    [(0, 0.0, 0.1), (4, 0.0, 0.5), (50, 0.0, 1.0), (50, 0.5, 0.5), (50, 1.0, 0.0)],
)
def test_learning_rate_warms_up_and_falls_along_a_cosine(iteration, share_done, expected):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=3.0)
    optimizer.param_groups[0]["initial_lr"] = 2.0
    hook = _Annealing()
    solver = SimpleNamespace(SOLVER=SimpleNamespace(WARMUP_ITERS=10))
    hook.trainer = SimpleNamespace(
        iter=iteration, share_done=share_done, optimizer=optimizer, cfg=solver
    )
    hook.before_step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(2.0 * expected)
