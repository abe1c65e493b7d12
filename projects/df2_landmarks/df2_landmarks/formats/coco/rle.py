"""Masks in run-length encoding (RLE), compressed or not: checked, and as polygons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_PIXELS = 1 << 28
"""Pictures larger than that are not read either."""


def check_rle(rle: Mapping[str, Any]) -> None:
    """Check that this is a mask in RLE form, as far as it can be seen without decoding it.

    Args:
        rle: ``size`` [H, W], and ``counts``: a list of numbers (uncompressed) or text.

    Raises:
        ValueError: it is not; the message says what is expected.
    """
    size, counts = rle.get("size"), rle.get("counts")
    if not isinstance(size, list) or len(size) != 2 or not all(map(_is_whole, size)):
        raise ValueError(f"size must be [height, width], but got {str(size)[:40]}")
    num_pixels = size[0] * size[1]
    if not 0 < num_pixels <= MAX_PIXELS:
        raise ValueError(f"size must be [height, width] of a picture, but got {str(size)[:40]}")
    if isinstance(counts, list):
        if not all(map(_is_whole, counts)) or sum(counts) != num_pixels:
            raise ValueError(f"counts must be whole numbers with the sum {size[0]} x {size[1]}")
    elif not isinstance(counts, str) or not counts.isascii():
        raise ValueError("counts must be a list of numbers or COCO's compressed text")


def decode_rle(rle: Mapping[str, Any]) -> NDArray[np.uint8]:
    """Return the (H, W) pixels of a mask that `check_rle` accepts, 1 inside.

    Raises:
        ValueError: its text is damaged.
    """
    from pycocotools import mask as coco_mask  # rarely needed

    height, width = rle["size"]
    if isinstance(rle["counts"], list):
        values = np.arange(len(rle["counts"])) % 2  # runs of 0 and 1 in turn, down the columns
        return np.repeat(values.astype(np.uint8), rle["counts"]).reshape(width, height).T
    try:
        decoded: NDArray[np.uint8] = coco_mask.decode(
            {"size": rle["size"], "counts": rle["counts"].encode()}
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"counts must be COCO's compressed text, but: {error}") from None
    return decoded


def polygons_of_mask(mask: NDArray[np.uint8]) -> list[list[float]]:
    """Return outlines of an (H, W) mask along the edges of its pixels; holes are filled.

    Returns:
        A list x, y, x, y, ... per outline, in continuous coordinates.
    """
    import cv2  # 0.1 s, and few files have masks

    # A corner (x, y) of the pixels' grid counts if one of the four pixels around it does.
    corners = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1), dtype=np.uint8)
    for y, x in ((0, 0), (0, 1), (1, 0), (1, 1)):
        corners[y : y + mask.shape[0], x : x + mask.shape[1]] |= mask
    outlines, _ = cv2.findContours(corners, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return [outline.reshape(-1).astype(float).tolist() for outline in outlines if len(outline) > 2]


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
