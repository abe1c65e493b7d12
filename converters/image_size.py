"""Read the size of an image from its header, without decoding it.

JPEG (baseline and progressive) and PNG are read here, whatever the file's name says; other formats
are left to Pillow. Formats: ITU-T T.81 (JPEG), Exif 2.32, W3C PNG.
"""

from __future__ import annotations

import os
import struct
from typing import NamedTuple

FIRST_READ = 4096  # bytes; enough for the header of nearly every file
MAX_SIDE = 65_535  # pixels; the limit of JPEG

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset((0x01, *range(0xD0, 0xD9)))  # markers without a segment
_BODY = frozenset((0xDA, 0xD9))  # start of scan, end of image: no frame header follows
_APP1 = 0xE1
_ORIENTATION_TAG = 0x0112


class ImageSize(NamedTuple):
    """Size in pixels as displayed, which is how Detectron2 reads the image.

    ``rotated`` tells that the Exif orientation exchanges the stored width and height.
    """

    width: int
    height: int
    rotated: bool


def read_image_size(path: str) -> ImageSize:
    """Size of the image in a file, as displayed.

    Args:
        path: a JPEG, a PNG, or anything else that Pillow reads.

    Raises:
        OSError: the file cannot be opened.
        ValueError: the file is not an image, or its header is damaged.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        data = os.read(descriptor, FIRST_READ)
        if not data:
            raise ValueError("the file is empty")
        size = None
        if data.startswith(b"\xff\xd8"):
            size = _jpeg_size(_Window(descriptor, data))
        elif data.startswith(_PNG_SIGNATURE) and data[12:16] == b"IHDR" and len(data) >= 24:
            width, height = struct.unpack_from(">II", data, 16)
            size = ImageSize(width, height, False)
    finally:
        os.close(descriptor)
    if size is None:
        size = _pillow_size(path)
    if not (0 < size.width <= MAX_SIDE and 0 < size.height <= MAX_SIDE):
        raise ValueError(f"width and height must be 1..{MAX_SIDE}, got {size[0]} x {size[1]}")
    return size


class _Window:
    """Random access to the beginning of an open file of which a first part has been read."""

    def __init__(self, descriptor: int, data: bytes) -> None:
        self.descriptor = descriptor
        self.data = data

    def at(self, start: int, length: int) -> bytes:
        """``length`` bytes from ``start``; fewer at the end of the file."""
        if start + length <= len(self.data):
            return self.data[start : start + length]
        return os.pread(self.descriptor, length, start)


def _jpeg_size(window: _Window) -> ImageSize | None:
    """Walk over the segments up to the frame header. None: there is none."""
    position, rotated = 2, False
    while True:
        # Marker and length of the segment, and size if it is the frame header.
        head = window.at(position, 9)
        if len(head) < 4 or head[0] != 0xFF:
            return None
        marker = head[1]
        if marker in _START_OF_FRAME:
            if len(head) < 9:
                return None
            height, width = head[5] << 8 | head[6], head[7] << 8 | head[8]
            return ImageSize(height, width, True) if rotated else ImageSize(width, height, False)
        length = head[2] << 8 | head[3]
        if marker == 0xFF:  # fill byte
            position += 1
        elif marker in _ALONE:
            position += 2
        elif marker in _BODY or length < 2:
            return None
        else:
            if marker == _APP1:
                rotated = rotated or _exif_rotates(window.at(position + 4, length - 2))
            position += 2 + length


def _exif_rotates(segment: bytes) -> bool:
    """Whether the orientation in an Exif segment exchanges width and height (values 5..8)."""
    tiff = segment[6:]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if not segment.startswith(b"Exif\0\0") or order is None or len(tiff) < 8:
        return False
    (directory,) = struct.unpack_from(order + "I", tiff, 4)
    if directory + 2 > len(tiff):
        return False
    (count,) = struct.unpack_from(order + "H", tiff, directory)
    for start in range(directory + 2, min(directory + 2 + 12 * count, len(tiff) - 11), 12):
        tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, start)
        if tag == _ORIENTATION_TAG:
            return kind == 3 and 5 <= value <= 8
    return False


def _pillow_size(path: str) -> ImageSize:
    """Size by Pillow, for what is neither a well-formed JPEG nor a PNG."""
    from PIL import Image  # here because it is rarely needed and slow to import

    try:
        with Image.open(path) as image:
            width, height = image.size
            rotated = 5 <= image.getexif().get(_ORIENTATION_TAG, 1) <= 8
    except (OSError, SyntaxError, ValueError, TypeError, Image.DecompressionBombError):
        raise ValueError(
            "expected a JPEG or PNG, got a file that is not a readable image"
        ) from None
    return ImageSize(height, width, True) if rotated else ImageSize(width, height, False)
