"""Write a file so that other programs see the old one or the complete new one, nothing between."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside ``path``; it takes that name when the block ends without error.

    After an error the temporary file is removed. A process that is killed leaves it behind; the
    next run for the same path removes it.

    Args:
        path: the file to write. Missing folders are made.

    Raises:
        OSError: the folder or the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(temporary, "w+b") as file:
            yield file
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _remove_leftovers(path: Path) -> None:
    name = re.compile(re.escape(f".{path.name}.") + r"([0-9]+)\.partial\Z")
    for entry in os.scandir(path.parent):
        match = name.match(entry.name)
        if match and not _is_running(int(match[1])):
            with contextlib.suppress(FileNotFoundError):  # another run was faster
                os.unlink(entry.path)


def _is_running(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
