"""The records of a COCO JSON in one file, which all processes of a machine map into memory.

``annotations/train.json`` gets ``annotations/.cache/train-<format>-<taxonomy>-<content>.bin``, with
hashes of taxonomy and content, and with the modification time of the JSON. While time and size of
the JSON are those of the cache, the JSON is not read again; otherwise its content is hashed, and
another content gets another cache. A cache that was cut off is built again.

The file: one msgpack record per image in order of the ids; the report about the JSON; int64 offsets
of the records, of the report and of its end; int32 number of garments per image, without crowds;
the trailer.
"""

from __future__ import annotations

import fcntl
import glob
import hashlib
import logging
import mmap
import os
import struct
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

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

FORMAT = 3
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
        with open(path, "rb") as file:
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        magic, self.json_size, count = _TRAILER.unpack(self._data[-_TRAILER.size :])
        start = len(self._data) - _TRAILER.size - 4 * count - 8 * (count + 2)
        if magic != _MAGIC or start < 0:
            raise ValueError(f"{path}: is not a whole cache")
        self._offsets = np.frombuffer(self._data, "<i8", count + 2, start)
        self.num_garments = np.frombuffer(self._data, "<i4", count, start + 8 * (count + 2))

    @property
    def report(self) -> CocoReport:
        start, stop = self._offsets[-2:].tolist()
        return _decode_report(self._data[start:stop])

    def __getitem__(self, row: int) -> CachedImage:
        start, stop = self._offsets[row : row + 2].tolist()
        return _decode(self._data[start:stop])


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
        os.utime(path, ns=(stat.st_mtime_ns, stat.st_mtime_ns))
    return path


def _cache_folder(json_file: Path) -> Path:
    """Return the folder beside the JSON, or one of the user's where that cannot be written to."""
    folder = json_file.parent / ".cache"
    if not os.access(folder if folder.exists() else json_file.parent, os.W_OK):
        user_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        place = hashlib.sha256(str(json_file.parent.resolve()).encode()).hexdigest()[:16]
        folder = user_cache / "df2_landmarks" / place
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _unchanged(json_file: Path, folder: Path, taxonomy: Taxonomy) -> Path | None:
    """Return the cache that has the time and the size of the JSON."""
    stat = json_file.stat()
    for path in _caches(json_file, folder, taxonomy):
        if path.stat().st_mtime_ns == stat.st_mtime_ns and _json_size(path) == stat.st_size:
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
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _build(json_file: Path, stat: os.stat_result, path: Path, taxonomy: Taxonomy) -> None:
    logger.info("Building the cache of %s ...", json_file)
    offsets, num_garments = [0], []
    reader = CocoReader(json_file, taxonomy=taxonomy, needs_pictures=True)
    with atomic_write(path) as file:
        for image in _cached_images(reader):
            offsets.append(offsets[-1] + file.write(_encode(image)))
            num_garments.append(sum(not garment.iscrowd for garment in image.garments))
        offsets.append(offsets[-1] + file.write(_encode(reader.report)))
        file.write(np.asarray(offsets, dtype="<i8").tobytes())
        file.write(np.asarray(num_garments, dtype="<i4").tobytes())
        file.write(_TRAILER.pack(_MAGIC, stat.st_size, len(num_garments)))
        after = json_file.stat()
        if (after.st_size, after.st_mtime_ns) != (stat.st_size, stat.st_mtime_ns):
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
