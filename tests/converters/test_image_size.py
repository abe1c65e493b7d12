"""Sizes are those that Detectron2 shows; what it cannot read is refused."""

import io
import os
import random
import struct
import zlib

import pytest
from detectron2.data.detection_utils import read_image
from PIL import Image, ImageOps

from converters.raw import RawFileError, read_image_size

ORIENTATION = 0x0112


def jpeg(size=(64, 48), orientation=None, **options):
    """Bytes of a JPEG, with an Exif orientation if one is given."""
    exif = Image.Exif()
    if orientation is not None:
        exif[ORIENTATION] = orientation
        options["exif"] = exif
    stream = io.BytesIO()
    Image.new("RGB", size).save(stream, "JPEG", **options)
    return stream.getvalue()


@pytest.fixture
def read(tmp_path):
    def run(data):
        path = tmp_path / "000001.jpg"
        path.write_bytes(data)
        return read_image_size(str(path))

    return run


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (468, 624), (65500, 2)])
def test_jpeg(size, progressive, read):
    assert read(jpeg(size, progressive=progressive)) == (*size, False)


@pytest.mark.parametrize("orientation", range(10))
def test_size_is_as_displayed_under_every_orientation(orientation, read):
    data = jpeg((64, 48), orientation)
    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).size
    size = read(data)
    assert size[:2] == shown
    assert size.rotated == (shown != (64, 48))


def test_big_endian_exif(read):
    tiff = b"MM\0*\0\0\0\x08\0\x01" + b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0" + b"\0\0\0\0"
    segment = b"Exif\0\0" + tiff
    data = jpeg()
    data = data[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + data[2:]
    assert Image.open(io.BytesIO(data)).getexif()[ORIENTATION] == 6
    assert read(data) == (48, 64, True)


def tiff(*entries):
    """A little-endian Exif body; each entry is tag, type, count, value."""
    rows = [struct.pack("<HHII", *entry) for entry in entries]
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(rows)) + b"".join(rows) + b"\0\0\0\0"


def app1(content):
    return b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content


def exif(*entries):
    return app1(b"Exif\0\0" + tiff(*entries))


def chunk(kind, content):
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


XMP = b'<x:xmpmeta tiff:Orientation="6"/>'
ASCII, SHORT, LONG = 2, 3, 4
JPEG_METADATA = {
    "long": (exif((ORIENTATION, LONG, 1, 6)), True),
    "two numbers": (exif((ORIENTATION, SHORT, 2, 6)), True),
    "text": (exif((ORIENTATION, ASCII, 2, ord("6"))), False),
    "first of two segments": (
        exif((ORIENTATION, SHORT, 1, 1)) + exif((ORIENTATION, SHORT, 1, 6)),
        False,
    ),
    "XMP": (app1(b"http://ns.adobe.com/xap/1.0/\0" + XMP), True),
}
PNG_METADATA = {
    "Exif": (chunk(b"eXIf", tiff((ORIENTATION, SHORT, 1, 8))), True),
    "upright": (chunk(b"eXIf", tiff((ORIENTATION, SHORT, 1, 1))), False),
    "XMP": (chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP), True),
    "other text": (chunk(b"tEXt", b"Software\0x"), False),
}


def assert_as_detectron2(path, turned):
    size = read_image_size(str(path))
    height, width = read_image(str(path), "BGR").shape[:2]
    assert size == ((48, 64, True) if turned else (64, 48, False))
    assert (size.width, size.height) == (width, height)


@pytest.mark.parametrize("name", JPEG_METADATA)
def test_orientation_of_a_jpeg_is_what_detectron2_makes_of_it(name, tmp_path):
    metadata, turned = JPEG_METADATA[name]
    data = jpeg()
    (tmp_path / "1.jpg").write_bytes(data[:2] + metadata + data[2:])
    assert_as_detectron2(tmp_path / "1.jpg", turned)


@pytest.mark.parametrize("at_the_end", [False, True])
@pytest.mark.parametrize("name", PNG_METADATA)
def test_orientation_of_a_png_is_what_detectron2_makes_of_it(name, at_the_end, tmp_path):
    metadata, turned = PNG_METADATA[name]
    stream = io.BytesIO()
    Image.new("RGB", (64, 48)).save(stream, "PNG")
    data = stream.getvalue()
    place = len(data) - 12 if at_the_end else 33  # before IEND, or after IHDR
    (tmp_path / "1.jpg").write_bytes(data[:place] + metadata + data[place:])
    assert_as_detectron2(tmp_path / "1.jpg", turned)


def test_damaged_exif_does_not_matter(read):
    data = jpeg()
    for tiff in (b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff\x12\x01"):
        segment = b"Exif\0\0" + tiff
        head = b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big")
        assert read(data[:2] + head + segment + data[2:]) == (64, 48, False)


@pytest.mark.parametrize("name", ["PNG", "WEBP", "BMP"])
def test_other_format_that_calls_itself_jpg(name, read):
    stream = io.BytesIO()
    Image.new("RGB", (31, 17)).save(stream, name)
    assert read(stream.getvalue()) == (31, 17, False)


def test_every_truncated_header_is_an_error(read):
    data = jpeg()
    frame = data.index(b"\xff\xc0")
    for end in range(frame + 9):
        reason = "not a readable image" if end else "the file is empty"
        with pytest.raises(RawFileError, match=rf"/000001\.jpg: unreadable image: .*{reason}$"):
            read(data[:end])


def test_a_program_in_disguise_is_not_run(read):
    """Pillow would start Ghostscript for it."""
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n{} loop\n"
    with pytest.raises(RawFileError, match="not a readable image"):
        read(eps)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "000001.jpg")
    with pytest.raises(RawFileError, match="unreadable image: this is no file"):
        read_image_size(str(tmp_path / "000001.jpg"))


def test_image_without_height_is_an_error(read):
    data = bytearray(jpeg())
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 7] = b"\0\0"
    with pytest.raises(RawFileError, match="not a readable image"):
        read(bytes(data))


def test_image_with_a_side_of_over_65535_pixels_is_an_error(read):
    stream = io.BytesIO()
    Image.new("L", (65536, 1)).save(stream, "PNG")
    with pytest.raises(RawFileError, match=r"must be 1\.\.65535, got 65536 x 1"):
        read(stream.getvalue())


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF"])
def test_damaged_bytes_are_a_size_or_one_clear_error(name, read):
    generator = random.Random(0)
    stream = io.BytesIO()
    Image.new("RGB", (31, 17)).save(stream, name)
    for _ in range(300):
        data = bytearray(stream.getvalue())
        for _ in range(3):
            data[generator.randrange(min(len(data), 200))] = generator.randrange(256)
        try:
            assert min(read(bytes(data))[:2]) > 0
        except RawFileError as error:
            assert error.problem.reason == "unreadable_image" and "\n" not in str(error)


def test_file_that_cannot_be_opened_says_why(tmp_path):
    with pytest.raises(RawFileError, match=r"/000001\.jpg: missing image$"):
        read_image_size(str(tmp_path / "000001.jpg"))
    (tmp_path / "000002.jpg").mkdir()
    with pytest.raises(RawFileError, match=r"/000002\.jpg: unreadable image: Is a directory$"):
        read_image_size(str(tmp_path / "000002.jpg"))
