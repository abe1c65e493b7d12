"""A COCO JSON's records on disk, keyed by the content of the JSON.

``annotations/train.json`` gets ``annotations/.cache/train-<hash>/``. While size and time of the
JSON are those noted there, it is not read again; otherwise its content is hashed and compared. A
cache of which a file is missing or has another size than noted is built again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from df2_landmarks.data.coco_reader import read_coco
from df2_landmarks.data.packing import pack

logger = logging.getLogger(__name__)

FORMAT = 1
"""To be raised when the packing changes."""


@dataclass(frozen=True)
class CacheFiles:
    """The files of one cache.

    Attributes:
        folder: holds them and nothing else.
    """

    folder: Path

    @property
    def records(self) -> Path:
        """Packed images, one after the other; one byte more, since nothing cannot be mapped."""
        return self.folder / "records.bin"

    @property
    def offsets(self) -> Path:
        """(images + 1,) int64, where each record starts."""
        return self.folder / "offsets.npy"

    @property
    def num_garments(self) -> Path:
        """(images,) int32, garments that are no crowds."""
        return self.folder / "num_garments.npy"

    @property
    def source(self) -> Path:
        """JSON: what the cache was built from, and the sizes of its files."""
        return self.folder / "source.json"

    def sizes(self) -> dict[str, int]:
        """Name -> bytes of each file but ``source``.

        Raises:
            OSError: one is missing.
        """
        data = (self.records, self.offsets, self.num_garments)
        return {path.name: path.stat().st_size for path in data}


def open_cache(json_file: Path) -> CacheFiles:
    """The cache of a JSON, built if there is none of its content.

    Raises:
        ValueError: the file is not a DeepFashion2 COCO JSON.
        OSError: there is no room for the cache.
    """
    folder = _cache_folder(json_file)
    known = _unchanged(json_file, folder)
    if known is not None:
        return known
    with _locked(folder / f"{json_file.stem}.lock"):
        # another process may have built it while this one waited
        known = _unchanged(json_file, folder)
        if known is not None:
            return known
        stamp = _stamp(json_file)
        content = json_file.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        files = CacheFiles(folder / f"{json_file.stem}-{FORMAT}-{digest[:16]}")
        if not _noted(files):
            _build(json_file, content, files)
        _write_source(files, stamp)
    return files


def _cache_folder(json_file: Path) -> Path:
    """Beside the JSON; in the user's cache folder where that cannot be written to."""
    beside = json_file.parent / ".cache"
    if os.access(beside if beside.exists() else json_file.parent, os.W_OK):
        folder = beside
    else:
        user_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        place = hashlib.sha256(str(json_file.parent.resolve()).encode()).hexdigest()[:16]
        folder = user_cache / "df2_landmarks" / place
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _stamp(json_file: Path) -> dict[str, int]:
    status = json_file.stat()
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}


def _unchanged(json_file: Path, folder: Path) -> CacheFiles | None:
    stamp = _stamp(json_file)
    for files in _caches(json_file, folder, version=str(FORMAT)):
        if _noted(files).get("json") == stamp:
            return files
    return None


def _noted(files: CacheFiles) -> dict[str, dict[str, int]]:
    """What `_write_source` wrote; nothing if it never did, or the cache is damaged since."""
    try:
        noted: dict[str, dict[str, int]] = json.loads(files.source.read_text())
        return noted if noted["files"] == files.sizes() else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _caches(json_file: Path, folder: Path, version: str = r"\d+") -> list[CacheFiles]:
    pattern = re.compile(rf"{re.escape(json_file.stem)}-{version}-[0-9a-f]{{16}}")
    return [CacheFiles(path) for path in folder.iterdir() if pattern.fullmatch(path.name)]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(json_file: Path, content: bytes, files: CacheFiles) -> None:
    logger.info("Building the cache of %s ...", json_file)
    _remove_leftovers(json_file, files.folder.parent)
    prefix = f"building-{json_file.stem}-"
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=files.folder.parent))
    unfinished = CacheFiles(folder)
    try:
        offsets, num_garments = [0], []
        with open(unfinished.records, "wb") as file:
            for image in read_coco(json_file, content):
                offsets.append(offsets[-1] + file.write(pack(image)))
                num_garments.append(sum(not garment.iscrowd for garment in image.garments))
            file.write(b"\0")
        np.save(unfinished.offsets, np.asarray(offsets, dtype=np.int64))
        np.save(unfinished.num_garments, np.asarray(num_garments, dtype=np.int32))
        for old in _caches(json_file, files.folder.parent):
            shutil.rmtree(old.folder, ignore_errors=True)  # who has it mapped keeps it
        folder.chmod(0o755)
        folder.rename(files.folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    logger.info("Cached %d images of %s in %s", len(num_garments), json_file, files.folder)


def _remove_leftovers(json_file: Path, folder: Path) -> None:
    """Remove what processes left that were killed; who builds a cache of this JSON has the lock."""
    unfinished = re.compile(rf"building-{re.escape(json_file.stem)}-\w{{8}}")
    for path in folder.iterdir():
        if unfinished.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)


def _write_source(files: CacheFiles, stamp: dict[str, int]) -> None:
    """Last of all: it makes the cache valid."""
    with tempfile.NamedTemporaryFile("w", dir=files.folder, delete=False) as file:
        json.dump({"json": stamp, "files": files.sizes()}, file)
    os.chmod(file.name, 0o644)
    os.replace(file.name, files.source)
