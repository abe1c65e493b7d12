"""A hash over all annotations of a data set: equal fingerprints, equal labels."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from df2_landmarks.synthetic.picture import plan_picture
from df2_landmarks.synthetic.scene.scene import SPLITS, Recipe

HEX_DIGITS = 16
TEST = "test"
"""The split without annotations."""


def fingerprint(root: str | os.PathLike[str]) -> str:
    """Fingerprint of the annotation files below a folder."""
    paths = (
        path
        for split in SPLITS
        for path in sorted((Path(root) / split / "annos").glob("[0-9]*.json"))
    )
    return _digest((f"{p.parent.parent.name}/{p.name}", p.read_bytes()) for p in paths)


def fingerprint_of(recipe: Recipe, splits: Mapping[str, int]) -> str:
    """Fingerprint that a data set of that recipe will have; nothing is drawn or written."""
    return _digest(
        (
            f"{split}/{annotation_name(index)}",
            encoded(plan_picture(recipe, split, index).annotation),
        )
        for split in SPLITS
        if split != TEST
        for index in range(splits.get(split, 0))
    )


def annotation_name(index: int) -> str:
    """File name of the annotation of picture ``index`` (0-based)."""
    return f"{index + 1:06d}.json"


def encoded(annotation: dict[str, Any]) -> bytes:
    """An annotation as it stands in its file."""
    return json.dumps(annotation, separators=(",", ":")).encode()


def _digest(files: Iterable[tuple[str, bytes]]) -> str:
    digest = hashlib.sha256()
    for name, data in files:
        digest.update(f"{name}\n".encode() + data)
    return digest.hexdigest()[:HEX_DIGITS]
