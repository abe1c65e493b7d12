"""The folder of a drawn data set: its files, their fingerprint, and the record of its drawing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from df2_landmarks.common import (
    UserError,
    atomic_write,
    make_output_folder,
    remove_leftovers,
)
from df2_landmarks.synthetic.recipe import SPLITS, TEST, Recipe

RECORD = "synthetic.json"
VERSION = 1
"""Of the drawing: to be raised when the same recipe gives other files."""
BYTES_PER_PIXEL = 0.5
"""Generous estimate of a picture and its annotation, for the check of the disk."""
HEX_DIGITS = 16


def image_path(root: Path, split: str, index: int) -> Path:
    """Return the file of picture ``index`` (0-based)."""
    return root / split / "image" / f"{index + 1:06d}.jpg"


def annotation_path(root: Path, split: str, index: int) -> Path | None:
    """Return the file of the annotation of picture ``index`` (0-based); None in the test split."""
    return None if split == TEST else root / split / "annos" / f"{index + 1:06d}.json"


def is_done(root: Path, split: str, index: int) -> bool:
    """Return whether a picture and its annotation exist."""
    paths = (image_path(root, split, index), annotation_path(root, split, index))
    return all(path is None or path.is_file() for path in paths)


def encoded(annotation: dict[str, Any]) -> bytes:
    """Return the content of an annotation file."""
    return json.dumps(annotation, separators=(",", ":")).encode()


def fingerprint(root: str | os.PathLike[str]) -> str:
    """Return the fingerprint of the annotation files below a folder: equal if all labels are."""
    return digest(
        (split, int(path.stem) - 1, path.read_bytes())
        for split in SPLITS
        for path in sorted((Path(root) / split / "annos").glob("[0-9]*.json"))
    )


def digest(annotations: Iterable[tuple[str, int, bytes]]) -> str:
    """Return a hash over annotations: split, number (0-based) and content of the file of each."""
    hashed = hashlib.sha256()
    for split, index, content in annotations:
        hashed.update(f"{split}/{index + 1:06d}.json\n".encode() + content)
    return hashed.hexdigest()[:HEX_DIGITS]


def recorded_fingerprint(root: Path, recipe: Recipe, splits: Mapping[str, int]) -> str | None:
    """Return the fingerprint of a complete data set of exactly this recipe and size, or None."""
    if not (root / RECORD).is_file():
        return None
    record = _read(root / RECORD)
    expected = _record(recipe, splits, record.get("fingerprint"))
    return record["fingerprint"] if record == expected else None


def prepare(root: Path, recipe: Recipe, splits: Mapping[str, int], *, resume: bool) -> None:
    """Check the folder before anything is written, then make the tree.

    Raises:
        UserError: it holds something else, or another data set; or the disk has no room.
    """
    if root.exists() and not root.is_dir():
        raise UserError(f"{root}: must be a folder, but is a file; give another --output")
    if (root / RECORD).is_file():
        if not resume:
            raise UserError(
                f"{root}: a synthetic data set exists already, incomplete or drawn otherwise; "
                "complete it with --resume, or give another --output"
            )
        _check_same(root, recipe, splits)
    elif root.is_dir() and any(root.iterdir()):
        raise UserError(
            f"{root}: must be an empty folder or a synthetic data set, but has other files; "
            "give another --output"
        )
    _check_room(root, int(sum(splits.values()) * 1.3 * recipe.size_px**2 * BYTES_PER_PIXEL))
    make_output_folder(root, "--output")
    for split, count in splits.items():
        for path in (image_path(root, split, 0), annotation_path(root, split, 0)):
            if path is not None and count:
                make_output_folder(path.parent, "--output")
                remove_leftovers(path.parent)
    write_record(root, recipe, splits, None)


def write_record(
    root: Path, recipe: Recipe, splits: Mapping[str, int], fingerprint: str | None
) -> None:
    """Record how the folder is drawn; without a fingerprint it is not complete."""
    with atomic_write(root / RECORD) as file:
        file.write(json.dumps(_record(recipe, splits, fingerprint), indent=1).encode())


def _record(recipe: Recipe, splits: Mapping[str, int], fingerprint: str | None) -> dict[str, Any]:
    record = {
        "version": VERSION,
        "recipe": asdict(recipe),
        "splits": dict(splits),
        "fingerprint": fingerprint,
    }
    as_read: dict[str, Any] = json.loads(json.dumps(record))
    return as_read


def _read(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_bytes())
        if isinstance(record["recipe"], dict) and isinstance(record["splits"], dict):
            return dict(record)
    except (ValueError, KeyError, TypeError):
        pass
    raise UserError(
        f"{path}: must be the record of a drawn data set, but it is damaged; remove the folder"
    )


def _check_same(root: Path, recipe: Recipe, splits: Mapping[str, int]) -> None:
    before, now = _read(root / RECORD), _record(recipe, splits, None)
    different = sorted(k for k, v in now["recipe"].items() if before["recipe"].get(k) != v)
    if before.get("version") != VERSION:
        different.append("version of this program")
    if different:
        raise UserError(
            f"{root}: was drawn with another {', '.join(different)}; "
            "give the same options, or another --output"
        )
    for split, count in before["splits"].items():
        if splits.get(split, 0) < count:
            raise UserError(
                f"{root}: must get at least the {count} {split} pictures that were begun, "
                f"but got {splits.get(split, 0)}; give a larger number, or another --output"
            )


def _check_room(root: Path, needed: int) -> None:
    existing = next(folder for folder in (root, *root.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise UserError(
            f"{root}: needs about {needed >> 20} MiB, but {free >> 20} MiB are free; "
            "draw fewer pictures, or give another --output",
            exit_code=2,
        )
