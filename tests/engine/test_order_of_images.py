"""A resumed training goes on with the images that it has not seen, in the order of its start."""

from __future__ import annotations

from contextlib import nullcontext
from itertools import islice
from typing import NamedTuple

import numpy as np
import pytest
import torch
from detectron2.data.common import AspectRatioGroupedDataset
from detectron2.data.samplers import RepeatFactorTrainingSampler, TrainingSampler
from detectron2.utils.env import seed_all_rng

from df2_landmarks.data import ImageOrder, OrderedImages, OrderedSampler, places_left
from df2_landmarks.engine.trainer import Trainer
from tests.support import tiny_config

OPTIONS = ("DATALOADER.ASPECT_RATIO_GROUPING", False, "DATASETS.TEST", (), "SEED")


class Step(NamedTuple):
    """An iteration: the images of its batch and its loss."""

    files: list[str]
    loss: float


class KilledError(Exception):
    """Instead of a signal."""


def steps_of(trainer: Trainer, killed_at: int | None) -> list[Step]:
    """Train; return every iteration."""
    steps = []
    run_step = trainer.run_step

    def recorded() -> None:
        if trainer.iter == killed_at:
            raise KilledError
        run_step()
        loss, _ = trainer.storage.latest()["total_loss"]
        steps.append(Step(list(trainer._trainer.data_loader.files), loss))

    trainer.run_step = recorded
    with nullcontext() if killed_at is None else pytest.raises(KilledError):
        trainer.train()
    return steps


def train(split, folder, iterations, seed, *more, resume=False, killed_at=None):
    folder.mkdir(exist_ok=True)
    seed_all_rng(seed if seed >= 0 else None)  # as `default_setup` does
    options = ("DATASETS.TRAIN", (split,), "OUTPUT_DIR", folder, "SOLVER.MAX_ITER", iterations)
    trainer = Trainer(tiny_config(*OPTIONS, seed, *options, *more))
    trainer.resume_or_load(resume=resume)
    return steps_of(trainer, killed_at)


def images(*trainings: list[Step]) -> set[str]:
    return {name for steps in trainings for step in steps for name in step.files}


BALANCED_AND_PASTED = (
    *("DATALOADER.SAMPLER_TRAIN", "RepeatFactorTrainingSampler"),
    *("DATALOADER.REPEAT_THRESHOLD", 0.3, "INPUT.COPY_PASTE", 0.7, "INPUT.AUGMENT.BLUR", 1.0),
)


@pytest.mark.parametrize(
    ("by_shape", "workers", "more"),
    [
        (False, 0, ()),
        (False, 2, ()),
        (True, 0, ()),
        (True, 2, ()),
        (True, 0, BALANCED_AND_PASTED),
    ],
)
def test_an_interrupted_training_has_the_images_and_losses_of_a_whole_one(
    drawn_splits, tmp_path, by_shape, workers, more
):
    """To a thousandth: threads may add in another order."""
    options = (
        *more,
        *("DATALOADER.ASPECT_RATIO_GROUPING", by_shape, "DATALOADER.NUM_WORKERS", workers),
        *("SOLVER.CHECKPOINT_PERIOD", 3, "SOLVER.BASE_LR", 1e-4),
    )
    whole = train(drawn_splits[0], tmp_path / "whole", 7, 7, *options)
    first = train(drawn_splits[0], tmp_path / "parts", 7, 7, *options, killed_at=3)
    second = train(drawn_splits[0], tmp_path / "parts", 7, 7, *options, resume=True)
    assert [step.files for step in first + second] == [step.files for step in whole]
    losses = [step.loss for step in first + second]
    assert losses == pytest.approx([step.loss for step in whole], rel=1e-3)


def test_it_goes_on_without_a_fixed_seed_too(drawn_splits, tmp_path):
    first = train(drawn_splits[0], tmp_path, 2, -1)
    second = train(drawn_splits[0], tmp_path, 4, -1, resume=True)
    assert len(images(first, second)) == 8


def test_the_order_is_detectron2_s():
    stock = list(islice(TrainingSampler(5, seed=3), 20))
    order = ImageOrder(5, seed=3)
    assert [order.index(place) for place in range(20)] == stock
    assert [order.index(place) for place in (19, 2, 12)] == [stock[19], stock[2], stock[12]]


def test_the_order_with_repeated_images_is_detectron2_s():
    factors = torch.tensor([1.0, 2.3, 1.5, 3.0, 1.0])
    stock = list(islice(RepeatFactorTrainingSampler(factors, seed=3), 60))
    order = ImageOrder(5, seed=3, repeat_factors=factors)
    assert [order.index(place) for place in range(60)] == stock
    assert [order.index(place) for place in (59, 2, 31)] == [stock[59], stock[2], stock[31]]


@pytest.mark.parametrize("batch_size", [1, 2, 3])
@pytest.mark.parametrize("num_batches", [1, 4, 15])
def test_batches_of_one_shape_go_on_after_any_number_of_them(batch_size, num_batches):
    """As Detectron2's loader makes them."""
    records = [{"width": 10 + 10 * (i % 3 == 0), "height": 15, "i": i} for i in range(10)]
    order = ImageOrder(10, seed=1)
    whole = batches(records, order, batch_size, [], 0)
    for _ in range(num_batches):
        next(whole)
    waiting, start = places_left(
        order, records, num_batches=num_batches, batch_size=batch_size, by_shape=True
    )
    rest = batches(records, order, batch_size, waiting, start)
    assert list(islice(rest, 20)) == list(islice(whole, 20))


def batches(records, order, batch_size, waiting, start):
    stream = (records[order.index(p)] for p in OrderedSampler(order, waiting, start))
    return iter(AspectRatioGroupedDataset(stream, batch_size))


def test_a_place_has_one_augmentation_and_a_skipped_image_that_of_a_later_one():
    order = ImageOrder(4, seed=9)
    drawn = OrderedImages(range(4), lambda record: (record, np.random.rand()), order)
    assert drawn[2] == drawn[2] and len({drawn[place][1] for place in range(8)}) == 8
    bad = order.index(5)
    skipping = OrderedImages(
        range(4), lambda record: None if record == bad else (record, np.random.rand()), order
    )
    assert skipping[5] == drawn[6] and skipping[6] == drawn[6]


@pytest.mark.parametrize("num_processes", [1, 2, 3, 7])
def test_processes_share_an_epoch_so_that_each_image_comes_once(monkeypatch, num_processes):
    order = ImageOrder(20, seed=4)
    places = []
    for rank in range(num_processes):
        monkeypatch.setattr("df2_landmarks.data.order.comm.get_rank", lambda rank=rank: rank)
        monkeypatch.setattr("df2_landmarks.data.order.comm.get_world_size", lambda: num_processes)
        places += [place for place in islice(OrderedSampler(order), 60) if place < 60]
    assert sorted(places) == list(range(60))
    for epoch in (0, 20, 40):
        images = [order.index(place) for place in range(epoch, epoch + 20)]
        assert sorted(images) == list(range(20))
