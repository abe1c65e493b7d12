"""A user's mistake ends with one line; a mistake of the program with its traceback."""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

USER_ERRORS = (ValueError, FileNotFoundError, KeyError)
"""What this package raises deliberately for a user's mistake (asserts are for its own)."""

_OWN_FOLDER = str(Path(__file__).parents[1])


def run_cli(main: Callable[[], int | None], program: str) -> int:
    """Run `main` and return an exit code: 1 after one line on stderr for a user's mistake.

    Raises:
        Exception: whatever is not a user's mistake.
    """
    try:
        return main() or 0
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)  # noqa: T201
        return 130
    except Exception as error:
        message = user_message(error)
        if message is None:
            raise
        print(f"{program}: {message}", file=sys.stderr)  # noqa: T201
        return 1


def user_message(error: Exception) -> str | None:
    """The line to show for an error that this package raised on purpose, else None.

    Such an error is one of `USER_ERRORS` and was raised by a file of this package. Errors of data
    loading and of training processes arrive wrapped, with the original traceback as text.
    """
    text = str(error.args[0]) if error.args else ""
    if "Traceback (most recent call last)" in text:
        return _message_of_wrapped(text)
    if isinstance(error, USER_ERRORS) and _raised_in_package(error.__traceback__):
        return text
    return None


def _raised_in_package(trace: TracebackType | None) -> bool:
    frames = traceback.extract_tb(trace)
    return bool(frames) and _is_own(frames[-1].filename)


def _message_of_wrapped(text: str) -> str | None:
    files = re.findall(r'^\s*File "([^"]+)"', text, flags=re.MULTILINE)
    last_line = text.strip().splitlines()[-1]
    name, _, message = last_line.partition(": ")
    own_class = name.startswith("df2_landmarks.")  # such as evaluation's DataError
    is_user_error = own_class or name in {error.__name__ for error in USER_ERRORS}
    if is_user_error and files and _is_own(files[-1]):
        return message
    return None


def _is_own(filename: str) -> bool:
    return filename.startswith(_OWN_FOLDER + os.sep)
