"""Pictures from files, bytes, Pillow images and arrays, as a person would see them."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from df2_landmarks.common import UserError

if TYPE_CHECKING:
    from PIL import Image

Channels = Literal["RGB", "BGR"]
RASTER_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF")
"""Pillow's names of the formats that are read, decided by the content of a file. Others are
refused: EPS, for one, would be run as a program."""

MAX_PIXELS = 100_000_000
"""Pixels of the largest picture that is decoded, to 300 MB: more than any camera's of today."""

PICTURE_SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif"),
        *(".tif", ".tiff", ".avif", ".heic", ".heif", ".hif"),
    )
)
"""Endings, in lower case, of the files that are taken for pictures in a folder."""

HEIC_BRANDS = frozenset(b"heic heix heim heis hevc hevx hevm hevs mif1 msf1".split())
AVIF_BRANDS = frozenset(b"avif avis".split())
ORIENTATIONS: dict[int, Callable[[NDArray], NDArray]] = {
    2: lambda rgb: rgb[:, ::-1],
    3: lambda rgb: rgb[::-1, ::-1],
    4: lambda rgb: rgb[::-1],
    5: lambda rgb: rgb.transpose(1, 0, 2),
    6: lambda rgb: rgb[::-1].transpose(1, 0, 2),
    7: lambda rgb: rgb[::-1, ::-1].transpose(1, 0, 2),
    8: lambda rgb: rgb[:, ::-1].transpose(1, 0, 2),
}
"""Orientation of EXIF -> what turns the stored pixels upright."""

HEIC_HELP = "a HEIC photo: install its reader with `pip install pillow-heif`, or convert it to JPEG"


class TooManyPixelsError(UserError):
    """A picture has more pixels than its reader allows; it has not been decoded.

    Attributes:
        size: width and height, as the header says; None if they are beyond Pillow's own limit.
    """

    def __init__(self, message: str, size: tuple[int, int] | None = None) -> None:
        self.size = size
        super().__init__(message)


def read_picture(
    source: Any, *, channels: Channels | None = None, max_pixels: int = MAX_PIXELS
) -> NDArray[np.uint8]:
    """Read a picture as (H, W, 3) uint8 RGB.

    The orientation of EXIF or XMP is applied. Transparent parts become white, 16-bit values are
    scaled to 8 bits, grey, palette and CMYK pictures are converted, and of an animated picture the
    first frame is taken. HEIC needs `pillow-heif`.

    Args:
        source: path, bytes of a file, Pillow image, or (H, W, 3) uint8 array.
        channels: order of the channels of an array, "RGB" or "BGR"; for arrays only.
        max_pixels: a file with more is not decoded.

    Raises:
        UserError: the file is missing or not a readable picture, or the array is not such an
            array.

    Example:
        >>> import numpy as np
        >>> from df2_landmarks.formats import read_picture
        >>> read_picture(np.array([[[255, 0, 0]]], np.uint8), channels="BGR").tolist()
        [[[0, 0, 255]]]
    """
    if isinstance(source, np.ndarray):
        return _from_array(source, channels)
    if channels is not None:
        raise UserError(f"channels={channels!r} is for arrays, but got a {type(source).__name__}")
    from PIL import Image

    if isinstance(source, Image.Image):
        if source.format == "EPS":  # Pillow starts Ghostscript when its pixels are asked for
            raise UserError("the picture: EPS is a program, and is not run; convert it to PNG")
        return _decode(source, "the picture", max_pixels)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _from_bytes(bytes(source), "the bytes of the picture", max_pixels)
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        try:
            if path.exists() and not path.is_file() and not path.is_dir():
                raise UserError(f"{path}: is no file")  # a pipe would be waited for
            content = path.read_bytes()
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror}") from None
        except ValueError as error:  # a null character
            raise UserError(f"{str(path)!r}: cannot be the name of a file: {error}") from None
        return _from_bytes(content, str(path), max_pixels)
    raise UserError(
        "a picture must be a path, bytes, a Pillow image or an (H, W, 3) array, but got "
        f"{type(source).__name__}"
    )


def _from_array(array: NDArray, channels: Channels | None) -> NDArray[np.uint8]:
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8 or not array.size:
        raise UserError(
            f"an array must be (H, W, 3) uint8, but got {array.shape} {array.dtype}; a Pillow "
            "image may be grey, 16-bit or transparent"
        )
    if channels not in ("RGB", "BGR"):
        raise UserError(
            'the order of an array\'s channels must be given: channels="RGB", or "BGR" as of '
            f"cv2.imread, but got {channels!r}"
        )
    return np.ascontiguousarray(array if channels == "RGB" else array[:, :, ::-1])


def _from_bytes(content: bytes, name: str, max_pixels: int) -> NDArray[np.uint8]:
    if not content:
        raise UserError(f"{name}: the file is empty")
    from PIL import Image

    formats = list(RASTER_FORMATS)
    if _is_heic(content):
        formats = [_register_heif(name)]
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    try:
        image = Image.open(io.BytesIO(content), formats=formats)
    except Image.UnidentifiedImageError:
        readable = ", ".join(RASTER_FORMATS)
        raise UserError(f"{name}: not a picture that can be read ({readable}, HEIC)") from None
    except Image.DecompressionBombError as error:
        raise TooManyPixelsError(f"{name}: not a readable picture ({error})") from None
    except Exception as error:  # damaged bytes may raise anything
        raise UserError(f"{name}: not a readable picture ({error})") from None
    return _decode(image, name, max_pixels)


def _is_heic(content: bytes) -> bool:
    """Whether the first box of an ISO media file names HEIC, and not AVIF."""
    if content[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(content[:4], "big"), 256)
    brands = {content[8:12], *(content[start : start + 4] for start in range(16, end, 4))}
    return content[8:12] in HEIC_BRANDS and not brands & AVIF_BRANDS


def _register_heif(name: str) -> str:
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        raise UserError(f"{name}: {HEIC_HELP}") from None
    register_heif_opener()
    return "HEIF"


def _decode(image: Image.Image, name: str, max_pixels: int) -> NDArray[np.uint8]:
    width, height = image.size
    if width * height > max_pixels:
        raise TooManyPixelsError(
            f"{name}: {width} x {height} are more pixels than the limit of {max_pixels:,}",
            image.size,
        )
    try:
        image.load()
        turn = ORIENTATIONS.get(_orientation(image))
        rgb = _to_rgb(image)
    except MemoryError:  # the machine's fault, not the picture's
        raise
    except Exception as error:  # damaged bytes may raise anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{name}: not a readable picture ({reason})") from None
    if not rgb.size:
        raise UserError(f"{name}: the picture has no pixels")
    return rgb if turn is None else np.ascontiguousarray(turn(rgb))


def _orientation(image: Image.Image) -> int:
    """Return the orientation 1..8 of EXIF or XMP; 1 where these are damaged: viewers do so too."""
    from PIL import ExifTags

    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # damaged bytes may raise anything
        return 1


def _to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    from PIL import Image

    if image.mode.startswith(("I", "F")):
        is_16_bit = image.mode.startswith("I;16")
        image = Image.fromarray(_to_8_bits(np.asarray(image), is_16_bit=is_16_bit))
    if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        picture = image.convert("RGBA")
        page = Image.new("RGBA", picture.size, "white")
        image = Image.alpha_composite(page, picture)
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def _to_8_bits(values: NDArray, *, is_16_bit: bool) -> NDArray[np.uint8]:
    """Scale grey values as a viewer shows them.

    From 0..65535 if they have 16 bits. Others say nothing of their range: floats of 1 at most are
    scaled from 0..1, and values of 255 at most are left as they are.
    """
    is_float = values.dtype.kind == "f"
    values = np.nan_to_num(values.astype(np.float64))
    if is_float and values.max() <= 1:
        values = values * 255
    elif is_16_bit or values.max() > 255:
        values = values * (255 / 65535)
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
