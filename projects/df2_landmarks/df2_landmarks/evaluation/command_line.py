"""What the command line tools of this layer share: exit codes, output, arguments."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from df2_landmarks.evaluation.ground_truth import GroundTruth
from df2_landmarks.evaluation.ground_truth_reader import read_ground_truth


def run_tool(name: str, command: Callable[[], None]) -> int:
    """Runs a command; its errors become one line on stderr.

    Returns:
        The exit code: 0 fine, 1 wrong data, 130 interrupted.
    """
    try:
        command()
    except (OSError, ValueError) as error:
        return _fail(f"{name}: {error}", 1)
    except KeyboardInterrupt:
        return _fail(f"{name}: interrupted", 130)
    return 0


def say(text: str) -> None:
    """Prints text at once. Where the reader had enough (``| head``) it goes nowhere from then on,
    and the command is carried out all the same.

    Raises:
        OSError: the output cannot be written, such as to a full disk.
    """
    try:
        print(text, flush=True)  # noqa: T201
    except OSError as error:
        sys.stdout = None  # nothing more to flush at exit
        if not isinstance(error, BrokenPipeError):
            raise


def check_output(option: str, path: str) -> None:
    """Raises ValueError if a file cannot be written there because it is a folder."""
    if Path(path).is_dir():
        raise ValueError(f"{option} {path}: must be a file, but is a folder")


def read_truth(path: str) -> GroundTruth:
    """Reads a ground truth; FileNotFoundError with the remedy if it is not there."""
    if not Path(path).exists():
        raise FileNotFoundError(
            f"{path}: there is no such ground truth; `make convert` writes it into the annotations "
            "folder of the data, and --gt (GT= or DATA= of make) names another one"
        )
    return read_ground_truth(path)


def read_annotated(path: str) -> GroundTruth:
    """Reads a ground truth that is not that of a test split; ValueError if it is."""
    ground_truth = read_truth(path)
    if not ground_truth.has_annotations:
        raise ValueError(f"{path}: has no annotations; give the training or validation split")
    return ground_truth


def _fail(message: str, code: int) -> int:
    print(message, file=sys.stderr)  # noqa: T201
    return code
