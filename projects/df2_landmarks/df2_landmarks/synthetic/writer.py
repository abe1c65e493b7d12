"""The data set on disk: raw layout, written by any number of processes, resumable."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import cv2

from df2_landmarks.synthetic.difficulty import MODERATE, Difficulty
from df2_landmarks.synthetic.fingerprint import TEST, annotation_name, encoded, fingerprint
from df2_landmarks.synthetic.picture import draw_picture
from df2_landmarks.synthetic.scene import SPLITS, Recipe

MARKER = "synthetic.json"
FORMAT = 1
BYTES_PER_PIXEL = 0.5
"""Generous estimate of a picture and its annotation, for the check of the disk."""
MIN_SIZE_PX, MAX_SIZE_PX = 64, 2048
BALANCES = ("uniform", "real")
Progress = Callable[[int, int], None]


def write_dataset(
    root: str | os.PathLike[str],
    splits: Mapping[str, int],
    *,
    seed: int = 0,
    size_px: int = 340,
    balance: str = "uniform",
    difficulty: Difficulty = MODERATE,
    landmark_noise: bool = False,
    quirks: bool = False,
    workers: int = 1,
    resume: bool = False,
    progress: Progress | None = None,
) -> str:
    """Draws a synthetic DeepFashion2 in the raw layout.

    ``root/{train,validation,test}/image/000001.jpg``, and ``annos/000001.json`` beside ``image``
    in all splits but test. A picture depends on the seed, its split and its number only.

    Args:
        root: new or empty folder, or one that an earlier run began.
        splits: "train", "validation", "test" -> number of pictures.
        seed: of everything.
        size_px: nominal short side of the pictures.
        balance: "uniform", or "real" for the published long tail.
        difficulty: what the scenes are like.
        landmark_noise: the training labels differ from what was drawn, as annotators do.
        quirks: put the oddities of the real files into the annotations.
        workers: processes.
        resume: complete or enlarge what is in ``root``.
        progress: called with the number of pictures that are done and of all.

    Returns:
        The fingerprint: a hash over all annotations.

    Raises:
        ValueError: an impossible option, or a folder that holds something else.
        OSError: not enough room on the disk.
    """
    root = Path(root)
    recipe = Recipe(
        seed=seed,
        size_px=size_px,
        balance=balance,
        difficulty=difficulty,
        landmark_noise=landmark_noise,
        quirks=quirks,
    )
    _check(recipe, splits, workers)
    _prepare(root, recipe, splits, resume)
    jobs = [job for job in _jobs(splits) if not (resume and _is_done(root, *job))]
    total = sum(splits.values())
    for done, _ in enumerate(_run(partial(_write_picture, root, recipe), jobs, workers), start=1):
        if progress is not None:
            progress(total - len(jobs) + done, total)
    result = fingerprint(root)
    _write_marker(root, recipe, splits, result)
    return result


def image_path(root: Path, split: str, index: int) -> Path:
    """File of picture ``index`` (0-based)."""
    return root / split / "image" / f"{index + 1:06d}.jpg"


def annotation_path(root: Path, split: str, index: int) -> Path | None:
    """File of the annotation of picture ``index`` (0-based); None in the test split."""
    return None if split == TEST else root / split / "annos" / annotation_name(index)


def _check(recipe: Recipe, splits: Mapping[str, int], workers: int) -> None:
    unknown = sorted(set(splits) - set(SPLITS))
    if unknown:
        raise ValueError(f"splits must be among {', '.join(SPLITS)}, but got {', '.join(unknown)}")
    for split, count in splits.items():
        if not 0 <= count <= 999_999:
            raise ValueError(f"number of {split} pictures must be 0..999999, but got {count}")
    if not MIN_SIZE_PX <= recipe.size_px <= MAX_SIZE_PX:
        raise ValueError(f"size must be {MIN_SIZE_PX}..{MAX_SIZE_PX} px, but got {recipe.size_px}")
    if recipe.balance not in BALANCES:
        raise ValueError(f"balance must be {' or '.join(BALANCES)}, but got {recipe.balance!r}")
    if recipe.seed < 0:
        raise ValueError(f"seed must be 0 or more, but got {recipe.seed}")
    if workers < 1:
        raise ValueError(f"workers must be 1 or more, but got {workers}")


def _prepare(root: Path, recipe: Recipe, splits: Mapping[str, int], resume: bool) -> None:
    """Checks the folder before anything is written, then makes the tree."""
    if root.exists() and not root.is_dir():
        raise ValueError(f"{root}: expected a folder, but it is a file; give another --output")
    marker = root / MARKER
    if marker.is_file():
        if not resume:
            raise ValueError(
                f"{root}: there is a synthetic data set already; "
                "complete it with --resume, or give another --output"
            )
        _check_same(marker, recipe)
    elif root.is_dir() and any(root.iterdir()):
        raise ValueError(
            f"{root}: expected an empty folder or a synthetic data set, but found other files; "
            "give another --output"
        )
    needed = int(sum(splits.values()) * 1.3 * recipe.size_px**2 * BYTES_PER_PIXEL)
    home = next(folder for folder in (root, *root.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(home).free
    if free < needed:
        raise OSError(
            f"{root}: needs about {needed >> 20} MiB, but {free >> 20} MiB are free; "
            "draw fewer pictures, or give another --output"
        )
    for split, count in splits.items():
        if count:
            for path in (image_path(root, split, 0), annotation_path(root, split, 0)):
                if path is not None:
                    path.parent.mkdir(parents=True, exist_ok=True)
    root.mkdir(parents=True, exist_ok=True)
    _write_marker(root, recipe, splits, None)


def _check_same(marker: Path, recipe: Recipe) -> None:
    try:
        before = json.loads(marker.read_bytes())["recipe"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{marker}: expected the record of a run; remove the folder") from None
    now = json.loads(json.dumps(asdict(recipe)))
    different = sorted(key for key in now if before.get(key) != now[key])
    if different:
        raise ValueError(
            f"{marker.parent}: was drawn with another {', '.join(different)}; "
            "give the same options, or another --output"
        )


def _write_marker(
    root: Path, recipe: Recipe, splits: Mapping[str, int], result: str | None
) -> None:
    record = {
        "format": FORMAT,
        "recipe": asdict(recipe),
        "splits": dict(splits),
        "fingerprint": result,
    }
    _write(root / MARKER, json.dumps(record, indent=1).encode())


def _jobs(splits: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    return ((split, index) for split in SPLITS for index in range(splits.get(split, 0)))


def _is_done(root: Path, split: str, index: int) -> bool:
    annotation = annotation_path(root, split, index)
    return image_path(root, split, index).is_file() and (annotation is None or annotation.is_file())


def _run(
    write: Callable[[tuple[str, int]], None], jobs: list[tuple[str, int]], workers: int
) -> Iterable[None]:
    if workers == 1 or len(jobs) < 2:
        yield from map(write, jobs)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, cv2.setNumThreads, (1,)) as pool:
        try:
            yield from pool.map(write, jobs, chunksize=8)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _write_picture(root: Path, recipe: Recipe, job: tuple[str, int]) -> None:
    drawn = draw_picture(recipe, *job)
    done, data = cv2.imencode(".jpg", drawn.image, [cv2.IMWRITE_JPEG_QUALITY, drawn.jpeg_quality])
    assert done
    annotation = annotation_path(root, *job)
    if annotation is not None:
        _write(annotation, encoded(drawn.annotation))
    _write(image_path(root, *job), data.tobytes())


def _write(path: Path, data: bytes) -> None:
    """Writes a file that is either whole or not there."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    os.replace(part, path)


def picture_records(root: str | os.PathLike[str], split: str) -> Iterator[dict[str, Any]]:
    """Annotations of a split that was written, in order."""
    for path in sorted((Path(root) / split / "annos").glob("[0-9]*.json")):
        yield json.loads(path.read_bytes())
