"""A training that cannot go on ends with a line that says why, and never waits for ever."""

from __future__ import annotations

import time
from collections import namedtuple

import pytest
import torch
from detectron2.utils.events import EventStorage
from torch.utils.data import DataLoader

from df2_landmarks.common import UserError
from df2_landmarks.engine import setup
from df2_landmarks.engine.setup import check_shared_memory
from df2_landmarks.engine.trainer import Trainer
from df2_landmarks.engine.training import step
from df2_landmarks.engine.training.step import WatchedLoader
from tests.support import tiny_config

Usage = namedtuple("Usage", "total used free")


def test_a_loss_that_is_not_finite_names_iteration_images_losses_and_remedies(
    drawn_splits, tmp_path
):
    train = drawn_splits[0]
    options = ("DATASETS.TRAIN", (train,), "DATASETS.TEST", (), "OUTPUT_DIR", tmp_path)
    trainer = Trainer(tiny_config(*options, "DATALOADER.NUM_WORKERS", 0))
    trainer.resume_or_load(resume=False)
    trainer.iter = 7
    with torch.no_grad():
        for parameter in trainer.model.roi_heads.keypoint_head.parameters():
            parameter.fill_(torch.nan)
    message = r"iteration 7: .*loss_keypoint.*nan.*images: .*\.jpg.*SOLVER\.BASE_LR.*no checkpoint"
    with EventStorage(7), pytest.raises(UserError, match=message):
        trainer.run_step()


class Hanging(torch.utils.data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        time.sleep(60)


def test_a_loader_that_gives_nothing_ends_the_training(monkeypatch):
    monkeypatch.setattr(step, "LOADER_SECONDS", 1.0)
    loader = WatchedLoader(DataLoader(Hanging(), num_workers=1))
    with pytest.raises(UserError, match=r"no batch for 1 s: .*DATALOADER\.NUM_WORKERS 0"):
        next(iter(loader))


@pytest.mark.parametrize(("free_mb", "workers"), [(64, 8), (10, 2)])
def test_too_little_shared_memory_is_named_at_the_start(monkeypatch, tmp_path, free_mb, workers):
    """Docker's 64 MB: the loader would hang."""
    usage = Usage(0, 0, free_mb << 20)
    monkeypatch.setattr(setup.shutil, "disk_usage", lambda folder: usage)
    sizes = ("INPUT.MIN_SIZE_TRAIN", (800,), "INPUT.MAX_SIZE_TRAIN", 1333)
    cfg = tiny_config(*sizes, "DATALOADER.NUM_WORKERS", workers, "SOLVER.IMS_PER_BATCH", 2)
    with pytest.raises(UserError, match=rf"has {free_mb} MB free, .*--shm-size .*NUM_WORKERS 0"):
        check_shared_memory(cfg, tmp_path)
    check_shared_memory(tiny_config("DATALOADER.NUM_WORKERS", 0), tmp_path)
    squares = tiny_config("INPUT.AUGMENT.SQUARE_PX", 1024, "DATALOADER.NUM_WORKERS", workers)
    with pytest.raises(UserError, match=rf"need up to {3 * 1024**2 * 2 * workers * 2 >> 20} MB"):
        check_shared_memory(squares, tmp_path)
    monkeypatch.setattr(setup.shutil, "disk_usage", lambda folder: Usage(0, 0, 1 << 34))
    check_shared_memory(cfg, tmp_path)
