"""Files and folders that appear whole or not at all, and outputs that are tried before the work."""

from __future__ import annotations

import hashlib
import itertools
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO

from df2_landmarks.common.errors import UserError

_NUMBERS = itertools.count()


@contextmanager
def atomic_path(path: str | Path, *, many: bool = False) -> Iterator[Path]:
    """Give a temporary path beside ``path``; it takes that name when the block ends without error.

    The block writes a file or a folder there. After an error nothing is left, and an older file of
    that name stays as it was. What was written is on the disk before it takes the name. A killed
    process leaves its temporary path behind; the next run for the same name removes it.

    A link is followed: the file that it names is replaced, and the link stays. What exists and is
    no file (a device such as ``/dev/stdout``, a pipe) is not replaced: the content is copied there.

    Args:
        path: the file or folder to make. Missing parent folders are made.
        many: it is one of thousands. Then nobody looks for what killed processes left for this name
            (call `remove_leftovers` once instead), or waits for the disk.

    Raises:
        UserError: the folder or the file cannot be written.

    Example:
        >>> with atomic_path("scores.json") as temporary:  # doctest: +SKIP
        ...     temporary.write_text("{}")
    """
    path = Path(path)
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    if target.exists() and not target.is_file() and not target.is_dir():
        with _copied_to(target) as temporary:
            yield temporary
        return
    temporary = target.with_name(_temporary_name(target.name))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not many:
            remove_leftovers(target.parent, target.name)
        yield temporary
        if not many and temporary.is_file():  # not a folder of perhaps thousands
            _sync(temporary)
        os.replace(temporary, target)
        if not many:
            _sync(target.parent)
    except OSError as error:
        # An error with another file's name is about what the block reads, not about this output.
        named = Path(str(error.filename or target))
        if named not in (target, *target.parents) and not named.is_relative_to(temporary):
            raise
        raise UserError(f"{path}: cannot be written: {error.strerror}", exit_code=2) from error
    finally:
        _remove(temporary)


@contextmanager
def atomic_write(path: str | Path, *, many: bool = False) -> Iterator[BinaryIO]:
    """Open a file for writing bytes; it appears under its name when the block ends without error.

    Args:
        path: the file to write, as of `atomic_path`.
        many: as of `atomic_path`.

    Raises:
        UserError: the folder or the file cannot be written.
    """
    with atomic_path(path, many=many) as temporary, open(temporary, "w+b") as file:
        yield file


def remove_leftovers(folder: str | Path, name: str | None = None) -> None:
    """Remove the temporary paths that killed processes of this machine left in a folder.

    Args:
        folder: where to look.
        name: of the file or folder that they were for; None for any.
    """
    target = ".+" if name is None else re.escape(name)
    leftover = re.compile(rf"\.{target}\.{_machine()}-([0-9]+)-[0-9]+\.partial(\.[a-z0-9]+)?\Z")
    for entry in os.scandir(folder):
        match = leftover.match(entry.name)
        if match and not _is_running(int(match[1])):
            _remove(Path(entry.path))


@contextmanager
def locked_folder(folder: str | Path, option: str) -> Iterator[None]:
    """Let no other process into a folder that is locked in this way, until the block ends.

    The lock ends with its process, however that ends. Where the file system has no locks, a folder
    is not locked.

    Args:
        folder: an existing folder.
        option: what named it, for the message, such as "OUTPUT_DIR".

    Raises:
        UserError: another process has locked it.
    """
    with open(Path(folder, ".lock"), "a+") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise UserError(
                f"{option} {folder}: process {file.read(20).strip()} is writing into this folder; "
                "wait for its end, or name another folder"
            ) from None
        except (ImportError, OSError):  # Windows, and some network file systems
            pass
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


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


@contextmanager
def _copied_to(device: Path) -> Iterator[Path]:
    """Give a temporary path; what is written there is copied to a device or a pipe."""
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder, "content")
        yield temporary
        try:
            with temporary.open("rb") as content, device.open("wb") as stream:
                shutil.copyfileobj(content, stream)
        except OSError as error:
            raise UserError(
                f"{device}: cannot be written: {error.strerror}", exit_code=2
            ) from error


def _temporary_name(name: str) -> str:
    """Return a name that no other process, and nothing else in this one, uses."""
    return f".{name}.{_machine()}-{os.getpid()}-{next(_NUMBERS)}.partial"


@cache
def _machine() -> str:
    """Return six letters for this machine: process numbers of others mean nothing here."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:6]


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    with suppress(OSError):  # of a file system that cannot
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


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
