"""--eval-only leaves pictures of ground truth beside detections."""

import cv2
import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog

from df2_landmarks.common import UserError
from df2_landmarks.engine import Trainer, landmark_pictures, write_pictures
from df2_landmarks.engine.evaluation import pictures as pictures_module
from df2_landmarks.visualization import contact_sheet
from tests.support import DEMO, TINY, tiny_config


@pytest.fixture
def config(drawn_splits, tmp_path):
    here = ("DATASETS.TEST", f"('{drawn_splits[1]}',)", "OUTPUT_DIR", tmp_path)
    return lambda *opts: tiny_config(*here, *opts)


@pytest.fixture
def model(config):
    return Trainer.build_model(config())


def written(folder):
    return {path.name: path.read_bytes() for path in (folder / "pictures").iterdir()}


def test_pictures_show_ground_truth_and_are_the_same_bytes_again(config, model, tmp_path):
    cfg = config("TEST.NUM_PICTURES", 3)
    write_pictures(cfg, model)
    first = written(tmp_path)
    assert sorted(first) == ["1.jpg", "2.jpg", "3.jpg"]
    for number, pair in enumerate(landmark_pictures(cfg, model, 3), 1):
        sheet = cv2.imread(str(tmp_path / f"pictures/{number}.jpg"))
        expected = contact_sheet([pair], num_columns=1, tile_px=400)
        heading = sheet.shape[0] - 400
        assert sheet.shape == expected.shape
        difference = np.abs(sheet[heading:].astype(int) - expected[heading:])
        assert difference.mean() < 5  # of JPEG
    write_pictures(cfg, model)
    assert written(tmp_path) == first


def test_pictures_of_each_data_set_follow_each_other(config, model, drawn_splits, tmp_path):
    train, validation, _ = drawn_splits
    sheets = {}
    for names in ((train,), (validation,), (validation, train)):
        write_pictures(config("DATASETS.TEST", repr(names), "TEST.NUM_PICTURES", 2), model)
        sheets[names] = [content for _, content in sorted(written(tmp_path).items())]
    assert len(sheets[validation, train]) == 4
    assert sheets[validation, train] == sheets[validation,] + sheets[train,]


def test_no_more_pictures_than_images_and_none_if_none_are_wanted(
    config, model, drawn_splits, tmp_path
):
    write_pictures(config("TEST.NUM_PICTURES", 0), model)
    assert not (tmp_path / "pictures").exists()
    write_pictures(config("TEST.NUM_PICTURES", 99), model)
    assert len(written(tmp_path)) == len(DatasetCatalog.get(drawn_splits[1]))


def test_a_picture_that_cannot_be_written_ends_no_evaluation(config, model, monkeypatch, caplog):
    def full(*_, **__):
        raise UserError("the disk is full")

    monkeypatch.setattr(pictures_module, "atomic_write", full)
    write_pictures(config("TEST.NUM_PICTURES", 1), model)
    assert "the disk is full; going on without it" in caplog.text


@pytest.mark.parametrize("given", [False, True])
def test_the_command_writes_pictures_but_not_of_given_boxes(
    given, tiny_datasets, tmp_path, run_python
):
    model = Trainer.build_model(tiny_config())
    torch.save({"model": model.state_dict()}, tmp_path / "model_final.pth")
    (tmp_path / "last_checkpoint").write_text("model_final.pth")
    done = run_python(
        *("projects/df2_landmarks/train_net.py", "--eval-only", "--num-gpus", "0"),
        *(["--ground-truth-boxes"] if given else []),
        *("--config-file", DEMO, *TINY, "OUTPUT_DIR", tmp_path, "TEST.NUM_PICTURES", "2"),
        DETECTRON2_DATASETS=str(tiny_datasets),
    )
    assert done.returncode == 0, done.stderr
    names = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.jpg"))
    assert names == ([] if given else ["pictures/1.jpg", "pictures/2.jpg"])
    folder = tmp_path / "ground_truth_boxes" if given else tmp_path
    assert f'"weights": "{tmp_path}/model_final.pth"' in (folder / "scores.json").read_text()
