"""The endless shuffled order of a training's images, which can be entered at any place.

A place of the order has the same image and the same augmentation in every training of one seed, so
that a training that was interrupted goes on as if it had not been.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from detectron2.utils import comm
from detectron2.utils.env import seed_all_rng
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

from df2_landmarks.data.augmentation import Records
from df2_landmarks.data.dataset_mapper import Mapper


class ImageOrder:
    """Place -> image: one shuffle of all images after another, as Detectron2's `TrainingSampler`.

    With repeat factors an image comes more than once in a shuffle, as Detectron2's
    `RepeatFactorTrainingSampler` draws it: with a factor of 2.3 twice, or three times in 30 % of
    the shuffles.

    Example:
        >>> order = ImageOrder(3, seed=5)
        >>> sorted(order.index(place) for place in range(3, 6))
        [0, 1, 2]
    """

    def __init__(self, size: int, *, seed: int, repeat_factors: torch.Tensor | None = None) -> None:
        """
        Args:
            size: number of images.
            seed: decides the order.
            repeat_factors: (size,) of at least 1; None: each image once.
        """
        self.size = size
        self.seed = seed
        self._repeat_factors = repeat_factors
        self._images: NDArray[np.int64]
        self._start()

    def index(self, place: int) -> int:
        """Return the image at a place, from 0 on."""
        if place < self._first:
            self._start()
        while place >= self._first + len(self._images):
            self._first += len(self._images)
            self._images = self._next_shuffle()
        return int(self._images[place - self._first])

    def with_seed(self, seed: int) -> ImageOrder:
        """Return the order of the same images with another seed."""
        return ImageOrder(self.size, seed=seed, repeat_factors=self._repeat_factors)

    def _start(self) -> None:
        self._generator = torch.Generator()
        self._generator.manual_seed(self.seed)
        self._first = 0  # place of the first of the images of this shuffle
        self._images = np.zeros(0, np.int64)

    def _next_shuffle(self) -> NDArray[np.int64]:
        images = torch.arange(self.size)
        if self._repeat_factors is not None:
            counts = self._repeat_factors.floor()
            draws = torch.rand(self.size, generator=self._generator)
            counts += draws < self._repeat_factors - counts
            images = images.repeat_interleave(counts.long())
        shuffled: NDArray[np.int64] = images[
            torch.randperm(len(images), generator=self._generator)
        ].numpy()
        return shuffled


class OrderedImages(Dataset):
    """Place -> training example."""

    def __init__(self, records: Records, mapper: Mapper, order: ImageOrder) -> None:
        """
        Args:
            records: dataset dicts.
            mapper: dataset dict -> example; None where an image is skipped.
            order: of the records.
        """
        self._records = records
        self._mapper = mapper
        self._order = order

    def __len__(self) -> int:
        return self._order.size

    def __getitem__(self, place: int) -> dict[str, Any]:
        """Return an example; for an image that is skipped that of a later place."""
        while True:
            seed_by(self._order.seed, place)
            example = self._mapper(self._records[self._order.index(place)])
            if example is not None:
                return example
            place += 1


class OrderedSampler(Sampler):
    """The places that this process trains on, from some iteration on.

    Attributes:
        order: the order of all images.
    """

    def __init__(self, order: ImageOrder, waiting: Sequence[int] = (), start: int = 0) -> None:
        """
        Args:
            order: of the images.
            waiting: places that were loaded, but not trained on yet.
            start: the first place of all processes that was not loaded yet.
        """
        self.order = order
        self._waiting = waiting
        self._start = start

    def __iter__(self) -> Iterator[int]:
        yield from self._waiting
        yield from places_from(self._start)

    def state_dict(self) -> dict[str, int]:
        """Return what a checkpoint needs to continue the order."""
        return {"seed": self.order.seed}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Take over the order of a checkpoint."""
        self.order = self.order.with_seed(state["seed"])


def places_from(start: int) -> Iterator[int]:
    """Yield the places of this process from a place of all processes on."""
    return itertools.count(start + comm.get_rank(), comm.get_world_size())


def places_left(
    order: ImageOrder,
    records: Records,
    *,
    num_batches: int,
    batch_size: int,
    by_shape: bool,
) -> tuple[list[int], int]:
    """Return where an interrupted training goes on: places that wait for a batch, and the next one.

    Detectron2's loader puts wide images and others into batches of their own (`by_shape`). When a
    batch is full, some images of the other kind are waiting.

    Args:
        order: of the images.
        records: dataset dicts.
        num_batches: that this process has trained on.
        batch_size: images of a batch of this process.
        by_shape: cfg.DATALOADER.ASPECT_RATIO_GROUPING.
    """
    num_processes = comm.get_world_size()
    if not by_shape or not num_batches:
        return [], num_batches * batch_size * num_processes

    @cache
    def is_wide(index: int) -> bool:
        record = records[index]
        return bool(record["width"] > record["height"])

    waiting: dict[bool, list[int]] = {True: [], False: []}
    for place in places_from(0):
        batch = waiting[is_wide(order.index(place))]
        batch.append(place)
        if len(batch) == batch_size:
            batch.clear()
            num_batches -= 1
            if not num_batches:
                break
    return [*waiting[True], *waiting[False]], place - comm.get_rank() + num_processes


def seed_by(*numbers: int) -> None:
    """Set the seeds of all random numbers of this process by some numbers."""
    seed_all_rng(int(np.random.SeedSequence(numbers).generate_state(1)[0]))
