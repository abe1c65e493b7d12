"""Convert some consecutive images to JSON text: the part of the work that runs in parallel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from converters.coco.records import annotation_json, image_json
from converters.coco.summary import Summary
from converters.raw import (
    ANNOTATION_SUFFIX,
    IMAGE_SUFFIX,
    VALUES_PER_LANDMARK,
    ImageSize,
    Problem,
    RawAnnotation,
    RawFileError,
    RejectedError,
    check_item,
    read_annotation,
    read_image_size,
)


@dataclass(frozen=True)
class Split:
    """What to convert.

    Attributes:
        images: folder of the images.
        annotations: folder of the annotation files; None: list the images only.
        skip: leave out what cannot be converted, instead of raising.
        own_landmarks: write the landmarks of each item's category only, without slots.
    """

    images: Path
    annotations: Path | None = None
    skip: bool = False
    own_landmarks: bool = False


@dataclass
class Chunk:
    """The text of some consecutive images.

    Attributes:
        images: their records.
        annotations: visibility -> records of the items, without their ids.
        summary: what was read and written.
    """

    annotations: dict[str, list[bytes]]
    images: list[bytes] = field(default_factory=list)
    summary: Summary = field(default_factory=Summary)


def convert_chunk(split: Split, visibilities: Sequence[str], stems: Sequence[str]) -> Chunk:
    """Convert the images with these names (without suffix).

    Raises:
        RawFileError: something cannot be converted, and ``split.skip`` is not set.
    """
    chunk = Chunk({visibility: [] for visibility in visibilities})
    for stem in stems:
        chunk.summary.files += 1
        annotation = None
        try:
            if split.annotations is not None:
                annotation = read_annotation(f"{split.annotations}/{stem}{ANNOTATION_SUFFIX}")
            size = read_image_size(f"{split.images}/{stem}{IMAGE_SUFFIX}")
        except RawFileError as error:
            if not split.skip:
                raise
            _skip_file(chunk.summary, error.problem, annotation)
            continue
        chunk.summary.images += 1
        chunk.images.append(image_json(int(stem), stem + IMAGE_SUFFIX, size.width, size.height))
        if size.rotated:
            chunk.summary.notes["exif_rotated_image"] += 1
        if annotation is not None:
            problems = _convert_items(annotation, int(stem), size, chunk, split.own_landmarks)
            if problems and not split.skip:
                raise RawFileError(problems[0])
            chunk.summary.skipped_items += problems
    return chunk


def _convert_items(
    annotation: RawAnnotation, image_id: int, size: ImageSize, chunk: Chunk, own_landmarks: bool
) -> list[Problem]:
    """Add the items of one image to the chunk. Returns the problems of those that cannot be."""
    summary = chunk.summary
    summary.items += len(annotation.items) + len(annotation.problems)
    problems = list(annotation.problems)
    for key, item in annotation.items:
        try:
            checked = check_item(item, size.width, size.height)
        except RejectedError as error:
            problems.append(Problem(error.reason, annotation.file, key, str(error)))
            continue
        visibilities = tuple(chunk.annotations)
        records = annotation_json(
            image_id, annotation, item, checked, visibilities, own_landmarks=own_landmarks
        )
        for texts, record in zip(chunk.annotations.values(), records, strict=True):
            texts.append(record)
        summary.annotations += 1
        summary.categories[item.category_id] += 1
        num_landmarks = len(item.landmarks) // VALUES_PER_LANDMARK
        summary.landmarks[0] += num_landmarks - checked.num_occluded - checked.num_visible
        summary.landmarks[1] += checked.num_occluded
        summary.landmarks[2] += checked.num_visible
        for rule in checked.notes:
            summary.notes[rule] += 1
        summary.repairs += [
            Problem(rule, annotation.file, key, text) for rule, text in checked.repairs
        ]
    if not annotation.items and not annotation.problems:
        summary.notes["image_without_items"] += 1
    return problems


def _skip_file(summary: Summary, problem: Problem, annotation: RawAnnotation | None) -> None:
    """Count a file that is left out, and the items that are left out with it."""
    summary.skipped_files.append(problem)
    if annotation is not None:
        keys = [key for key, _ in annotation.items] + [str(p.item) for p in annotation.problems]
        summary.items += len(keys)
        summary.skipped_items += [problem._replace(item=key) for key in keys]
