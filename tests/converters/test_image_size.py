"""Sizes from headers, with Pillow as the oracle."""

import io

import pytest
from PIL import Image, ImageOps

from converters.image_size import read_image_size

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


def test_frame_header_behind_long_segments_and_fill_bytes(read):
    data = jpeg()
    segment = b"\xff\xe2" + (60000).to_bytes(2, "big") + b"\xff" * 59998
    assert read(data[:2] + segment + b"\xff\xff" + segment + data[2:]) == (64, 48, False)


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
        with pytest.raises(ValueError, match=r"empty|not a readable image"):
            read(data[:end])


def test_image_without_height_is_an_error(read):
    data = bytearray(jpeg())
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 7] = b"\0\0"
    with pytest.raises(ValueError, match=r"must be 1\.\.65535, got 64 x 0"):
        read(bytes(data))
