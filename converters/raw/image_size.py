"""Read the size of an image as displayed, without decoding it."""

from __future__ import annotations

import errno
import os
import stat
import warnings
from typing import BinaryIO, NamedTuple

from PIL import Image

from converters.raw.problems import Problem, RawFileError
from df2_landmarks.formats import RASTER_FORMATS

MAX_SIDE = 65_535  # pixels; the limit of JPEG
_ORIENTATION_TAG = 0x0112  # Exif 2.32
_QUARTER_TURNS = (5, 6, 7, 8)  # values of the orientation that exchange width and height
_METADATA = {"exif", "xmp"}  # keys of Pillow's `info` that may hold an orientation
# What Pillow raises on a damaged image, depending on its format.
_PILLOW_ERRORS = (
    OSError, SyntaxError, ValueError, TypeError, RuntimeError, Image.DecompressionBombError
)  # fmt: skip

# Pillow warns of damaged metadata and of many pixels. Once, and not around each image: that would
# take a tenth of the conversion's time.
warnings.filterwarnings("ignore", module=r"PIL\.")


class ImageSize(NamedTuple):
    """Size in pixels as displayed, which is how Detectron2 reads the image.

    ``rotated``: the orientation (Exif or XMP) exchanges the stored width and height.
    """

    width: int
    height: int
    rotated: bool


def read_image_size(path: str) -> ImageSize:
    """Read the size of an image as displayed.

    Args:
        path: a JPEG, or a picture of another of RASTER_FORMATS.

    Raises:
        RawFileError: the file is missing, cannot be read, or is not an image.
    """
    try:
        with (
            _opened(path) as file,
            Image.open(file, formats=RASTER_FORMATS) as image,
        ):
            width, height = image.size
            # A JPEG has its metadata in front; other formats may have it behind the pixels.
            has_metadata = image.format != "JPEG" or not _METADATA.isdisjoint(image.info)
            rotated = has_metadata and _orientation(image) in _QUARTER_TURNS
    except FileNotFoundError:
        raise RawFileError(Problem("missing_image", path, None, "missing image")) from None
    except _PILLOW_ERRORS as error:
        if isinstance(error, OSError) and error.errno is not None:  # not an error of Pillow
            reason = error.strerror
        elif not os.path.getsize(path):
            reason = "the file is empty"
        else:
            reason = "expected a JPEG or PNG, got a file that is not a readable image"
        raise _unreadable(path, reason) from None
    if width > MAX_SIDE or height > MAX_SIDE:
        raise _unreadable(path, f"width and height must be 1..{MAX_SIDE}, got {width} x {height}")
    return ImageSize(height, width, True) if rotated else ImageSize(width, height, False)


def _opened(path: str) -> BinaryIO:
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # a pipe would be waited for
        raise OSError(errno.EINVAL, "this is no file")
    return open(path, "rb")


def _orientation(image: Image.Image) -> object:
    try:
        return image.getexif().get(_ORIENTATION_TAG)
    except Exception:  # as Detectron2, which shows an image with damaged metadata as it is stored
        return None


def _unreadable(path: str, reason: str | None) -> RawFileError:
    return RawFileError(Problem("unreadable_image", path, None, f"unreadable image: {reason}"))
