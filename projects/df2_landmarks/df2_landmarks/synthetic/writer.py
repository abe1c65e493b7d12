"""Writing a data set: any number of processes, whole files only, resumable."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2

from df2_landmarks.synthetic import folder
from df2_landmarks.synthetic.difficulty import MODERATE, Difficulty
from df2_landmarks.synthetic.fingerprint import encoded, fingerprint
from df2_landmarks.synthetic.picture import draw_picture
from df2_landmarks.synthetic.scene.scene import SPLITS, Recipe

MIN_SIZE_PX, MAX_SIZE_PX, MAX_PICTURES = 64, 2048, 999_999
BALANCES = ("uniform", "real")
Job = tuple[str, int]
Progress = Callable[[int, int], None]


class OptionError(ValueError):
    """An option that no data set can be drawn with."""


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
    in all splits but test. A picture depends on the seed, its split and its number only. When
    exactly this data set is there already, nothing is drawn.

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
        OptionError: an impossible option.
        ValueError: a folder that holds something else.
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
    known = folder.recorded_fingerprint(root, recipe, splits)
    if known is not None and all(folder.is_done(root, *job) for job in _jobs(splits)):
        return known
    folder.prepare(root, recipe, splits, resume=resume or known is not None)
    jobs = [job for job in _jobs(splits) if not folder.is_done(root, *job)]
    total = sum(splits.values())
    for done, _ in enumerate(_run(partial(_write_picture, root, recipe), jobs, workers), start=1):
        if progress is not None:
            progress(total - len(jobs) + done, total)
    result = fingerprint(root)
    folder.write_record(root, recipe, splits, result)
    return result


def _check(recipe: Recipe, splits: Mapping[str, int], workers: int) -> None:
    unknown = sorted(set(splits) - set(SPLITS))
    if unknown:
        raise OptionError(f"splits must be among {', '.join(SPLITS)}, but got {', '.join(unknown)}")
    for split, count in splits.items():
        if not 0 <= count <= MAX_PICTURES:
            raise OptionError(f"number of {split} pictures must be 0..999999, but got {count}")
    if not sum(splits.values()):
        raise OptionError("number of pictures must be 1 or more, but got 0 in every split")
    if not MIN_SIZE_PX <= recipe.size_px <= MAX_SIZE_PX:
        raise OptionError(f"size must be {MIN_SIZE_PX}..{MAX_SIZE_PX} px, but got {recipe.size_px}")
    if recipe.balance not in BALANCES:
        raise OptionError(f"balance must be {' or '.join(BALANCES)}, but got {recipe.balance!r}")
    if recipe.seed < 0:
        raise OptionError(f"seed must be 0 or more, but got {recipe.seed}")
    if workers < 1:
        raise OptionError(f"workers must be 1 or more, but got {workers}")


def _jobs(splits: Mapping[str, int]) -> Iterator[Job]:
    return ((split, index) for split in SPLITS for index in range(splits.get(split, 0)))


def _run(write: Callable[[Job], None], jobs: list[Job], workers: int) -> Iterable[None]:
    if workers == 1 or len(jobs) < 2:
        yield from map(write, jobs)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start_worker) as pool:
        try:
            yield from pool.map(write, jobs, chunksize=8)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _start_worker() -> None:
    """One thread a process; an interrupt is for the parent, which lets the pictures finish."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)


def _write_picture(root: Path, recipe: Recipe, job: Job) -> None:
    drawn = draw_picture(recipe, *job)
    done, data = cv2.imencode(".jpg", drawn.image, [cv2.IMWRITE_JPEG_QUALITY, drawn.jpeg_quality])
    assert done
    annotation = folder.annotation_path(root, *job)
    if annotation is not None:
        folder.write_whole(annotation, encoded(drawn.annotation))
    folder.write_whole(folder.image_path(root, *job), data.tobytes())
