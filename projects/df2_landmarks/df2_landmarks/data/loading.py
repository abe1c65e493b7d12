"""Dataset dicts of a COCO JSON, read from a cache that is built when the file is first loaded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from detectron2.structures import BoxMode
from numpy.typing import NDArray

from df2_landmarks.common import UserError
from df2_landmarks.data.cache import Cache, CachedImage, cache_of
from df2_landmarks.formats import CocoReport
from df2_landmarks.taxonomy import DEEPFASHION2, Taxonomy


def load_landmark_json(
    json_file: str | Path, image_root: str | Path, taxonomy: Taxonomy = DEEPFASHION2
) -> LandmarkRecords:
    """Load a COCO JSON with landmarks per category in Detectron2's format.

    Args:
        json_file: output of ``converters.deepfashion2_to_coco``, of the official converter, or of
            any tool that writes the landmarks of the taxonomy.
        image_root: folder that ``file_name`` is relative to.
        taxonomy: the categories.

    Returns:
        A sequence of one dict per image, in order of image id: ``file_name``, ``image_id``,
        ``height``, ``width``, ``annotations``. Each annotation has ``bbox`` (XYWH_ABS),
        ``category_id`` (the class, 0..C-1), ``segmentation`` (polygons as in the file, or the
        outlines of a mask), ``iscrowd``, the attributes that the file has, and ``keypoints``: a
        float32 array of 3*K numbers x, y, v for the K landmarks of its own category. x and y are
        continuous image coordinates inside the image (`df2_landmarks.formats.to_continuous` of the
        file's).

    Raises:
        UserError: there is no such file, or it is not such a JSON.
    """
    path = Path(json_file)
    if not path.is_file():
        raise UserError(
            f"{path} does not exist. Put the raw data in place and run `make convert`, or point "
            "DETECTRON2_DATASETS to the folder that holds it (see datasets/README.md)"
        )
    return LandmarkRecords(cache_of(path, taxonomy), Path(image_root))


class LandmarkRecords(Sequence[dict[str, Any]]):
    """Dataset dicts, each decoded when it is asked for; their bytes stay in the mapped file."""

    def __init__(
        self, cache_file: Path, image_root: Path, rows: NDArray[np.int64] | None = None
    ) -> None:
        """
        Args:
            cache_file: from `cache_of`.
            image_root: folder of the images.
            rows: images to choose, all by default.
        """
        self._cache_file = cache_file
        self._image_root = image_root
        self._cache = Cache(cache_file)
        self._rows = np.arange(len(self._cache.num_garments)) if rows is None else rows

    @property
    def report(self) -> CocoReport:
        """What was found in the JSON: counts, and what is suspicious in it."""
        return self._cache.report

    def with_garments(self) -> LandmarkRecords:
        """Return the images that have at least one garment (crowds do not count)."""
        return self._subset(self._rows[self._cache.num_garments[self._rows] > 0])

    def _subset(self, rows: NDArray[np.int64]) -> LandmarkRecords:
        return LandmarkRecords(self._cache_file, self._image_root, rows)

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> LandmarkRecords: ...

    def __getitem__(self, index: int | slice) -> dict[str, Any] | LandmarkRecords:
        if isinstance(index, slice):
            return self._subset(self._rows[index])
        return _dataset_dict(self._cache[int(self._rows[index])], self._image_root)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[index] for index in range(len(self)))

    def __reduce__(self) -> tuple[type[LandmarkRecords], tuple[Any, ...]]:
        # A loader process maps the file itself.
        return LandmarkRecords, (self._cache_file, self._image_root, self._rows)


def _dataset_dict(image: CachedImage, image_root: Path) -> dict[str, Any]:
    return {
        "file_name": str(image_root / image.file_name),
        "image_id": image.image_id,
        "height": image.height,
        "width": image.width,
        "annotations": [
            {
                "bbox": list(garment.bbox_xywh),
                "bbox_mode": BoxMode.XYWH_ABS,
                "category_id": garment.class_index,
                "segmentation": [np.frombuffer(p, dtype=np.float32) for p in garment.polygons],
                "iscrowd": garment.iscrowd,
                "keypoints": np.frombuffer(garment.landmarks, dtype=np.float32),
                **garment.attributes,
            }
            for garment in image.garments
        ],
    }
