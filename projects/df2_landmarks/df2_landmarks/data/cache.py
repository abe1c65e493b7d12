"""The records of a COCO JSON in one file, which all processes of a machine map into memory.

``annotations/train.json`` gets ``annotations/.cache/train-<format>-<taxonomy>-<content>.bin``, with
hashes of taxonomy and content; its modification time is the time of the JSON's last change, which
(unlike its own modification time) no program can set. While time and size of the JSON are those of
the cache, the JSON is not read again; otherwise its content is hashed, and another content gets
another cache. A cache that was cut off is built again.

The file: one msgpack record per image in order of the ids; the report about the JSON; int64 offsets
of the records, of the report and of its end; uint32 CRC-32 of each of them; int32 number of
garments per image, without crowds; the trailer.
"""

from __future__ import annotations

import glob
import hashlib
import logging
import mmap
import os
import struct
import tempfile
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np

from df2_landmarks.common import UserError, atomic_write
from df2_landmarks.formats import (
    CocoImage,
    CocoItem,
    CocoReader,
    CocoReport,
    polygons_of_annotation,
    to_continuous,
)
from df2_landmarks.taxonomy import DEEPFASHION2, Taxonomy

logger = logging.getLogger(__name__)

FORMAT = 4
"""To be raised when the layout of the file changes, or what is read into it."""
_TRAILER = struct.Struct("<8sQQ")
"""``_MAGIC``, size of the JSON in bytes, number of images."""
_MAGIC = b"df2cache"

ATTRIBUTES = ("pair_id", "style", "source", "scale", "occlusion", "zoom_in", "viewpoint")
"""Extra annotation keys that are carried along where a file has them."""


class CachedGarment(msgspec.Struct, array_like=True):
    """A garment. Landmarks are 3*K and polygons 2*n float32 numbers, as bytes."""

    class_index: int
    bbox_xywh: tuple[float, float, float, float]
    iscrowd: int
    landmarks: bytes
    polygons: list[bytes]
    attributes: dict[str, int | str]


class CachedImage(msgspec.Struct, array_like=True):
    """An image; the file name is relative to the folder of the images."""

    file_name: str
    image_id: int
    height: int
    width: int
    garments: list[CachedGarment]


VISIBLE_V = 2
"""The largest visibility."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(CachedImage).decode
_decode_report = msgspec.msgpack.Decoder(CocoReport).decode


class Cache:
    """A cache file, mapped into memory.

    Attributes:
        json_size: size of the JSON in bytes.
        num_garments: (images,) garments of each image, without crowds.
        report: what was found in the JSON.

    Raises:
        OSError, ValueError, struct.error: there is no such file, or it was cut off.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._data: mmap.mmap | bytes
        with open(path, "rb") as file:
            try:
                self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except OSError:  # a file system that cannot: each process then holds it all
                self._data = file.read()
        magic, self.json_size, count = _TRAILER.unpack(self._data[-_TRAILER.size :])
        start = len(self._data) - _TRAILER.size - 4 * count - 4 * (count + 1) - 8 * (count + 2)
        if magic != _MAGIC or start < 0:
            raise ValueError(f"{path}: is not a whole cache")
        self._offsets = np.frombuffer(self._data, "<i8", count + 2, start)
        start += self._offsets.nbytes
        self._checksums = np.frombuffer(self._data, "<u4", count + 1, start)
        start += self._checksums.nbytes
        self.num_garments = np.frombuffer(self._data, "<i4", count, start)

    @property
    def report(self) -> CocoReport:
        return _decode_report(self._record(len(self.num_garments)))

    def __getitem__(self, row: int) -> CachedImage:
        return _decode(self._record(row))

    def _record(self, row: int) -> bytes:
        """Return a record, the report behind the last image.

        Raises:
            UserError: it is not as it was written.
        """
        start, stop = self._offsets[row : row + 2].tolist()
        record = self._data[start:stop]
        if zlib.crc32(record) != self._checksums[row]:
            raise UserError(
                f"{self._path}: record {row} is damaged (a bad disk or copy?); remove this file, "
                "and it is built again from the annotations"
            )
        return record


def cache_of(json_file: Path, taxonomy: Taxonomy = DEEPFASHION2) -> Path:
    """Return the cache file of a JSON; build it if there is none of its content.

    Args:
        json_file: the COCO JSON.
        taxonomy: the categories; each has a cache of its own.

    Raises:
        UserError: the file is not a COCO JSON of the taxonomy, or the cache cannot be written.
    """
    folder = _cache_folder(json_file)
    if path := _unchanged(json_file, folder, taxonomy):
        return path
    with _locked(folder / f"{json_file.stem}.lock"):
        if path := _unchanged(json_file, folder, taxonomy):  # another process built it meanwhile
            return path
        stat = json_file.stat()
        digest = _sha256(json_file)
        path = folder / f"{json_file.stem}-{_key(taxonomy)}-{digest[:16]}.bin"
        if not _json_size(path):
            _build(json_file, stat, path, taxonomy)
        with suppress(OSError):  # not on some network file systems: then it is hashed each time
            os.utime(path, ns=(stat.st_ctime_ns, stat.st_ctime_ns))
    return path


def _cache_folder(json_file: Path) -> Path:
    """Return the first folder that can be written to: beside the JSON, the user's, a temporary one.

    Raises:
        UserError: there is none.
    """
    home = os.path.expanduser("~")  # stays "~" in a container whose user has no entry
    user_cache = os.environ.get("XDG_CACHE_HOME") or ("" if home == "~" else f"{home}/.cache")
    name = hashlib.sha256(str(json_file.parent.resolve()).encode()).hexdigest()[:16]
    beside = json_file.parent / ".cache"
    others = [Path(user_cache, "df2_landmarks", name)] if user_cache else []
    user = os.getuid() if hasattr(os, "getuid") else 0  # Windows has none
    others.append(Path(tempfile.gettempdir(), f"df2_landmarks-{user}", name))
    for folder in (beside, *others):
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            if os.access(folder, os.W_OK | os.X_OK):
                if folder != beside:
                    logger.info("%s cannot be written to; the cache is in %s", beside, folder)
                return folder
    raise UserError(
        f"{json_file}: the cache of its records can be written neither to {beside} nor to "
        f"{others[0]}; set XDG_CACHE_HOME to a folder that can be written to"
    )


def _unchanged(json_file: Path, folder: Path, taxonomy: Taxonomy) -> Path | None:
    """Return the cache that has the time and the size of the JSON."""
    stat = json_file.stat()
    for path in _caches(json_file, folder, taxonomy):
        if path.stat().st_mtime_ns == stat.st_ctime_ns and _json_size(path) == stat.st_size:
            return path
    return None


def _caches(json_file: Path, folder: Path, taxonomy: Taxonomy) -> list[Path]:
    stem = glob.escape(json_file.stem)
    return list(folder.glob(f"{stem}-{_key(taxonomy)}-{'[0-9a-f]' * 16}.bin"))


def _key(taxonomy: Taxonomy) -> str:
    return f"{FORMAT}-{taxonomy.fingerprint}"


def _json_size(path: Path) -> int:
    """Return the size of the JSON that a cache was built from, 0 if there is no whole cache."""
    try:
        return Cache(path).json_size
    except (OSError, ValueError, struct.error):
        return 0


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one process in at a time, where the file system has locks: elsewhere all do the work."""
    with open(path, "w") as file:
        with suppress(ImportError, OSError):
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _build(json_file: Path, stat: os.stat_result, path: Path, taxonomy: Taxonomy) -> None:
    logger.info("Building the cache of %s ...", json_file)
    offsets, checksums, num_garments = [0], [], []

    def write(file: BinaryIO, record: bytes) -> None:
        offsets.append(offsets[-1] + file.write(record))
        checksums.append(zlib.crc32(record))

    reader = CocoReader(json_file, taxonomy=taxonomy, needs_pictures=True)
    with atomic_write(path) as file:
        for image in _cached_images(reader):
            write(file, _encode(image))
            num_garments.append(sum(not garment.iscrowd for garment in image.garments))
        write(file, _encode(reader.report))
        file.write(np.asarray(offsets, dtype="<i8").tobytes())
        file.write(np.asarray(checksums, dtype="<u4").tobytes())
        file.write(np.asarray(num_garments, dtype="<i4").tobytes())
        file.write(_TRAILER.pack(_MAGIC, stat.st_size, len(num_garments)))
        after = json_file.stat()
        if (after.st_size, after.st_ctime_ns) != (stat.st_size, stat.st_ctime_ns):
            raise UserError(f"{json_file}: was changed while it was read; start again")
    for other in _caches(json_file, path.parent, taxonomy):
        if other != path:
            other.unlink(missing_ok=True)  # a process that has it mapped keeps it
    logger.info("Cached %d images of %s in %s", len(num_garments), json_file, path)


def _cached_images(reader: CocoReader) -> Iterator[CachedImage]:
    """Yield the images in order of their ids, each with its garments in the order of the file."""
    images: list[CocoImage] = []
    garments: defaultdict[int, list[CachedGarment]] = defaultdict(list)
    for some_images, items in reader.blocks():
        images += some_images
        for item, landmarks in zip(items, _continuous(items), strict=True):
            garment = _cached_garment(item, landmarks)
            garments[item.annotation.image_id].append(garment)
    for image in sorted(images, key=lambda image: image.id):
        own_garments = garments.pop(image.id, [])
        highest = np.asarray((image.width, image.height, VISIBLE_V), dtype=np.float32)
        for garment in own_garments:
            rows = np.frombuffer(garment.landmarks, dtype=np.float32).reshape(-1, 3)
            garment.landmarks = np.minimum(rows, highest).tobytes()
        yield CachedImage(image.file_name, image.id, image.height, image.width, own_garments)


def _cached_garment(item: CocoItem, landmarks: bytes) -> CachedGarment:
    annotation = item.annotation
    polygons = polygons_of_annotation(annotation)
    return CachedGarment(
        item.class_index,
        annotation.bbox,
        annotation.iscrowd,
        landmarks,
        [np.asarray(polygon, dtype=np.float32).tobytes() for polygon in polygons],
        {n: v for n in ATTRIBUTES if (v := getattr(annotation, n)) is not None},
    )


def _continuous(items: Sequence[CocoItem]) -> Iterator[bytes]:
    """Yield the landmarks of each item in continuous coordinates >= 0; unlabelled ones are zeros.

    Some files have landmarks at y == height, half a pixel outside after the shift: they are moved
    onto the border, else every augmentation would take them for landmarks that left the image.
    Here all items are moved at once; sizes of images are not known yet.
    """
    if not items:
        return
    landmarks = np.concatenate([item.landmarks for item in items]).astype(np.float32)
    landmarks[:, :2] = np.maximum(to_continuous(landmarks[:, :2]), 0)
    landmarks[landmarks[:, 2] == 0] = 0
    start = 0
    for item in items:
        stop = start + len(item.landmarks)
        yield landmarks[start:stop].tobytes()
        start = stop
