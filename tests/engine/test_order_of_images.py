"""A resumed training goes on with the images that it has not seen, in the order of its start."""

from __future__ import annotations

from itertools import islice

from detectron2.data.samplers import TrainingSampler
from detectron2.utils.env import seed_all_rng

from df2_landmarks.engine.trainer import Trainer
from df2_landmarks.engine.training_step import OrderedSampler
from tests.support import tiny_config

OPTIONS = ("DATALOADER.ASPECT_RATIO_GROUPING", False, "DATASETS.TEST", (), "SEED")


def seen_by(trainer: Trainer) -> list[str]:
    """Train; return the images of each batch."""
    loader = trainer._trainer.data_loader
    seen = []
    run_step = trainer.run_step

    def recorded() -> None:
        run_step()
        seen.append(list(trainer._trainer.data_loader.files))

    trainer.run_step = recorded
    trainer.train()
    assert loader.files or trainer.start_iter
    return seen


def train(split, folder, iterations, seed, *, resume=False):
    folder.mkdir(exist_ok=True)
    seed_all_rng(seed if seed >= 0 else None)  # as `default_setup` does
    options = ("DATASETS.TRAIN", (split,), "OUTPUT_DIR", folder, "SOLVER.MAX_ITER", iterations)
    trainer = Trainer(tiny_config(*OPTIONS, seed, *options))
    trainer.resume_or_load(resume=resume)
    return seen_by(trainer)


def test_the_order_of_the_images_goes_on_after_an_interruption(drawn_splits, tmp_path):
    whole = train(drawn_splits[0], tmp_path / "whole", 4, 7)
    assert len(whole) == 4 and len({name for batch in whole for name in batch}) == 8
    first = train(drawn_splits[0], tmp_path / "parts", 2, 7)
    second = train(drawn_splits[0], tmp_path / "parts", 4, 7, resume=True)
    assert first + second == whole


def test_it_goes_on_without_a_fixed_seed_too(drawn_splits, tmp_path):
    first = train(drawn_splits[0], tmp_path, 2, -1)
    second = train(drawn_splits[0], tmp_path, 4, -1, resume=True)
    assert len({name for batch in first + second for name in batch}) == 8


def test_the_order_is_detectron2_s_from_some_place_on():
    stock = list(islice(TrainingSampler(5, seed=3), 20))
    assert list(islice(OrderedSampler(5, seed=3), 20)) == stock
    assert list(islice(OrderedSampler(5, seed=3, num_seen=7), 13)) == stock[7:]
