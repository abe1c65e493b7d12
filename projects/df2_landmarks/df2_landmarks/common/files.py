"""Files and folders that appear whole or not at all, and outputs that are tried before the work."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from df2_landmarks.common.errors import UserError


@contextmanager
def atomic_path(path: str | Path, *, keep_leftovers: bool = False) -> Iterator[Path]:
    """Give a temporary path beside ``path``; it takes that name when the block ends without error.

    The block writes a file or a folder there. After an error nothing is left, and an older file of
    that name stays as it was. A killed process leaves its temporary path behind; the next run for
    the same name removes it.

    Args:
        path: the file or folder to make. Missing parent folders are made.
        keep_leftovers: do not remove what killed processes left for this name. Looking for it lists
            the folder, which is slow for thousands of files: call `remove_leftovers` once instead.

    Raises:
        UserError: the folder or the file cannot be written.

    Example:
        >>> with atomic_path("scores.json") as temporary:  # doctest: +SKIP
        ...     temporary.write_text("{}")
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not keep_leftovers:
            remove_leftovers(path.parent, path.name)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        # An error with another file's name is about what the block reads, not about this output.
        named = Path(str(error.filename or path))
        if named not in (path, *path.parents) and not named.is_relative_to(temporary):
            raise
        raise UserError(f"{path}: cannot be written: {error.strerror}", exit_code=2) from error
    finally:
        _remove(temporary)


@contextmanager
def atomic_write(path: str | Path, *, keep_leftovers: bool = False) -> Iterator[BinaryIO]:
    """Open a file for writing bytes; it appears under its name when the block ends without error.

    Args:
        path: the file to write. Missing parent folders are made.
        keep_leftovers: as of `atomic_path`.

    Raises:
        UserError: the folder or the file cannot be written.
    """
    writing = atomic_path(path, keep_leftovers=keep_leftovers)
    with writing as temporary, open(temporary, "w+b") as file:
        yield file


def remove_leftovers(folder: str | Path, name: str | None = None) -> None:
    """Remove the temporary paths that killed processes left in a folder.

    Args:
        folder: where to look.
        name: of the file or folder that they were for; None for any.
    """
    target = ".+" if name is None else re.escape(name)
    leftover = re.compile(rf"\.{target}\.([0-9]+)\.partial(\.[a-z0-9]+)?\Z")
    for entry in os.scandir(folder):
        match = leftover.match(entry.name)
        if match and not _is_running(int(match[1])):
            _remove(Path(entry.path))


def check_output_file(option: str, path: str | Path) -> None:
    """Check before the work that a file can be written.

    Args:
        option: what named it, for the message, such as "--json".
        path: the file.

    Raises:
        UserError: it is a folder, or its folder does not exist.
    """
    if Path(path).is_dir():
        raise UserError(f"{option} {path}: must be a file, but is a folder")
    if not Path(path).resolve().parent.is_dir():
        raise UserError(f"{option} {path}: its folder does not exist; make it, or name another one")


def make_output_folder(folder: str | Path, option: str) -> None:
    """Make a folder, and those above it, unless it exists.

    Args:
        folder: the folder.
        option: what named it, for the message, such as "OUTPUT_DIR".

    Raises:
        UserError: it cannot be made, or nothing can be written into it.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{option} {folder}: the folder cannot be made ({error.strerror}); name another one"
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"{option} {folder}: the folder cannot be written to; name another one")


def _remove(path: Path) -> None:
    with suppress(OSError):  # it was never made, or another run has removed it
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def _is_running(process_id: int) -> bool:
    try:
        with suppress(PermissionError, OverflowError):  # of another user, or no process number
            os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True
