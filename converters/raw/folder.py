"""The numbered files of one split, in order of image id."""

from __future__ import annotations

import heapq
import os
from pathlib import Path

from converters.raw.problems import Problem
from df2_landmarks.common import UserError

IMAGE_SUFFIX = ".jpg"
ANNOTATION_SUFFIX = ".json"
SPLITS = ("train", "validation", "test")
MAX_DIGITS = 15


def list_splits(root: Path) -> list[str]:
    """List the splits that have a folder in the data folder ``root``.

    Raises:
        UserError: there is none.
    """
    splits = [name for name in SPLITS if os.path.isdir(root / name)]
    if not splits:
        raise UserError(
            f"{root}: expected a folder train, validation or test in it, there is none; "
            "see datasets/README.md",
            exit_code=2,
        )
    return splits


def split_folders(root: Path, name: str) -> tuple[Path, Path | None]:
    """Return the folders of the images and of the annotation files of a split, there or not.

    Only a test split may be without annotations (None): those of the real one were never released.
    """
    images, annotations = root / name / "image", root / name / "annos"
    return images, None if name == "test" and not os.path.isdir(annotations) else annotations


def list_numbered(
    folder: Path, suffix: str, limit: int | None = None
) -> tuple[list[str], list[Problem]]:
    """List the names without suffix ("000001") of the files of a folder, in order of their number.

    Hidden files and files with another suffix do not belong to the data set and are left out.

    Args:
        folder: where to look.
        suffix: with the dot.
        limit: return only the first of them.

    Returns:
        The names, and a problem for each file whose name is not a number or repeats the number of
        another one (000001 and 1).

    Raises:
        UserError: the folder is missing, cannot be read, or has no such file.
    """
    stems = _stems(folder, suffix)
    if not stems:
        raise UserError(
            f"{folder}: expected files like 000001{suffix}, there are none", exit_code=2
        )
    name_rule = f"the file name must be a number, like 000001{suffix}"
    problems = [
        Problem("bad_file_name", str(folder / (stem + suffix)), None, name_rule)
        for stem in sorted(stems)
        if not _is_number(stem)
    ]
    stems = [stem for stem in stems if _is_number(stem)]
    stems = sorted(stems, key=_order) if limit is None else heapq.nsmallest(limit, stems, _order)
    unique: list[str] = []
    for stem in stems:
        if unique and int(unique[-1]) == int(stem):
            message = f"has the same number as {unique[-1]}{suffix}; remove one of the two"
            path = str(folder / (stem + suffix))
            problems.append(Problem("duplicate_image_id", path, None, message))
        else:
            unique.append(stem)
    return unique, problems


def count_files(folder: Path, suffix: str) -> int:
    """Count the files that `list_numbered` looks at.

    Raises:
        UserError: the folder is missing or cannot be read.
    """
    return len(_stems(folder, suffix))


def _stems(folder: Path, suffix: str) -> list[str]:
    if not os.path.isdir(folder):
        raise UserError(
            f"{folder}: expected a folder of *{suffix} files, there is none", exit_code=2
        )
    try:
        names = os.listdir(folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot be read: {error.strerror}", exit_code=2) from None
    return [n.removesuffix(suffix) for n in names if n.endswith(suffix) and n[0] != "."]


def _is_number(stem: str) -> bool:
    return stem.isascii() and stem.isdigit() and len(stem) <= MAX_DIGITS


def _order(stem: str) -> tuple[int, str]:
    return int(stem), stem
