"""Many pictures: reading, model and writing side by side, in order and in bounded memory."""

from __future__ import annotations

import os
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from df2_landmarks.common import UserError, atomic_write
from df2_landmarks.formats import read_picture
from df2_landmarks.predict.garments import Garments
from df2_landmarks.predict.inputs import Input
from df2_landmarks.predict.journal import Journal, file_text
from df2_landmarks.predict.models import Prepared
from df2_landmarks.predict.predictor import Predictor
from df2_landmarks.predict.records import Measure, picture_record
from df2_landmarks.predict.video import VideoReader, VideoWriter

PICTURES = "pictures"
JPEG_QUALITY = 90
MAX_JPEG_PX = 65500
MAX_NAME_BYTES = 180
"""Longer names of drawings are cut: file systems take 255 bytes, some of which others need."""

Picture = NDArray[np.uint8]
Draw = Callable[[Picture, Garments], Picture]


@dataclass(frozen=True)
class Outputs:
    """What is made of each picture.

    Attributes:
        folder: of the output.
        draw: draws garments into a BGR picture; None: no drawings.
        with_masks: whether records have masks.
        measure: the lengths of a garment, for its record; None: no lengths.
    """

    folder: Path
    draw: Draw | None = None
    with_masks: bool = True
    measure: Measure | None = None


@dataclass(eq=False)
class Task:
    """A picture, or a frame of a video, on its way through the pipeline."""

    source: Input
    frame: dict[str, Any] = field(default_factory=dict)  # as in the record
    rgb: Picture | None = None
    prepared: Prepared | None = None
    error: UserError | None = None
    frames_per_second: float = 0.0


@dataclass(frozen=True)
class Done:
    """What became of a picture or frame.

    Attributes:
        task: the picture.
        garments: what was found; None after an error.
        error: why it could not be read, "" if it could.
    """

    task: Task
    garments: Garments | None
    error: str

    @property
    def file(self) -> str:
        """Path of the picture or video, as text."""
        return file_text(self.task.source.path)

    @property
    def is_frame(self) -> bool:
        """Whether it is a frame of a video."""
        return bool(self.task.frame)

    @property
    def found(self) -> list[tuple[str, float]]:
        """Category and score of the garments, best first."""
        return [(g.category, g.score or 0.0) for g in self.garments or ()]

    @property
    def best_score(self) -> float:
        """Of everything detected."""
        return 0.0 if self.garments is None else self.garments.best_score


def predict_all(
    predictor: Predictor,
    inputs: Iterable[Input],
    journal: Journal,
    outputs: Outputs,
    *,
    batch_size: int,
    workers: int,
    threads: int = 1,
) -> Iterator[Done]:
    """Predict, draw and record every input that the journal does not have yet; yield each.

    Args:
        predictor: finds the garments.
        inputs: pictures and videos.
        journal: gets a line per picture or frame, in order, after its drawing is written.
        outputs: what is made of each picture.
        batch_size: pictures that pass through the model together, at most.
        workers: threads that read, draw and write beside the model.
        threads: batches that pass through the model side by side.

    Raises:
        UserError: an output cannot be written.
    """
    todo = (i for i in inputs if not journal.is_done(file_text(i.path)))
    with _DrawnVideo(outputs.folder) as videos:
        for finished in predict_lines(
            predictor, todo, outputs, batch_size=batch_size, workers=workers, threads=threads
        ):
            yield _record(finished, journal, videos)


def predict_lines(
    predictor: Predictor,
    inputs: Iterable[Input],
    outputs: Outputs,
    *,
    batch_size: int,
    workers: int,
    threads: int = 1,
) -> Iterator[tuple[Done, bytes, Picture | None]]:
    """Predict and draw every input; yield each, its line, and the drawing of a frame of a video.

    Args:
        predictor: finds the garments.
        inputs: pictures and videos.
        outputs: what is made of each picture.
        batch_size: pictures that pass through the model together, at most.
        workers: threads that read, draw and write beside the model.
        threads: batches that pass through the model side by side.

    Raises:
        UserError: a drawing cannot be written.
    """
    with ExitStack() as stack:
        pool = ThreadPoolExecutor(workers)
        stack.callback(pool.shutdown, cancel_futures=True)
        on_their_way: deque[Task] = deque()

        def prepared() -> Iterator[Prepared | UserError]:
            for task in _read_ahead(pool, predictor, inputs, workers + batch_size):
                on_their_way.append(task)
                yield task.error or task.prepared  # type: ignore[misc]

        finishing: deque[Future[tuple[Done, bytes, Picture | None]]] = deque()
        for result in predictor.batch_with_errors(
            prepared(), batch_size=batch_size, threads=threads
        ):
            task = on_their_way.popleft()
            finishing.append(pool.submit(_finish, task, result, predictor.fingerprint, outputs))
            while finishing and (finishing[0].done() or len(finishing) > workers + batch_size):
                yield finishing.popleft().result()
        while finishing:
            yield finishing.popleft().result()


def _read_ahead(
    pool: ThreadPoolExecutor, predictor: Predictor, inputs: Iterable[Input], ahead: int
) -> Iterator[Task]:
    """Read and resize pictures in threads, a number of them ahead; yield them in order."""
    reading: deque[Future[Task]] = deque()
    for task in _tasks(inputs):
        reading.append(pool.submit(_read, task, predictor))
        if len(reading) > ahead:
            yield reading.popleft().result()
    while reading:
        yield reading.popleft().result()


def _tasks(inputs: Iterable[Input]) -> Iterator[Task]:
    """Yield a task for each picture and for each frame of each video."""
    for source in inputs:
        if source.error:
            yield Task(source, error=UserError(source.error))
        elif source.is_video:
            yield from _frames(source)
        else:
            yield Task(source)


def _frames(source: Input) -> Iterator[Task]:
    try:
        reader = VideoReader(source.path)
        for index, (rgb, is_last) in enumerate(reader.frames()):
            seconds = round(index / reader.frames_per_second, 3)
            frame = {"frame": index, "seconds": seconds, "last_frame": is_last}
            yield Task(source, frame, rgb, frames_per_second=reader.frames_per_second)
    except UserError as error:
        yield Task(source, error=error)


def _read(task: Task, predictor: Predictor) -> Task:
    if task.error is not None:
        return task
    try:
        if task.rgb is None:
            task.rgb = read_picture(task.source.path, max_pixels=predictor.model.max_pixels)
        task.prepared = predictor.prepare(task.rgb, channels="RGB")
    except UserError as error:
        task.error = error
    return task


def _finish(
    task: Task, result: Garments | UserError, fingerprint: str, outputs: Outputs
) -> tuple[Done, bytes, Picture | None]:
    """Draw a picture and write the drawing; return its line, and the drawing of a frame."""
    file = file_text(task.source.path)
    if isinstance(result, UserError):
        record = {"file": file, "model": fingerprint, **task.frame, "error": str(result)}
        return Done(task, None, str(result)), msgspec.json.encode(record), None
    record = picture_record(
        file,
        fingerprint,
        result,
        frame=task.frame,
        with_masks=outputs.with_masks,
        measure=outputs.measure,
    )
    drawn = None
    if outputs.draw is not None and task.rgb is not None:
        drawn = outputs.draw(cv2.cvtColor(task.rgb, cv2.COLOR_RGB2BGR), result)
        if not task.frame:
            _write_picture(drawing_path(outputs.folder, task.source.name, drawn.shape), drawn)
    task.rgb = task.prepared = None
    return Done(task, result, ""), msgspec.json.encode(record), drawn if task.frame else None


def _record(
    finished: tuple[Done, bytes, Picture | None], journal: Journal, videos: _DrawnVideo
) -> Done:
    done, line, drawn = finished
    if drawn is not None:
        videos.write(done.task, drawn)
    journal.append(line)
    return done


def _write_picture(path: Path, drawn: Picture) -> None:
    with atomic_write(path, many=True) as file:
        file.write(_encoded(drawn, path.suffix))


def _encoded(drawn: Picture, suffix: str) -> memoryview:
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if suffix != ".png" else []
    _, encoded = cv2.imencode(suffix, drawn, options)
    return encoded.data


def encoded_drawing(drawn: Picture) -> tuple[bytes, str]:
    """Return a (H, W, 3) BGR picture as JPEG, or PNG if it is too large, and its media type.

    The bytes are those of the file that `predict_all` writes.
    """
    if max(drawn.shape[:2]) > MAX_JPEG_PX:
        return bytes(_encoded(drawn, ".png")), "image/png"
    return bytes(_encoded(drawn, ".jpg")), "image/jpeg"


def drawing_path(folder: Path, name: str, shape: tuple[int, ...] | None = None) -> Path:
    """Return where the drawing of an input goes: a JPEG, or a PNG if it is too large for that.

    Args:
        folder: of the output.
        name: of the input; it keeps its ending, so that two names never meet.
        shape: of the picture; None for a video.
    """
    parent, base = os.path.split(name)
    stem, suffix = os.path.splitext(base)
    if len(os.fsencode(base)) > MAX_NAME_BYTES:
        base = f"{stem[:40]}-{zlib.crc32(os.fsencode(base)):08x}"
        suffix = ""
    if shape is None:
        base += "" if suffix.lower() == ".mp4" else ".mp4"
    elif max(shape[:2]) > MAX_JPEG_PX:
        base += "" if suffix.lower() == ".png" else ".png"
    else:
        base += "" if suffix.lower() in (".jpg", ".jpeg") else ".jpg"
    return Path(folder, PICTURES, parent, base)


class _DrawnVideo:
    """Writes drawn frames into the video that they belong to. A context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._writer: VideoWriter | None = None

    def __enter__(self) -> _DrawnVideo:
        return self

    def write(self, task: Task, drawn: Picture) -> None:
        if self._writer is None:
            path = drawing_path(self._folder, task.source.name)
            self._writer = self._stack.enter_context(VideoWriter(path, task.frames_per_second))
        self._writer.write(drawn)
        if task.frame["last_frame"]:
            self._stack.close()
            self._writer = None

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)
