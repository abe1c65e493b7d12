"""Writing a data set: any number of processes, whole files only, resumable."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2

from df2_landmarks.common import UserError, atomic_write, map_chunks
from df2_landmarks.synthetic import folder
from df2_landmarks.synthetic.picture import draw_picture, plan_picture
from df2_landmarks.synthetic.recipe import MODERATE, SPLITS, TEST, Difficulty, Recipe

MAX_PICTURES = 999_999
Job = tuple[str, int]
"""Split and number (0-based) of a picture."""


def write_dataset(
    root: str | os.PathLike[str],
    splits: Mapping[str, int],
    *,
    size_px: int = 340,
    difficulty: Difficulty = MODERATE,
    workers: int = 1,
    resume: bool = False,
    progress: Callable[[int, int], None] | None = None,
    **recipe_options: Any,
) -> str:
    """Draw a synthetic DeepFashion2 in the raw layout.

    ``root/{train,validation,test}/image/000001.jpg``, and ``annos/000001.json`` beside ``image``
    in all splits but test. A picture depends on the seed, its split and its number only. When
    exactly this data set is in the folder already, nothing is drawn.

    Args:
        root: new or empty folder, or one that an earlier run began.
        splits: "train", "validation", "test" -> number of pictures.
        size_px: as of `Recipe`.
        difficulty: as of `Recipe`.
        workers: processes.
        resume: complete or enlarge what is in ``root``.
        progress: called with the number of pictures that are done and of all.
        **recipe_options: the other options of `Recipe`.

    Returns:
        The fingerprint: a hash over all annotations.

    Raises:
        UserError: an impossible option, a folder that holds something else, or a full disk.

    Example:
        >>> write_dataset("drawn", {"train": 12}, size_px=160)  # doctest: +SKIP
        'dc3e92a86ecaf533'
    """
    root = Path(root)
    recipe = Recipe(size_px=size_px, difficulty=difficulty, **recipe_options)
    _check(splits, workers)
    all_jobs = [(split, index) for split, count in splits.items() for index in range(count)]
    recorded = folder.recorded_fingerprint(root, recipe, splits)
    if recorded is not None and all(folder.is_done(root, *job) for job in all_jobs):
        return recorded
    folder.prepare(root, recipe, splits, resume=resume or recorded is not None)
    jobs = [job for job in all_jobs if not folder.is_done(root, *job)]
    done = len(all_jobs) - len(jobs)
    write = partial(_write_pictures, root, recipe)
    for count in map_chunks(write, jobs, jobs=workers, chunk_size=1):
        done += count
        if progress is not None:
            progress(done, len(all_jobs))
    result = folder.fingerprint(root)
    folder.write_record(root, recipe, splits, result)
    return result


def fingerprint_of(recipe: Recipe, splits: Mapping[str, int]) -> str:
    """Return the fingerprint that a data set will have; nothing is drawn or written.

    Args:
        recipe: what decides its pictures.
        splits: split -> number of pictures.
    """
    return folder.digest(
        (split, index, folder.encoded(plan_picture(recipe, split, index).annotation))
        for split in SPLITS
        if split != TEST
        for index in range(splits.get(split, 0))
    )


def _check(splits: Mapping[str, int], workers: int) -> None:
    message = ""
    unknown = sorted(set(splits) - set(SPLITS))
    if unknown:
        message = f"splits must be among {', '.join(SPLITS)}, but got {', '.join(unknown)}"
    elif not sum(splits.values()):
        message = "number of pictures must be 1 or more, but got 0 in every split"
    elif workers < 1:
        message = f"workers must be 1 or more, but got {workers}"
    for split, count in splits.items():
        if not 0 <= count <= MAX_PICTURES:
            message = f"number of {split} pictures must be 0..{MAX_PICTURES}, but got {count}"
    if message:
        raise UserError(message, exit_code=2)


def _write_pictures(root: Path, recipe: Recipe, jobs: Sequence[Job]) -> int:
    """Draw pictures, write their files, and return how many."""
    if multiprocessing.parent_process() is not None:
        cv2.setNumThreads(1)  # the worker processes share the cores
    for job in jobs:
        drawn = draw_picture(recipe, *job)
        quality = [cv2.IMWRITE_JPEG_QUALITY, drawn.jpeg_quality]
        is_encoded, jpeg = cv2.imencode(".jpg", drawn.image, quality)
        assert is_encoded, job
        annotation_path = folder.annotation_path(root, *job)
        if annotation_path is not None:
            _write(annotation_path, folder.encoded(drawn.annotation))
        _write(folder.image_path(root, *job), jpeg.tobytes())
    return len(jobs)


def _write(path: Path, data: bytes) -> None:
    with atomic_write(path, many=True) as file:
        file.write(data)
