"""A file that comes in, counted and hashed on its way to the disk; and why one is refused."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType

from df2_landmarks.common import DISK_FULL, UserError

FREE_BYTES = 1 << 30
"""Bytes that stay free on the disk, for the database and everything else."""

SUFFIX = ".upload"
"""Of temporary files."""


class TooLargeError(UserError):
    """An upload has more bytes than are allowed."""


class DiskFullError(UserError):
    """The disk has no room for an upload."""


class DailyLimitError(UserError):
    """A team has used its submissions of the day."""


class Upload:
    """A file that comes in piece by piece; removed at the end of its block unless it is kept.

    Args:
        folder: where the temporary file is made; on the file system of the final place.
        max_bytes: more are refused.

    Attributes:
        num_bytes: bytes so far.

    Raises:
        DiskFullError: the disk has too little room for an upload of the largest size.

    Example:
        >>> from pathlib import Path
        >>> from df2_landmarks.challenge.board import Upload
        >>> with Upload(Path("."), max_bytes=100) as upload:
        ...     upload.write(b"abc")
        ...     upload.sync()
        ...     upload.keep(Path("kept.zip"))
        >>> Path("kept.zip").read_bytes(), upload.num_bytes
        (b'abc', 3)
    """

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        if shutil.disk_usage(folder).free < max_bytes + FREE_BYTES:
            raise DiskFullError("the disk of the board is nearly full; tell the organizer")
        self.num_bytes = 0
        self._max_bytes = max_bytes
        self._sha256 = hashlib.sha256()
        descriptor, name = tempfile.mkstemp(dir=folder, suffix=SUFFIX)
        self._file, self._path = os.fdopen(descriptor, "wb"), Path(name)

    def write(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            TooLargeError: there are more than allowed.
            DiskFullError: they cannot be written.
        """
        self.num_bytes += len(data)
        if self.num_bytes > self._max_bytes:
            raise TooLargeError(f"an upload must have at most {self._max_bytes / 1e6:.0f} MB")
        self._sha256.update(data)
        try:
            self._file.write(data)
        except OSError as error:
            raise _full(error) from None

    @property
    def sha256(self) -> str:
        """The hash of the bytes so far, in hexadecimal digits."""
        return self._sha256.hexdigest()

    def sync(self) -> None:
        """Wait until all bytes are on the disk.

        Raises:
            DiskFullError: they cannot be written.
        """
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _full(error) from None

    def keep(self, path: Path) -> None:
        """Give the file its final name, and wait until the name is on the disk. Call `sync` before.

        Args:
            path: the final name; a file there is replaced.
        """
        os.replace(self._path, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def __enter__(self) -> Upload:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._file.close()
        except OSError as problem:  # a full disk: an error is on its way
            if problem.errno not in DISK_FULL:
                raise
        self._path.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Remove what uploads to a folder have left whose process was killed."""
    for path in folder.glob(f"*{SUFFIX}"):
        path.unlink()


def _full(error: OSError) -> OSError | DiskFullError:
    if error.errno in DISK_FULL:
        return DiskFullError("the disk of the board is full; tell the organizer")
    return error
