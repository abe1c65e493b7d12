"""Convert one split, in order, with any number of processes, to a COCO JSON file.

The file is written as it is made: the memory needed does not grow with the number of items. In
the official order ``images`` stands before ``annotations``, so its place is reserved first and
filled while the annotations are appended behind it; what stays free is spaces, which JSON allows.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO

from converters.atomic_file import atomic_write
from converters.coco.chunks import Chunk, Split, convert_chunk
from converters.coco.records import categories_json, image_json
from converters.coco.summary import Summary
from converters.parallel import map_chunks
from converters.raw.folder import (
    ANNOTATION_SUFFIX,
    IMAGE_SUFFIX,
    count_files,
    list_numbered,
)
from converters.raw.image_size import MAX_SIDE
from converters.raw.problems import DataError, UsageError


def convert_split(
    split: Split,
    output: Path,
    *,
    limit: int | None = None,
    jobs: int = 1,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Summary:
    """Convert one split to a COCO JSON file.

    Args:
        split: what to convert.
        output: the file to write. It appears when it is complete.
        limit: stop after this many images.
        jobs: number of processes. The bytes of the output do not depend on it.
        on_progress: called with the number of images done and of all images.

    Returns:
        What was read and written.

    Raises:
        UsageError: a folder is missing or empty, or ``output`` cannot be written.
        DataError: something cannot be converted, and ``split.skip`` is not set.
    """
    summary = Summary()
    if split.annotations is None:
        stems, problems = list_numbered(split.images, IMAGE_SUFFIX, limit)
    else:
        stems, problems = list_numbered(split.annotations, ANNOTATION_SUFFIX, limit)
        num_images = count_files(split.images, IMAGE_SUFFIX) if split.images.is_dir() else 0
        if not num_images:
            raise UsageError(f"{split.images}: expected images like 000001.jpg, there are none")
    if problems and not split.skip:
        raise DataError(problems[0])
    summary.files += len(problems)
    summary.skipped_files += problems
    try:
        with atomic_write(output) as file:
            writer = _CocoWriter(file, stems, split.visible_only)
            for chunk in map_chunks(partial(convert_chunk, split), stems, jobs):
                writer.add(chunk)
                summary.add(chunk.summary)
                on_progress(summary.files - len(problems), len(stems))
            writer.close()
    except OSError as error:
        raise UsageError(f"{output}: cannot be written: {error.strerror}") from None
    if split.annotations is not None and limit is None:
        missing = sum(problem.reason == "missing_image" for problem in summary.skipped_files)
        with_annotation = summary.files - len(problems) - missing
        summary.images_without_annotation = max(0, num_images - with_annotation)
    summary.check()
    return summary


class _CocoWriter:
    """Writes chunks into the reserved place of ``images`` and to the end of ``annotations``."""

    def __init__(self, file: BinaryIO, stems: list[str], visible_only: bool) -> None:
        visibility = "visible" if visible_only else "visible and occluded"
        info = {"description": "DeepFashion2 in COCO format", "landmarks": visibility}
        file.write(b'{"info":%b,"licenses":[],"images":[' % json.dumps(info).encode())
        self.file = file
        self.position = file.tell()
        self.end = self.position + _reserved_size(stems)
        file.seek(self.end)
        file.write(b'],\n"annotations":[')
        self.num_images = 0
        self.num_annotations = 0

    def add(self, chunk: Chunk) -> None:
        """Write the next chunk."""
        if chunk.images:
            text = b",\n".join(chunk.images)
            self._put(b",\n" + text if self.num_images else b"\n" + text)
            self.num_images += len(chunk.images)
        num_new = chunk.summary.annotations
        if num_new:
            ids = range(self.num_annotations + 1, self.num_annotations + num_new + 1)
            text = chunk.annotations % tuple(ids)
            self.file.write(text if self.num_annotations else text[1:])
            self.num_annotations += num_new

    def close(self) -> None:
        """Write the end of the file and fill the rest of the reserved place."""
        self.file.write(b'\n],\n"categories":' + categories_json() + b"}\n")
        free = self.end - self.position
        assert free >= 0, free
        while free > 0:
            size = min(free, 1 << 20)
            self._put(b" " * size)
            free -= size

    def _put(self, text: bytes) -> None:
        """Write to the reserved place."""
        written = os.pwrite(self.file.fileno(), text, self.position)
        assert written == len(text), (written, len(text))
        self.position += written


def _reserved_size(stems: list[str]) -> int:
    """Upper bound of the length of the ``images`` list: a stem stands twice in a record."""
    longest_frame = len(image_json(0, IMAGE_SUFFIX, MAX_SIDE, MAX_SIDE)) + len(",\n")
    return sum(longest_frame + 2 * len(stem) for stem in stems)
