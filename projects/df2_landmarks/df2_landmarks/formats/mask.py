"""The mask of one garment, rasterized when somebody asks for it.

H, W = height and width of the photo, m = side of the grid that a mask head gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.formats.coordinates import to_continuous

THRESHOLD = 0.5
"""From this probability on a pixel belongs to the mask, as in Detectron2."""


class Mask:
    """The pixels of a photo that show a garment. Made by one of the class methods.

    Attributes:
        height, width: of the photo.

    Example:
        >>> import numpy as np
        >>> from df2_landmarks.formats import Mask
        >>> mask = Mask.from_polygons([np.array([[1, 1], [4, 1], [4, 3], [1, 3]])], 4, 6)
        >>> mask.array.astype(int).tolist()
        [[0, 0, 0, 0, 0, 0], [0, 1, 1, 1, 0, 0], [0, 1, 1, 1, 0, 0], [0, 0, 0, 0, 0, 0]]
        >>> mask.area
        6
    """

    def __init__(self, height: int, width: int, rasterize: Callable[[], NDArray[np.bool_]]) -> None:
        self.height = height
        self.width = width
        self._rasterize = rasterize

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave the rasterized pixels out of a pickle: for a large photo they are megabytes."""
        return type(self), (self.height, self.width, self._rasterize)

    @classmethod
    def from_polygons(
        cls,
        polygons: Sequence[NDArray],
        height: int,
        width: int,
        covers: Sequence[NDArray] = (),
    ) -> Mask:
        """Return the union of polygons (n, 2), in continuous coordinates of the photo.

        A point belongs to the garment if it is in any of its polygons: DeepFashion2's polygons of
        one garment overlap.

        Args:
            polygons: of the garment.
            height: of the photo.
            width: of the photo.
            covers: polygons of what hides the garment in part.
        """
        return cls(height, width, partial(_visible, polygons, height, width, covers))

    @classmethod
    def from_array(cls, array: NDArray[np.bool_]) -> Mask:
        """Return the mask of an (H, W) array."""
        height, width = array.shape
        return cls(height, width, partial(np.asarray, array, dtype=bool))

    @classmethod
    def from_rle(cls, rle: Mapping[str, Any]) -> Mask:
        """Return the mask of COCO's compressed run-length encoding, ``size`` and ``counts``."""
        height, width = rle["size"]
        return cls(height, width, partial(_decode, rle))

    @classmethod
    def from_probabilities(
        cls, probabilities: NDArray, box_xyxy: NDArray, height: int, width: int
    ) -> Mask:
        """Return the mask of a mask head's output.

        Args:
            probabilities: (m, m) that a cell of the box shows the garment.
            box_xyxy: (4,) in the photo.
            height: of the photo.
            width: of the photo.
        """
        return cls(height, width, partial(_paste, probabilities, box_xyxy, height, width))

    @cached_property
    def array(self) -> NDArray[np.bool_]:
        """(H, W), true inside the garment."""
        return self._rasterize()

    @cached_property
    def rle(self) -> dict[str, Any]:
        """COCO's compressed run-length encoding: ``{"size": [H, W], "counts": text}``."""
        counts = _encode(self.array)["counts"].decode("ascii")
        return {"size": [self.height, self.width], "counts": counts}

    @cached_property
    def polygons(self) -> tuple[NDArray[np.float64], ...]:
        """Outer outlines (n, 2) through the centres of the pixels on the border; holes are filled.

        In continuous coordinates of the photo.
        """
        import cv2  # 0.1 s, and the scorer and the converters do not draw

        contours, _ = cv2.findContours(
            self.array.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
        )
        return tuple(to_continuous(c.reshape(-1, 2)) for c in contours)

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(np.count_nonzero(self.array))


def _encode(array: NDArray[np.bool_]) -> dict[str, Any]:
    from pycocotools import mask as coco_mask

    encoded: dict[str, Any] = coco_mask.encode(np.asfortranarray(array, dtype=np.uint8))
    return encoded


def _decode(rle: Mapping[str, Any]) -> NDArray[np.bool_]:
    from pycocotools import mask as coco_mask

    decoded: NDArray[np.bool_] = coco_mask.decode(dict(rle)).astype(bool)
    return decoded


def _fill(polygons: Sequence[NDArray], height: int, width: int) -> NDArray[np.bool_]:
    from pycocotools import mask as coco_mask

    flat = [np.asarray(polygon, dtype=np.float64).ravel().tolist() for polygon in polygons]
    flat = [polygon for polygon in flat if len(polygon) >= 6]  # four numbers would be a box
    if not flat:
        return np.zeros((height, width), dtype=bool)
    return _decode(coco_mask.merge(coco_mask.frPyObjects(flat, height, width)))


def _visible(
    polygons: Sequence[NDArray], height: int, width: int, covers: Sequence[NDArray]
) -> NDArray[np.bool_]:
    inside = _fill(polygons, height, width)
    return inside & ~_fill(covers, height, width) if covers else inside


def _paste(probabilities: NDArray, box_xyxy: NDArray, height: int, width: int) -> NDArray[np.bool_]:
    """Interpolate bilinearly at the centres of the pixels that the box reaches.

    The same as Detectron2's `paste_masks_in_image`.
    """
    x1, y1, x2, y2 = (float(value) for value in box_xyxy)
    rows, of_rows = _weights(y1, y2, probabilities.shape[0], height)
    columns, of_columns = _weights(x1, x2, probabilities.shape[1], width)
    array = np.zeros((height, width), dtype=bool)
    inside = of_rows @ probabilities.astype(np.float32) @ of_columns.T
    array[rows, columns] = inside >= THRESHOLD
    return array


def _weights(
    start: float, end: float, num_cells: int, length: int
) -> tuple[slice, NDArray[np.float32]]:
    """Return the pixels that cells spread over start..end reach, and each pixel's weights of them.

    Outside of the cells is zero.
    """
    cell = max(end - start, 1e-6) / num_cells
    first = int(np.clip(np.floor(start - cell), 0, length))
    last = int(np.clip(np.ceil(end + cell), first, length))
    position = (np.arange(first, last) + 0.5 - start) / cell - 0.5
    distance = np.abs(position[:, None] - np.arange(num_cells))
    return slice(first, last), np.maximum(0, 1 - distance).astype(np.float32)
