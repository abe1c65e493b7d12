"""The folder of a drawn data set: its tree, the record of its drawing, what may go there."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from df2_landmarks.synthetic.fingerprint import TEST, annotation_name
from df2_landmarks.synthetic.scene.scene import Recipe

RECORD = "synthetic.json"
VERSION = 1
"""Of the drawing: to be raised when the same recipe gives other files."""
BYTES_PER_PIXEL = 0.5
"""Generous estimate of a picture and its annotation, for the check of the disk."""


def image_path(root: Path, split: str, index: int) -> Path:
    """File of picture ``index`` (0-based)."""
    return root / split / "image" / f"{index + 1:06d}.jpg"


def annotation_path(root: Path, split: str, index: int) -> Path | None:
    """File of the annotation of picture ``index`` (0-based); None in the test split."""
    return None if split == TEST else root / split / "annos" / annotation_name(index)


def is_done(root: Path, split: str, index: int) -> bool:
    """Whether a picture and its annotation are there."""
    paths = (image_path(root, split, index), annotation_path(root, split, index))
    return all(path is None or path.is_file() for path in paths)


def recorded_fingerprint(root: Path, recipe: Recipe, splits: Mapping[str, int]) -> str | None:
    """The fingerprint of a complete data set of exactly this recipe and size, or None."""
    if not (root / RECORD).is_file():
        return None
    record = _read(root / RECORD)
    wanted = _record(recipe, splits, record.get("fingerprint"))
    return record["fingerprint"] if record == wanted else None


def prepare(root: Path, recipe: Recipe, splits: Mapping[str, int], *, resume: bool) -> None:
    """Checks the folder before anything is written, then makes the tree.

    Raises:
        ValueError: it holds something else, or another data set.
        OSError: the disk has no room.
    """
    if root.exists() and not root.is_dir():
        raise ValueError(f"{root}: expected a folder, but it is a file; give another --output")
    if (root / RECORD).is_file():
        if not resume:
            raise ValueError(
                f"{root}: there is a synthetic data set already, incomplete or drawn otherwise; "
                "complete it with --resume, or give another --output"
            )
        _check_same(root, recipe, splits)
    elif root.is_dir() and any(root.iterdir()):
        raise ValueError(
            f"{root}: expected an empty folder or a synthetic data set, but found other files; "
            "give another --output"
        )
    _check_room(root, int(sum(splits.values()) * 1.3 * recipe.size_px**2 * BYTES_PER_PIXEL))
    for split, count in splits.items():
        for path in (image_path(root, split, 0), annotation_path(root, split, 0)):
            if path is not None and count:
                path.parent.mkdir(parents=True, exist_ok=True)
    write_record(root, recipe, splits, None)


def write_record(
    root: Path, recipe: Recipe, splits: Mapping[str, int], fingerprint: str | None
) -> None:
    """Notes how the folder is drawn; without a fingerprint it is not complete."""
    text = json.dumps(_record(recipe, splits, fingerprint), indent=1)
    write_whole(root / RECORD, text.encode())


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file that is either whole or not there."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    os.replace(part, path)


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
    raise ValueError(
        f"{path}: expected the record of a drawn data set, but it is damaged; remove the folder"
    )


def _check_same(root: Path, recipe: Recipe, splits: Mapping[str, int]) -> None:
    before, now = _read(root / RECORD), _record(recipe, splits, None)
    different = sorted(k for k, v in now["recipe"].items() if before["recipe"].get(k) != v)
    if before.get("version") != VERSION:
        different.append("version of this program")
    if different:
        raise ValueError(
            f"{root}: was drawn with another {', '.join(different)}; "
            "give the same options, or another --output"
        )
    for split, count in before["splits"].items():
        if splits.get(split, 0) < count:
            raise ValueError(
                f"{root}: expected at least the {count} {split} pictures that were begun, "
                f"but got {splits.get(split, 0)}; ask for more, or give another --output"
            )


def _check_room(root: Path, needed: int) -> None:
    home = next(folder for folder in (root, *root.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(home).free
    if free < needed:
        raise OSError(
            f"{root}: needs about {needed >> 20} MiB, but {free >> 20} MiB are free; "
            "draw fewer pictures, or give another --output"
        )
