"""Masks in run-length encoding (RLE), compressed or not: checked, and as polygons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.formats.coco.records import CocoAnnotation

MAX_PIXELS = 1 << 28
"""Pictures larger than that are not read either."""


def polygons_of_annotation(annotation: CocoAnnotation) -> list[list[float]]:
    """Return the polygons that a mask is trained on; a crowd in RLE form has none.

    Args:
        annotation: as `CocoReader` gives it.
    """
    if not isinstance(annotation.segmentation, dict):
        return annotation.segmentation
    return [] if annotation.iscrowd else polygons_of_mask(decode_rle(annotation.segmentation))


def decode_rle(rle: Mapping[str, Any]) -> NDArray[np.uint8]:
    """Return the (H, W) pixels of a mask in RLE form, 1 inside.

    Args:
        rle: ``size`` [H, W], and ``counts``: a list of numbers, or COCO's compressed text.

    Raises:
        ValueError: as `runs_of_rle`.
    """
    runs = runs_of_rle(rle)
    height, width = rle["size"]
    values = np.arange(len(runs)) % 2  # runs of 0 and 1 in turn, down the columns
    return np.repeat(values.astype(np.uint8), runs).reshape(width, height).T


def runs_of_rle(rle: Mapping[str, Any]) -> list[int]:
    """Return the lengths of the runs of 0 and 1 in turn.

    pycocotools reads beyond the end of damaged masks; here they are refused.

    Raises:
        ValueError: it is not a mask in RLE form; the message says what is expected.
    """
    size, counts = rle.get("size"), rle.get("counts")
    if not isinstance(size, list) or len(size) != 2 or not all(map(_is_whole, size)):
        raise ValueError(f"size must be [height, width], but got {str(size)[:40]}")
    if not 0 < size[0] * size[1] <= MAX_PIXELS:
        raise ValueError(f"size must be [height, width] of a picture, but got {str(size)[:40]}")
    if isinstance(counts, str):
        counts = _decompressed(counts)
    if not isinstance(counts, list) or not all(map(_is_whole, counts)):
        raise ValueError("counts must be a list of whole numbers, or COCO's compressed text")
    if sum(counts) != size[0] * size[1]:
        raise ValueError(f"counts must have the sum {size[0]} x {size[1]}, but got {sum(counts)}")
    return counts


def _decompressed(text: str) -> list[int]:
    """Return the numbers of a compressed text, as ``rleFrString`` of pycocotools' maskApi.c does.

    A character holds 5 bits of a number, the lowest first, and a bit that says whether more follow.
    From the third on, numbers are differences to the last but one.
    """
    runs: list[int] = []
    value, shift = 0, 0
    for character in text:
        bits = ord(character) - ord("0")
        if not 0 <= bits < 64 or shift > 60:
            raise ValueError(f"counts must be COCO's compressed text, but got {text[:20]!r}")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:  # negative
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value, shift = 0, 0
    if shift:
        raise ValueError("counts must be COCO's compressed text, but it ends too early")
    return runs


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
