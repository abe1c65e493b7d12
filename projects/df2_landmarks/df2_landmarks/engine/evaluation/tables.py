"""Results of Detectron2's evaluators as a table of fractions."""

from __future__ import annotations

import math
from collections.abc import Mapping

from df2_landmarks.engine.evaluation.evaluators import TASKS
from df2_landmarks.evaluation import TITLES, number, table

TASK_TITLES = {
    "bbox": "boxes",
    "segm": "masks",
    **{task: f"landmarks, {TITLES[protocol]}" for protocol, task in TASKS.items()},
}
"""Task in the returned dict -> its name in tables."""

COLUMNS = ("AP", "AP50", "AP75")


def augmented_table(
    plain: Mapping[str, Mapping[str, float]], augmented: Mapping[str, Mapping[str, float]]
) -> str:
    """Format the results without and with test-time augmentation beside each other.

    Args:
        plain: task -> name -> percent.
        augmented: the same with augmentation.

    Example:
        >>> box = {"AP": 50.0, "AP50": 75.0, "AP75": float("nan")}
        >>> print(augmented_table({"bbox": box}, {"bbox": {**box, "AP": 52.5}}))
               plain AP   AP50  AP75  augmented AP   AP50  AP75
        -----  --------  -----  ----  ------------  -----  ----
        boxes     0.500  0.750   n/a         0.525  0.750   n/a
    """
    rows = [
        [title, *_cells(plain[task]), *_cells(augmented[task])]
        for task, title in TASK_TITLES.items()
        if task in plain
    ]
    first, *others = COLUMNS
    return table(["", f"plain {first}", *others, f"augmented {first}", *others], rows)


def _cells(percent: Mapping[str, float]) -> list[str]:
    values = (percent[column] for column in COLUMNS)
    return [number(value / 100 if math.isfinite(value) else None) for value in values]
