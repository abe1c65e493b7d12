"""Dataset dicts of a COCO JSON, read from a cache that is built when the file is first loaded."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.data.cache import CacheFiles, open_cache
from df2_landmarks.data.packing import unpack


def load_landmark_json(json_file: str | Path, image_root: str | Path) -> LandmarkRecords:
    """Load a DeepFashion2 COCO JSON in Detectron2's format.

    Args:
        json_file: output of ``converters.deepfashion2_to_coco`` or of the official converter.
        image_root: folder that ``file_name`` is relative to.

    Returns:
        A sequence of one dict per image, in order of image id: ``file_name``, ``image_id``,
        ``height``, ``width``, ``annotations``. Each annotation has ``bbox`` (XYWH_ABS),
        ``category_id`` (the class, 0..C-1), ``segmentation`` (polygons as in the file),
        ``iscrowd``, the attributes that the file has, and ``keypoints``: a float32 array of 3*K
        numbers x, y, v for the K landmarks of its own category. x and y are continuous image
        coordinates inside the image; the file's are pixel indices, so 0.5 is added here
        (`evaluation/results.py` takes it off).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not such a JSON.
    """
    path = Path(json_file)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist. Put the raw data in place and run `make convert`, or point "
            "DETECTRON2_DATASETS to the folder that holds it (see datasets/README.md)"
        )
    return LandmarkRecords(open_cache(path), Path(image_root))


class LandmarkRecords(Sequence[dict[str, Any]]):
    """Dataset dicts that are decoded when they are asked for.

    The bytes stay in a memory-mapped file, which all processes of a machine share.
    """

    def __init__(
        self, files: CacheFiles, image_root: Path, rows: NDArray[np.int64] | None = None
    ) -> None:
        """
        Args:
            files: the cache.
            image_root: folder of the images.
            rows: images to choose, all by default.
        """
        self._files = files
        self._image_root = image_root
        self._offsets = np.load(files.offsets, mmap_mode="r")
        self._num_garments = np.load(files.num_garments, mmap_mode="r")
        self._rows = np.arange(len(self._num_garments)) if rows is None else rows
        with open(files.records, "rb") as file:
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def with_garments(self) -> LandmarkRecords:
        """The images that have at least one garment (crowds do not count)."""
        rows = self._rows[self._num_garments[self._rows] > 0]
        return LandmarkRecords(self._files, self._image_root, rows)

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> LandmarkRecords: ...

    def __getitem__(self, index: int | slice) -> dict[str, Any] | LandmarkRecords:
        if isinstance(index, slice):
            return LandmarkRecords(self._files, self._image_root, self._rows[index])
        row = self._rows[index]
        start, stop = self._offsets[row : row + 2].tolist()
        return unpack(self._data[start:stop], self._image_root)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[index] for index in range(len(self)))

    def __reduce__(self) -> tuple[type[LandmarkRecords], tuple[Any, ...]]:
        # a loader process maps the file itself
        return LandmarkRecords, (self._files, self._image_root, self._rows)
