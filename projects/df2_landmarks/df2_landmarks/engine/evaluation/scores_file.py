"""``scores.json``: the scores of an evaluation as plain data, written as soon as they are known."""

from __future__ import annotations

import contextlib
import json
import logging
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from df2_landmarks.common import UserError, atomic_write

logger = logging.getLogger(__name__)

SCORES_FILE = "scores.json"
TASKS = ("bbox", "segm", "landmarks", "visibility", "errors")
PER_CATEGORY = "AP-"
"""Start of the names that Detectron2 gives to the AP of a category."""


class ScoresFile:
    """The scores of one evaluation: data set -> task -> numbers, fractions 0..1.

    A task that was not evaluated, or has no ground truth, is null, and so is an undefined number.
    Used in the main process only.

    Example:
        >>> scores = ScoresFile(".", weights="model_final.pth")
        >>> scores.add("validation", bbox=fractions({"AP": 62.5, "AP-skirt": 25.0}))
        >>> import json, pathlib
        >>> content = json.loads(pathlib.Path("scores.json").read_text())
        >>> content["validation"]["bbox"]
        {'AP': 0.625, 'per_category': {'skirt': 0.25}}
    """

    def __init__(self, folder: str | Path, **evaluated: Any) -> None:
        """
        Args:
            folder: folder of the file; an older file there is replaced by the first scores.
            evaluated: what was evaluated, if known: ``weights`` (file) or ``iterations``.
        """
        self.path = Path(folder, SCORES_FILE)
        self._evaluated = evaluated
        self._content: dict[str, dict[str, Any]] = {}

    def add(self, dataset_name: str, **tasks: Any) -> None:
        """Add the scores of tasks on a data set and write the file, if it can be written."""
        empty = {**self._evaluated, **dict.fromkeys(TASKS)}
        self._content.setdefault(dataset_name, empty).update(tasks)
        with scores_come_first(), atomic_write(self.path) as file:
            file.write(json.dumps(self._content, indent=1, allow_nan=False).encode() + b"\n")


@contextlib.contextmanager
def scores_come_first() -> Iterator[None]:
    """Go on without a file that cannot be written: the scores are still to come."""
    try:
        yield
    except UserError as error:
        logger.warning(f"{error}; going on without it")


def fractions(percent: Mapping[str, float]) -> dict[str, Any]:
    """Return Detectron2's percent as fractions, None where undefined; categories apart.

    Example:
        >>> fractions({"AP": 50.0, "APs": float("nan"), "AP-skirt": 75.0})
        {'AP': 0.5, 'APs': None, 'per_category': {'skirt': 0.75}}
    """
    values = {k: v / 100 if math.isfinite(v) else None for k, v in percent.items()}
    return {
        **{k: v for k, v in values.items() if not k.startswith(PER_CATEGORY)},
        "per_category": {
            k.removeprefix(PER_CATEGORY): v for k, v in values.items() if k.startswith(PER_CATEGORY)
        },
    }
