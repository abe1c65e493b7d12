"""`Predictor`: pictures in, garments with named landmarks out.

It knows no engine: a checkpoint of Detectron2, an exported file (``models``), or another `Model`.
"""

from __future__ import annotations

import difflib
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from df2_landmarks.common import UserError
from df2_landmarks.formats import (
    MIN_SCORE,
    Channels,
    detected_garments,
    plain_name,
    read_picture,
)
from df2_landmarks.predict.garments import Garments
from df2_landmarks.predict.models import Detected, Model, Prepared, load_model
from df2_landmarks.taxonomy import DEEPFASHION2, Taxonomy

WINDOW_BATCHES = 4
"""Pictures that `Predictor.batch` holds at most, in batches, while it looks for equal sizes."""


class Predictor:
    """Finds the garments in pictures.

    Example:
        >>> from df2_landmarks import Predictor
        >>> predictor = Predictor.load("output/demo/model_final.pth")
        >>> garments = predictor("photo.jpg")
        >>> garments[0].category
        'skirt'
        >>> garments[0].landmarks["hem_left"].xy
        (180.0, 160.0)
    """

    def __init__(
        self,
        model: Model,
        *,
        min_score: float = MIN_SCORE,
        categories: Iterable[str | int] | str | int | None = None,
    ) -> None:
        """
        Args:
            model: finds the garments.
            min_score: score threshold 0..1.
            categories: names or ids of the categories to return; None: all.

        Raises:
            UserError: the threshold is out of range or there is no such category.
        """
        if not 0 <= min_score <= 1:
            raise UserError(f"min_score must be 0..1, but got {min_score}")
        self.model = model
        self.min_score = min_score
        self.category_ids = None if categories is None else category_ids(categories, model.taxonomy)

    @classmethod
    def load(
        cls,
        file: str | os.PathLike[str],
        *,
        config: str | os.PathLike[str] | None = None,
        opts: Sequence[str] = (),
        min_score: float = MIN_SCORE,
        categories: Iterable[str | int] | str | int | None = None,
        device: str | None = None,
        half: bool = False,
        tta: bool = False,
    ) -> Predictor:
        """Load a trained model.

        Args:
            file: a checkpoint of this project, an output folder, whose last checkpoint is taken, or
                a file of `df2 export` (.onnx, .ts), which needs no Detectron2. The configuration
                and the device (CPU) of an exported file are fixed.
            config: YAML that it was trained with; needed for a file that does not contain it.
            opts: alternating keys and values that override the configuration.
            min_score: score threshold 0..1.
            categories: names or ids of the categories to return; None: all.
            device: "cpu", "cuda", "cuda:1"...; by default a GPU if there is one.
            half: compute in bfloat16 where it is safe; faster on hardware that has it. An ONNX file
                needs OpenVINO for it.
            tta: test-time augmentation: better, and several times as slow.

        Raises:
            UserError: there is no such file, it is not a model of these categories, its
                configuration is missing, or an option is wrong.
        """
        model = load_model(Path(file), config=config, opts=opts, device=device, half=half, tta=tta)
        return cls(model, min_score=min_score, categories=categories)

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that stand for weights and configuration of the model."""
        return self.model.fingerprint

    def prepare(self, image: Any, *, channels: Channels | None = None) -> Prepared:
        """Read and resize a picture, for `batch`; threads may do this beside it.

        Args:
            image: path, bytes, Pillow image, or (H, W, 3) uint8 array.
            channels: order of the channels of an array, "RGB" or "BGR".

        Raises:
            UserError: it is not a readable picture.
        """
        return self.model.prepare(
            read_picture(image, channels=channels, max_pixels=self.model.max_pixels)
        )

    def __call__(self, image: Any, *, channels: Channels | None = None) -> Garments:
        """Find the garments in one picture.

        Args:
            image: path, bytes, Pillow image, or (H, W, 3) uint8 array.
            channels: order of the channels of an array, "RGB" or "BGR".

        Raises:
            UserError: it is not a readable picture.
        """
        return self._detect([self.prepare(image, channels=channels)])[0]

    def batch(
        self,
        images: Iterable[Any],
        *,
        batch_size: int = 8,
        channels: Channels | None = None,
        threads: int = 1,
    ) -> Iterator[Garments]:
        """Yield the garments of each picture, in order, in bounded memory.

        The result of a picture does not depend on the others, but for rounding: only pictures that
        the model pads to the same size pass through it together. Up to `WINDOW_BATCHES` batches
        are read ahead to find such pictures.

        Args:
            images: any iterable of what `prepare` takes or has returned.
            batch_size: pictures that pass through the model together, at most.
            channels: order of the channels of arrays, "RGB" or "BGR".
            threads: batches that pass through the model side by side. On a CPU two batches with
                one of torch's threads each are faster than one batch with two.

        Raises:
            UserError: a picture cannot be read; those before it have been yielded.
        """
        for result in self.batch_with_errors(
            images, batch_size=batch_size, channels=channels, threads=threads
        ):
            if isinstance(result, UserError):
                raise result
            yield result

    def batch_with_errors(
        self,
        images: Iterable[Any],
        *,
        batch_size: int = 8,
        channels: Channels | None = None,
        threads: int = 1,
    ) -> Iterator[Garments | UserError]:
        """Yield as `batch`, and the error itself in the place of a picture that cannot be read.

        Args:
            images: as of `batch`; may contain a `UserError`, which is passed on in its place.
            batch_size: pictures that pass through the model together, at most.
            channels: order of the channels of arrays, "RGB" or "BGR".
            threads: batches that pass through the model side by side.
        """
        for name, value in (("batch_size", batch_size), ("threads", threads)):
            if value < 1:
                raise UserError(f"{name} must be 1 or more, but got {value}")
        waiting: deque[_Place] = deque()  # in order
        running: deque[Future[list[Garments]]] = deque()
        with ExitStack() as stack:
            pool = ThreadPoolExecutor(
                threads, initializer=self.model.enter_thread, initargs=(threads,)
            )
            stack.callback(pool.shutdown, cancel_futures=True)

            def start_a_group() -> None:
                while len(running) > threads:  # one more than threads, so that none of them waits
                    running.popleft().result()
                open_places = [place for place in waiting if place.prepared is not None]
                group = open_places[0].prepared.group
                places = [p for p in open_places if p.prepared.group == group][:batch_size]
                running.append(pool.submit(self._detect, [place.prepared for place in places]))
                for row, place in enumerate(places):
                    place.start(running[-1], row)

            for image in images:
                waiting.append(_Place(self._prepared(image, channels)))
                if sum(p.prepared is not None for p in waiting) == WINDOW_BATCHES * batch_size:
                    start_a_group()
                while waiting and waiting[0].is_done():
                    yield waiting.popleft().result()
            while waiting:
                while any(place.prepared is not None for place in waiting):
                    start_a_group()
                yield waiting.popleft().result()

    def _prepared(self, image: Any, channels: Channels | None) -> Prepared | UserError:
        if isinstance(image, (Prepared, UserError)):
            return image
        try:
            return self.prepare(image, channels=channels)
        except UserError as error:
            return error

    def _detect(self, batch: Sequence[Prepared]) -> list[Garments]:
        detected = self.model.detect(batch, self.min_score)
        return [
            self._garments(prepared, found) for prepared, found in zip(batch, detected, strict=True)
        ]

    def _garments(self, prepared: Prepared, found: Detected) -> Garments:
        garments = detected_garments(
            taxonomy=self.model.taxonomy,
            classes=found.classes,
            scores=found.scores,
            boxes_xyxy=found.boxes_xyxy,
            landmarks=found.landmarks,
            visible=found.visible,
            masks=found.masks,
            covariance=found.covariance,
        )
        if self.category_ids is not None:
            garments = [g for g in garments if g.category_id in self.category_ids]
        return Garments(tuple(garments), prepared.width, prepared.height, found.best_score)


class _Place:
    """A picture on its way through `Predictor.batch`: prepared, then in the model.

    Attributes:
        prepared: the picture; None once it is in the model, or if it could not be read.
    """

    def __init__(self, prepared: Prepared | UserError) -> None:
        self._error = prepared if isinstance(prepared, UserError) else None
        self.prepared: Any = None if self._error else prepared
        self._future: Future[list[Garments]] | None = None
        self._row = 0

    def start(self, future: Future[list[Garments]], row: int) -> None:
        """Note where the result will be, and let go of the picture."""
        self.prepared, self._future, self._row = None, future, row

    def is_done(self) -> bool:
        """Return whether the result is there."""
        return self._error is not None or (self._future is not None and self._future.done())

    def result(self) -> Garments | UserError:
        """Wait for the result."""
        if self._error is not None:
            return self._error
        assert self._future is not None
        return self._future.result()[self._row]


def category_ids(
    categories: Iterable[str | int] | str | int, taxonomy: Taxonomy = DEEPFASHION2
) -> frozenset[int]:
    """Return the ids of one category or several, given by name or id.

    Raises:
        UserError: there is no such category.

    Example:
        >>> sorted(category_ids(["trousers", "long-sleeve top", 9]))
        [2, 8, 9]
    """
    if isinstance(categories, (str, int)):
        categories = [categories]
    ids = {category.name: category.id for category in taxonomy.categories}
    known = {plain_name(name): number for name, number in ids.items()}
    known |= {str(number): number for number in ids.values()}
    wanted = set()
    for category in categories:
        name = plain_name(str(category))
        if name not in known:
            close = difflib.get_close_matches(name, ids, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"There are {', '.join(ids)}"
            raise UserError(f"categories: there is no {category!r}. {hint}")
        wanted.add(known[name])
    return frozenset(wanted)
