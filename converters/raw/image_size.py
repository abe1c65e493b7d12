"""Read the size of an image from its header, without decoding it.

JPEG (baseline and progressive) and PNG are read here, whatever the file's name says; other formats,
and files whose metadata may say that the image is to be turned, are left to Pillow.
Formats: ITU-T T.81 (JPEG), Exif 2.32, W3C PNG.
"""

from __future__ import annotations

import os
import struct
import warnings
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from PIL import Image

FIRST_READ = 4096  # bytes; enough for the header of nearly every file
MAX_SIDE = 65_535  # pixels; the limit of JPEG

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset((0x01, *range(0xD0, 0xD9)))  # markers without a segment
_BODY = frozenset((0xDA, 0xD9))  # start of scan, end of image: no frame header follows
_APP1 = 0xE1
_ORIENTATION_TAG = 0x0112
# In a segment or chunk without these there is no orientation: the tag in Exif, its name in XMP.
_ORIENTATION_SIGNS = (b"\x12\x01", b"\x01\x12", b"Orientation")
_PNG_METADATA = frozenset((b"eXIf", b"iTXt", b"tEXt", b"zTXt"))
_QUARTER_TURNS = (5, 6, 7, 8)  # values of the orientation that exchange width and height


class ImageSize(NamedTuple):
    """Size in pixels as displayed, which is how Detectron2 reads the image.

    ``rotated`` tells that the orientation (Exif or XMP) exchanges the stored width and height.
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
        elif data.startswith(_PNG_SIGNATURE):
            size = _png_size(_Window(descriptor, data))
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
    """Walk over the segments up to the frame header. None: there is none, or it may be turned."""
    position = 2
    while True:
        # Marker and length of the segment, and size if it is the frame header.
        head = window.at(position, 9)
        if len(head) < 4 or head[0] != 0xFF:
            return None
        marker = head[1]
        if marker in _START_OF_FRAME:
            if len(head) < 9:
                return None
            return ImageSize(head[7] << 8 | head[8], head[5] << 8 | head[6], False)
        length = head[2] << 8 | head[3]
        if marker == 0xFF:  # fill byte
            position += 1
        elif marker in _ALONE:
            position += 2
        elif marker in _BODY or length < 2:
            return None
        else:
            if marker == _APP1:
                segment = window.at(position + 4, length - 2)
                if any(sign in segment for sign in _ORIENTATION_SIGNS):
                    return None
            position += 2 + length


def _png_size(window: _Window) -> ImageSize | None:
    """Walk over the chunks. None: the file is damaged, or one may hold an orientation."""
    position = len(_PNG_SIGNATURE)
    header = window.at(position, 16)
    if len(header) < 16 or header[4:8] != b"IHDR":
        return None
    while len(head := window.at(position, 8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind in _PNG_METADATA:
            return None
        position += 12 + length  # length, kind, data, checksum
    width, height = struct.unpack_from(">II", header, 8)
    return ImageSize(width, height, False)


def _pillow_size(path: str) -> ImageSize:
    """Size by Pillow, for other formats, damaged headers, and what may be turned."""
    from PIL import Image  # here because it is rarely needed and slow to import

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of damaged metadata and many pixels
            with Image.open(path) as image:
                width, height = image.size
                rotated = _orientation(image) in _QUARTER_TURNS
    except (OSError, SyntaxError, ValueError, TypeError, Image.DecompressionBombError):
        raise ValueError(
            "expected a JPEG or PNG, got a file that is not a readable image"
        ) from None
    return ImageSize(height, width, True) if rotated else ImageSize(width, height, False)


def _orientation(image: Image.Image) -> object:
    try:
        return image.getexif().get(_ORIENTATION_TAG)
    except Exception:  # as Detectron2, which shows an image with damaged metadata as it is stored
        return None
