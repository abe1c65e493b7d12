"""The files of one split: which there are, in order of image id."""

from __future__ import annotations

import heapq
import os
from pathlib import Path

from converters.raw.problems import Problem, UsageError

IMAGE_SUFFIX = ".jpg"
ANNOTATION_SUFFIX = ".json"
MAX_DIGITS = 15

_NAME_RULE = "the file name must be a number, like 000001{}"


def list_numbered(
    folder: Path, suffix: str, limit: int | None = None
) -> tuple[list[str], list[Problem]]:
    """Names without suffix ("000001") of the files of a folder, in order of their number.

    Hidden files and files with another suffix are not part of the data set and are left out.

    Args:
        folder: where to look.
        suffix: with the dot.
        limit: return only the first of them.

    Returns:
        The names, and a problem for each file whose name is not a number or repeats the number of
        another one (000001 and 1).

    Raises:
        UsageError: the folder is missing, or holds no such file.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: expected a folder of *{suffix} files, there is none")
    names = [name for name in os.listdir(folder) if name.endswith(suffix) and name[0] != "."]
    stems = [name.removesuffix(suffix) for name in names]
    problems = [
        Problem("bad_file_name", str(folder / (stem + suffix)), None, _NAME_RULE.format(suffix))
        for stem in sorted(stems)
        if not _is_number(stem)
    ]
    stems = [stem for stem in stems if _is_number(stem)]
    if not stems and not problems:
        raise UsageError(f"{folder}: expected files like 000001{suffix}, there are none")
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
    """Number of the files that ``list_numbered`` would look at."""
    with os.scandir(folder) as entries:
        return sum(e.name.endswith(suffix) and not e.name.startswith(".") for e in entries)


def _is_number(stem: str) -> bool:
    return stem.isascii() and stem.isdigit() and len(stem) <= MAX_DIGITS


def _order(stem: str) -> tuple[int, str]:
    return int(stem), stem
