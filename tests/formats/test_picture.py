"""A picture is read as a person would see it; what cannot be read is one line."""

from __future__ import annotations

import io
import subprocess
import sys
import zlib

import numpy as np
import pytest
from detectron2.data.detection_utils import read_image
from PIL import Image

from df2_landmarks.common import UserError
from df2_landmarks.formats import read_picture

RGB = np.array(
    [[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[10, 20, 30], [90, 90, 90], [255, 255, 255]]],
    dtype=np.uint8,
)
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(made) (w) file closefile\nshowpage\n"


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def photo(seed=0, size=(48, 40)):
    """Smooth, so that JPEG changes it little."""
    small = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def test_colours_keep_their_places(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "photo.png")
    for source in (
        str(tmp_path / "photo.png"),
        tmp_path / "photo.png",
        encoded(Image.fromarray(RGB)),
        memoryview(encoded(Image.fromarray(RGB), "BMP")),
        Image.fromarray(RGB),
    ):
        picture = read_picture(source)
        np.testing.assert_array_equal(picture, RGB)
        assert picture.dtype == np.uint8 and picture.flags["C_CONTIGUOUS"]
        assert picture.flags["WRITEABLE"]
    np.testing.assert_array_equal(read_picture(RGB, channels="RGB"), RGB)
    np.testing.assert_array_equal(read_picture(RGB[:, :, ::-1], channels="BGR"), RGB)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "AVIF"])
def test_every_promised_format_is_read(kind):
    difference = read_picture(encoded(photo(), kind)).astype(int) - np.array(photo())
    assert np.abs(difference).mean() < 8
    assert read_picture(encoded(photo(), kind)).shape == (40, 48, 3)


def xmp_with(orientation):
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        f'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="{orientation}"/>'
        "</rdf:RDF></x:xmpmeta>"
    ).encode()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_orientation_of_exif_is_applied_as_detectron2_does(tmp_path, kind, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    path = tmp_path / f"photo.{kind.lower()}"
    path.write_bytes(encoded(photo(), kind, exif=exif))
    picture = read_picture(path)
    np.testing.assert_array_equal(picture, read_image(str(path), "RGB"))
    assert picture.shape == ((40, 48, 3) if orientation < 5 else (48, 40, 3))
    assert picture.flags["C_CONTIGUOUS"]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_a_tiff_is_applied_once(orientation):
    """Pillow applies it itself while it loads a TIFF."""
    exif = Image.Exif()
    exif[274] = orientation
    expected = read_picture(encoded(photo(), "PNG", exif=exif))
    np.testing.assert_array_equal(read_picture(encoded(photo(), "TIFF", exif=exif)), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_xmp_is_applied(orientation):
    exif = Image.Exif()
    exif[274] = orientation
    expected = read_picture(encoded(photo(), "JPEG", exif=exif))
    given = encoded(photo(), "JPEG", xmp=xmp_with(orientation))
    np.testing.assert_array_equal(read_picture(given), expected)


@pytest.mark.parametrize("exif", [b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0junk", b"Exif\0\0"])
def test_damaged_exif_does_not_hide_a_whole_photo(exif):
    picture = read_picture(encoded(photo(), "JPEG", exif=exif))
    np.testing.assert_array_equal(picture, read_picture(encoded(photo(), "JPEG")))


def test_exif_that_cannot_be_written_again_does_not_hide_a_whole_photo():
    """Only the orientation is needed; other tags may be of any type."""
    orientation = b"\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00"
    not_text = b"\x10\x01\x05\x00\x01\x00\x00\x00\x08\x00\x00\x00"  # the model as a fraction
    exif = b"Exif\0\0II*\0\x08\0\0\0\x02\0" + not_text + orientation + b"\0\0\0\0"
    picture = read_picture(encoded(photo(), "JPEG", exif=exif))
    stored = read_picture(encoded(photo(), "JPEG"))
    np.testing.assert_array_equal(picture, np.rot90(stored, -1))


def test_an_image_of_pillow_stays_as_it_is():
    exif = Image.Exif()
    exif[274] = 6
    image = Image.open(io.BytesIO(encoded(photo(), "JPEG", exif=exif)))
    assert read_picture(image).shape == (48, 40, 3)
    assert image.size == (48, 40) and image.getexif()[274] == 6
    assert read_picture(image).shape == (48, 40, 3)


def test_16_bit_grey_is_scaled():
    values = np.array([[0, 257, 32768, 65535]], dtype=np.uint16)
    for kind in ("PNG", "TIFF"):
        grey = read_picture(encoded(Image.fromarray(values), kind))
        assert grey[0].tolist() == [[0] * 3, [1] * 3, [128] * 3, [255] * 3]


def test_a_dark_16_bit_picture_stays_dark():
    values = np.full((2, 2), 255, dtype=np.uint16)
    assert read_picture(encoded(Image.fromarray(values)))[0, 0].tolist() == [1, 1, 1]


def test_floats_and_32_bit_integers_are_scaled_as_a_viewer_does():
    def grey(values):
        return read_picture(encoded(Image.fromarray(np.array([values])), "TIFF"))[0, :, 0].tolist()

    assert grey(np.array([0, 0.5, 1], np.float32)) == [0, 128, 255]
    assert grey(np.array([0, 128, 300], np.float32)) == [0, 0, 1]
    assert grey(np.array([0, 100, 255], np.float32)) == [0, 100, 255]
    assert grey(np.array([0, 100, 255], np.int32)) == [0, 100, 255]
    assert grey(np.array([-5, 32768, 65535], np.int32)) == [0, 128, 255]
    assert grey(np.array([np.nan, 0.5, 1], np.float32)) == [0, 128, 255]


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_transparent_parts_are_white(kind):
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 3] = (0, 128, 255)
    options = {"lossless": True} if kind == "WEBP" else {}
    picture = read_picture(encoded(Image.fromarray(rgba), kind, **options))
    assert picture[0].tolist() == [[255] * 3, [127] * 3, [0] * 3]


def test_grey_pictures_with_alpha():
    grey_alpha = np.array([[[0, 0], [0, 255], [200, 255]]], np.uint8)
    picture = read_picture(encoded(Image.fromarray(grey_alpha)))
    assert picture[0].tolist() == [[255] * 3, [0] * 3, [200] * 3]


def palette_image():
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2])
    return image


def test_palettes_with_and_without_transparency():
    red, green, blue, white = [255, 0, 0], [0, 255, 0], [0, 0, 255], [255] * 3
    assert read_picture(encoded(palette_image()))[0].tolist() == [red, green, blue]
    for kind in ("PNG", "GIF"):
        given = encoded(palette_image(), kind, transparency=1)
        assert read_picture(given)[0].tolist() == [red, white, blue]
    half = encoded(palette_image(), "PNG", transparency=bytes([255, 128, 0]))
    assert read_picture(half)[0].tolist() == [red, [127, 255, 127], white]


def test_a_transparent_colour_is_white():
    red = encoded(Image.fromarray(RGB), transparency=(255, 0, 0))
    assert read_picture(red)[0, :2].tolist() == [[255] * 3, [0, 255, 0]]
    grey = encoded(Image.fromarray(np.array([[7, 90]], np.uint8)), transparency=7)
    assert read_picture(grey)[0].tolist() == [[255] * 3, [90] * 3]


def test_grey_one_bit_and_cmyk():
    grey = np.array([[0, 100, 255]], np.uint8)
    assert read_picture(encoded(Image.fromarray(grey)))[0, :, 0].tolist() == [0, 100, 255]
    one_bit = Image.fromarray(grey > 50)
    assert one_bit.mode == "1"
    assert read_picture(encoded(one_bit))[0].tolist() == [[0] * 3, [255] * 3, [255] * 3]
    cmyk = Image.fromarray(np.full((8, 8, 4), (0, 255, 255, 0), np.uint8), mode="CMYK")
    red = read_picture(encoded(cmyk, "JPEG", quality=95))
    assert np.abs(red.astype(int) - [255, 0, 0]).max() < 8
    assert read_picture(photo().convert("YCbCr")).shape == (40, 48, 3)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_the_first_frame_of_an_animation(kind):
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "lime", "blue")]
    given = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    with Image.open(io.BytesIO(given)) as image:
        assert image.n_frames == 3
    assert np.abs(read_picture(given).astype(int) - [255, 0, 0]).max() < 8


def test_a_photo_of_two_pictures_is_its_first():
    """MPO: what many phones write with the ending .jpg."""
    given = encoded(photo(), "MPO", save_all=True, append_images=[photo(1)])
    np.testing.assert_array_equal(read_picture(given), read_picture(encoded(photo(), "JPEG")))


def test_the_content_decides_not_the_ending(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(encoded(Image.fromarray(RGB)))
    np.testing.assert_array_equal(read_picture(tmp_path / "photo.jpg"), RGB)


def test_a_program_in_the_place_of_a_photo_is_not_run(tmp_path, monkeypatch):
    """EPS is a program, and Pillow would start Ghostscript."""
    started = []
    monkeypatch.setattr(subprocess, "Popen", lambda *args, **_: started.append(args))
    (tmp_path / "photo.jpg").write_bytes(EPS)
    assert Image.open(tmp_path / "photo.jpg").format == "EPS"
    with pytest.raises(UserError, match=r"photo\.jpg: not a picture that can be read \(JPEG, "):
        read_picture(tmp_path / "photo.jpg")
    with pytest.raises(UserError, match="the picture: EPS is a program, and is not run"):
        read_picture(Image.open(tmp_path / "photo.jpg"))
    assert not started


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "photo.jpg: the file is empty"),
        (b"\0", "photo.jpg: not a picture that can be read"),
        (bytes(1000), "not a picture that can be read"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture that can be read"),
        (b"%PDF-1.7\n", "not a picture that can be read"),
        (b"\xff\xd8\xff", "not a"),
        (b"GIF89a", "not a"),
        (b"\x89PNG\r\n\x1a\n", "not a"),
    ],
)
def test_what_is_not_a_picture_is_one_line(tmp_path, content, message):
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        read_picture(path)
    assert "\n" not in str(caught.value) and "0x" not in str(caught.value)


def test_missing_files_folders_and_impossible_names(tmp_path):
    for path, message in (
        (tmp_path / "none.jpg", "none.jpg: cannot be read: No such file"),
        (tmp_path, "cannot be read: Is a directory"),
        ("a\0b.jpg", "cannot be the name of a file"),
        ("x" * 5000, "cannot be read: File name too long"),
    ):
        with pytest.raises(UserError, match=message):
            read_picture(path)


@pytest.mark.parametrize(
    ("source", "channels", "message"),
    [
        (np.zeros((4, 4), np.uint8), "RGB", r"must be \(H, W, 3\) uint8, but got \(4, 4\) uint8"),
        (np.zeros((4, 4, 4), np.uint8), "RGB", r"got \(4, 4, 4\) uint8"),
        (np.zeros((4, 4, 3), np.float32), "RGB", r"got \(4, 4, 3\) float32"),
        (np.zeros((0, 4, 3), np.uint8), "RGB", r"got \(0, 4, 3\)"),
        (RGB, None, r'must be given: channels="RGB", or "BGR" as of cv2.imread, but got None'),
        (RGB, "rgb", "but got 'rgb'"),
        (b"bytes", "RGB", "channels='RGB' is for arrays, but got a bytes"),
        (3, None, "must be a path, bytes, a Pillow image or an .* array, but got int"),
        (None, None, "but got NoneType"),
        (RGB.tolist(), None, "but got list"),
    ],
)
def test_wrong_arguments_are_named(source, channels, message):
    with pytest.raises(UserError, match=message):
        read_picture(source, channels=channels)


def readable(content):
    """Read; only a UserError of one line may come out."""
    try:
        return read_picture(content) is not None
    except UserError as error:
        assert "\n" not in str(error)
        return False


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"])
def test_a_truncated_file_is_refused(kind):
    whole = encoded(photo(), kind)
    assert readable(whole)
    cuts = np.linspace(0, len(whole) * 0.9, 60).astype(int).tolist()
    assert not any(readable(whole[:cut]) for cut in cuts)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "AVIF"])
def test_whatever_the_damage_it_is_one_line(kind):
    exif = Image.Exif()
    exif[274] = 6
    exif[271] = "maker"
    options = {} if kind in ("GIF", "BMP") else {"exif": exif}
    whole = np.frombuffer(encoded(photo(), kind, **options), np.uint8)
    rng = np.random.default_rng(0)
    for count in (1, 3, 30):
        for _ in range(40):
            damaged = whole.copy()
            places = rng.integers(0, min(len(whole), int(rng.choice([40, 10**6]))), count)
            damaged[places] = rng.integers(0, 256, count)
            readable(damaged.tobytes())


def test_a_picture_that_would_fill_the_memory_is_refused():
    """A file of 70 bytes that says it has 60000 x 60000 pixels."""
    whole = bytearray(encoded(Image.new("1", (8, 8)), "PNG"))
    whole[16:24] = (60000).to_bytes(4, "big") * 2
    whole[29:33] = zlib.crc32(whole[12:29]).to_bytes(4, "big")
    with pytest.raises(UserError, match="exceeds limit"):
        read_picture(bytes(whole))


def test_very_wide_and_thin_pictures():
    for size in ((50000, 20), (3000, 4), (4, 3000), (1, 1)):
        assert read_picture(encoded(Image.new("RGB", size))).shape == (size[1], size[0], 3)


HEIC_START = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


def test_without_the_reader_a_heic_photo_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "photo.jpg").write_bytes(HEIC_START + bytes(100))
    with pytest.raises(UserError, match=r"photo\.jpg: a HEIC photo: .*pip install pillow-heif"):
        read_picture(tmp_path / "photo.jpg")


def test_an_avif_picture_needs_no_heic_reader(monkeypatch):
    """Even if its first brand is that of all pictures of the family."""
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    given = bytearray(encoded(photo(), "AVIF"))
    assert given[8:12] == b"avif" and b"mif1" in given[16:40]
    place = given.index(b"mif1", 16)
    given[8:12], given[place : place + 4] = b"mif1", b"avif"
    np.testing.assert_array_equal(
        read_picture(bytes(given)), read_picture(encoded(photo(), "AVIF"))
    )


@pytest.mark.parametrize("orientation", [1, 6])
def test_heic_photos_are_read_upright(orientation):
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    exif = Image.Exif()
    exif[274] = orientation
    picture = read_picture(encoded(photo(), "HEIF", quality=95, exif=exif.tobytes()))
    expected = np.array(photo()) if orientation == 1 else np.rot90(np.array(photo()), -1)
    assert picture.shape == expected.shape
    assert np.abs(picture.astype(int) - expected).mean() < 8
    for cut in (20, 100, 400):
        assert not readable(encoded(photo(), "HEIF")[:cut])
