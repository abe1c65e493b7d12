"""``metrics.json``: the numbers that a training has written."""

from __future__ import annotations

import json
import math
from pathlib import Path

from df2_landmarks.common import UserError

Curves = dict[str, dict[int, float]]
"""Name of a number in metrics.json -> iteration -> value."""

ITERATION = "iteration"


def read_metrics(path: Path) -> Curves:
    """Read the numbers that a training has written.

    Lines that are cut off are left out, and so are numbers that are not finite. A line of an
    earlier iteration than the line before it is that of a resumed training: what was written of
    later iterations before is dropped.

    Args:
        path: metrics.json.

    Returns:
        Name -> iteration -> value, iterations in ascending order.

    Raises:
        UserError: the file cannot be read, or has no line of a training.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read: {error.strerror}; give the output folder of a training"
        ) from error
    rows: dict[int, dict[str, float]] = {}
    last = -1
    for line in lines:
        numbers = _numbers(line)
        if ITERATION not in numbers:
            continue
        iteration = int(numbers.pop(ITERATION))
        if iteration < last:
            rows = {i: row for i, row in rows.items() if i < iteration}
        rows.setdefault(iteration, {}).update(numbers)
        last = iteration
    if not rows:
        raise UserError(
            f"{path}: expected lines of a training, such as "
            '{"iteration": 19, "total_loss": 2.5}, but there is none; give the output folder of a '
            "training that has run for 20 iterations"
        )
    curves: Curves = {}
    for iteration, row in rows.items():
        for name, value in row.items():
            curves.setdefault(name, {})[iteration] = value
    return curves


def _numbers(line: str) -> dict[str, float]:
    """Return the finite numbers of a line; none if it is cut off."""
    try:
        content = json.loads(line)
    except ValueError:
        return {}
    if not isinstance(content, dict):
        return {}
    return {
        name: value
        for name, value in content.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }
