"""Convert a run of consecutive images to JSON text: the part of the work that runs in parallel."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from converters.coco.records import annotation_template, image_json
from converters.coco.summary import Summary
from converters.raw.annotation import RawAnnotation, RawItem, parse_annotation
from converters.raw.folder import ANNOTATION_SUFFIX, IMAGE_SUFFIX
from converters.raw.image_size import ImageSize, read_image_size
from converters.raw.problems import DataError, Problem
from converters.raw.rules import VALUES_PER_LANDMARK, CheckedItem, RejectedError, check_item

READ_SIZE = 1 << 16  # bytes; annotation files have 1 to 20 kB


@dataclass(frozen=True)
class Split:
    """What to convert.

    Attributes:
        images: folder of the images.
        annotations: folder of the annotation files; None: list the images only.
        visible_only: count only visible landmarks as labelled.
        skip: leave out what cannot be converted, instead of raising.
    """

    images: Path
    annotations: Path | None = None
    visible_only: bool = False
    skip: bool = False


@dataclass
class Chunk:
    """The text of some consecutive images.

    Attributes:
        images: their records, without the commas between them.
        annotations: records with ``%d`` for the id, each with a comma before it.
        summary: what was read and written.
    """

    images: list[bytes] = field(default_factory=list)
    annotations: bytes = b""
    summary: Summary = field(default_factory=Summary)


def convert_chunk(split: Split, stems: list[str]) -> Chunk:
    """Convert the images with these names (without suffix).

    Raises:
        DataError: something cannot be converted, and ``split.skip`` is not set.
    """
    chunk = Chunk()
    templates: list[bytes] = []
    images_root = f"{split.images}/"
    annotations_root = f"{split.annotations}/"
    for stem in stems:
        chunk.summary.files += 1
        name = stem + IMAGE_SUFFIX
        annotation = None
        try:
            if split.annotations is not None:
                annotation = read_annotation(annotations_root + stem + ANNOTATION_SUFFIX)
            size = _read_size(images_root + name, with_annotation=annotation is not None)
        except DataError as error:
            if not split.skip:
                raise
            _skip_file(chunk.summary, error.problem, annotation)
            continue
        chunk.summary.images += 1
        chunk.images.append(image_json(int(stem), name, size.width, size.height))
        if size.rotated:
            chunk.summary.notes["exif_rotated_image"] += 1
        if annotation is not None:
            file = annotations_root + stem + ANNOTATION_SUFFIX
            _convert_items(split, annotation, int(stem), size, file, chunk.summary, templates)
    chunk.annotations = b"".join(templates)
    return chunk


def _convert_items(
    split: Split,
    annotation: RawAnnotation,
    image_id: int,
    size: ImageSize,
    file: str,
    summary: Summary,
    templates: list[bytes],
) -> None:
    """Append the items of one image to ``templates`` and count them in ``summary``."""
    summary.items += len(annotation.items) + len(annotation.problems)
    problems = list(annotation.problems)
    for key, item in annotation.items:
        try:
            checked = check_item(item, size.width, size.height)
        except RejectedError as error:
            problems.append(Problem(error.reason, file, key, str(error)))
            continue
        templates.append(b",\n")
        templates.append(
            annotation_template(image_id, annotation, item, checked, split.visible_only)
        )
        summary.annotations += 1
        summary.categories[item.category_id] += 1
        _count_landmarks(summary.visibility, item, checked, split.visible_only)
        if checked.notes:
            summary.notes.update(checked.notes)
        summary.repairs += [Problem(rule, file, key, text) for rule, text in checked.repairs]
    if not annotation.items and not annotation.problems:
        summary.notes["image_without_items"] += 1
    if problems and not split.skip:
        raise DataError(problems[0])
    summary.skipped_items += problems


def _count_landmarks(
    visibility: list[int], item: RawItem, checked: CheckedItem, visible_only: bool
) -> None:
    num_occluded = 0 if visible_only else checked.num_occluded
    num_landmarks = len(item.landmarks) // VALUES_PER_LANDMARK
    visibility[0] += num_landmarks - num_occluded - checked.num_visible
    visibility[1] += num_occluded
    visibility[2] += checked.num_visible


def _skip_file(summary: Summary, problem: Problem, annotation: RawAnnotation | None) -> None:
    """Count a file that is left out, and the items that are left out with it."""
    summary.skipped_files.append(problem)
    if annotation is not None:
        keys = [key for key, _ in annotation.items] + [str(p.item) for p in annotation.problems]
        summary.items += len(keys)
        summary.skipped_items += [problem._replace(item=key) for key in keys]


def _read_bytes(file: str) -> bytes:
    """The content of a small file, with fewer system calls than ``open`` makes."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        data = os.read(descriptor, READ_SIZE)
        if len(data) == READ_SIZE:
            parts = [data]
            while part := os.read(descriptor, READ_SIZE):
                parts.append(part)
            data = b"".join(parts)
        return data
    finally:
        os.close(descriptor)


def read_annotation(file: str) -> RawAnnotation:
    """Read and parse an annotation file.

    Raises:
        DataError: it cannot be read, or nothing in it can be used.
    """
    try:
        data = _read_bytes(file)
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise DataError(Problem("unreadable_annotation", file, None, message)) from None
    return parse_annotation(data, file)


def _read_size(file: str, with_annotation: bool) -> ImageSize:
    try:
        return read_image_size(file)
    except FileNotFoundError:
        message = "missing image" + (" of an annotation file that is there" * with_annotation)
        raise DataError(Problem("missing_image", file, None, message)) from None
    except OSError as error:
        message = f"unreadable image: {error.strerror}"
        raise DataError(Problem("unreadable_image", file, None, message)) from None
    except ValueError as error:
        message = f"unreadable image: {error}"
        raise DataError(Problem("unreadable_image", file, None, message)) from None
