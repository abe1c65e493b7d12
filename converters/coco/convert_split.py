"""Convert one split, in order, with any number of processes, to COCO JSON files.

The files are written in one pass and while the raw files are read: the memory needed does not grow
with the number of items. The image records, which are small, wait in an unnamed temporary file.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import BinaryIO

from converters.coco.chunks import Split, convert_chunk
from converters.coco.records import categories_json
from converters.coco.summary import Summary
from converters.raw import (
    ANNOTATION_SUFFIX,
    IMAGE_SUFFIX,
    RawFileError,
    count_files,
    list_numbered,
)
from df2_landmarks.common import UserError, atomic_write, map_chunks

CHUNK_SIZE = 100
"""Images; about 0.3 MB of COCO text."""


def convert_split(
    split: Split,
    outputs: Mapping[str, Path],
    *,
    limit: int | None = None,
    jobs: int = 1,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Summary:
    """Convert one split to COCO JSON files.

    Args:
        split: what to convert.
        outputs: visibility (see ``VISIBILITIES``) -> the file to write; all in one folder. Files
            appear when all are complete.
        limit: stop after this many images.
        jobs: number of processes. The bytes of the files do not depend on it.
        on_progress: called with the number of images done and of all images.

    Returns:
        What was read and written.

    Raises:
        UserError: a folder is missing or empty, or an output cannot be written.
        RawFileError: something cannot be converted, and ``split.skip`` is not set.
    """
    num_images = count_files(split.images, IMAGE_SUFFIX)
    if not num_images:
        raise UserError(
            f"{split.images}: expected images like 000001.jpg, there are none", exit_code=2
        )
    if split.annotations is None:
        stems, problems = list_numbered(split.images, IMAGE_SUFFIX, limit)
    else:
        stems, problems = list_numbered(split.annotations, ANNOTATION_SUFFIX, limit)
    if problems and not split.skip:
        raise RawFileError(problems[0])
    summary = Summary(files=len(problems), skipped_files=problems)
    num_unnumbered = len(problems)
    with ExitStack() as stack:
        writers = {
            visibility: _CocoWriter(
                stack.enter_context(atomic_write(output)), visibility, split.own_landmarks
            )
            for visibility, output in outputs.items()
        }
        folder = next(iter(outputs.values())).parent
        images = _RecordList(stack.enter_context(tempfile.TemporaryFile(dir=folder)))
        convert = partial(convert_chunk, split, tuple(outputs))
        for chunk in map_chunks(convert, stems, jobs=jobs, chunk_size=CHUNK_SIZE):
            images.add(chunk.images)
            for visibility, writer in writers.items():
                writer.add(chunk.annotations[visibility])
            summary.add(chunk.summary)
            on_progress(summary.files - num_unnumbered, len(stems))
        for writer in writers.values():
            writer.close(images.file)
    if split.annotations is not None and limit is None:
        missing = sum(problem.reason == "missing_image" for problem in summary.skipped_files)
        with_annotation = summary.files - num_unnumbered - missing
        summary.images_without_annotation = max(0, num_images - with_annotation)
    summary.check()
    return summary


class _RecordList:
    """The records of a JSON list, written to a file."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.separator = b"\n"

    def add(self, records: Sequence[bytes]) -> None:
        if records:
            self.file.write(self.separator + b",\n".join(records))
            self.separator = b",\n"


class _CocoWriter:
    """Writes a COCO JSON file."""

    def __init__(self, file: BinaryIO, visibility: str, own_landmarks: bool) -> None:
        landmarks = {"all": "visible and occluded", "visible": "visible"}[visibility]
        info = {"description": "DeepFashion2 in COCO format", "landmarks": landmarks}
        file.write(b'{"info":%b,"licenses":[],\n"categories":' % json.dumps(info).encode())
        file.write(categories_json(own_landmarks) + b',\n"annotations":[')
        self.file = file
        self.annotations = _RecordList(file)
        self.num_annotations = 0

    def add(self, records: Sequence[bytes]) -> None:
        """Write annotations, and number them."""
        first = self.num_annotations + 1
        self.annotations.add([b'{"id":%d,%b' % (i, r[1:]) for i, r in enumerate(records, first)])
        self.num_annotations += len(records)

    def close(self, images: BinaryIO) -> None:
        """Write the image records and the end of the file."""
        self.file.write(b'\n],\n"images":[')
        images.seek(0)
        shutil.copyfileobj(images, self.file)
        self.file.write(b"\n]}\n")
