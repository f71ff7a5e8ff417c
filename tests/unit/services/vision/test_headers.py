"""What a file's header says is what a decoder finds in it."""

import struct
from collections.abc import Iterator
from io import BytesIO

import pytest
import skimage.data
from PIL import Image

from services.runtime.errors import ServingError
from services.vision.headers import Header, read_header

WIDTH, HEIGHT = 301, 200


def encoded(file_format: str, **options: object) -> bytes:
    out = BytesIO()
    Image.fromarray(skimage.data.astronaut()).crop((0, 0, WIDTH, HEIGHT)).save(out, file_format, **options)
    return out.getvalue()


def exif_of_another_picture() -> bytes:
    """As cameras add it: turned, with a small JPEG inside."""
    exif = Image.Exif()
    exif[0x0112] = 6
    thumbnail = BytesIO()
    Image.new("RGB", (16, 12)).save(thumbnail, "JPEG")
    return exif.tobytes() + thumbnail.getvalue()


def with_more(added: bytes) -> bytes:
    """A JPEG with some bytes after its first segment."""
    whole = encoded("JPEG")
    return whole[:20] + added + whole[20:]


def bmp(header: bytes) -> bytes:
    """Without its rows."""
    return b"BM" + struct.pack("<IHHI", 14 + len(header), 0, 0, 14 + len(header)) + header


def files() -> Iterator[tuple[str, str, bytes]]:
    """Format, what is particular, and the file."""
    yield "JPEG", "plain", encoded("JPEG")
    yield "JPEG", "progressive", encoded("JPEG", progressive=True)
    yield "JPEG", "with a thumbnail", encoded("JPEG", exif=exif_of_another_picture())
    yield "JPEG", "with a long profile", encoded("JPEG", icc_profile=bytes(200_000))
    yield "JPEG", "with a note like a frame", encoded("JPEG", comment=b"\xff\xc0\0\x11\x08\0\1\0\1\xff\xda")
    yield "JPEG", "filled up", with_more(b"\xff" * 100_000)
    yield "JPEG", "with bytes that do not belong", with_more(bytes(100_000) + b"\xff\0")
    yield "PNG", "plain", encoded("PNG")
    yield "WebP", "lossy", encoded("WEBP")
    yield "WebP", "lossless", encoded("WEBP", lossless=True)
    yield "WebP", "extended", encoded("WEBP", exif=exif_of_another_picture())
    yield "BMP", "plain", encoded("BMP")
    yield "BMP", "from above", bmp(struct.pack("<IiiHHI20x", 40, WIDTH, -HEIGHT, 1, 24, 0))
    yield "BMP", "of OS/2", bmp(struct.pack("<IHHHH", 12, WIDTH, HEIGHT, 1, 24))


@pytest.mark.parametrize(("file_format", "data"), [pytest.param(f, d, id=f"{f} {what}") for f, what, d in files()])
def test_the_size_is_that_of_the_picture_as_it_is_stored(file_format: str, data: bytes) -> None:
    assert read_header(data, "images[0]") == Header(file_format, WIDTH, HEIGHT)


@pytest.mark.parametrize("size", [(0, 5), (5, 0)])
def test_a_picture_without_a_side_is_no_picture(size: tuple[int, int]) -> None:
    whole = encoded("PNG")
    with pytest.raises(ServingError, match="is broken or ends too early") as raised:
        read_header(whole[:16] + struct.pack(">II", *size) + whole[24:], "images[0]")
    assert raised.value.reason == "IMAGE_UNDECODABLE"


@pytest.mark.parametrize("segment", [b"\xff\xfe\0\2", b"\xff\xd8", b"\xff\0"])
def test_a_jpeg_of_very_many_segments_is_refused_by_its_header(segment: bytes) -> None:
    with pytest.raises(ServingError, match=r"is in too many pieces to be read, expected at most 4096$") as raised:
        read_header(with_more(segment * 5000), "images[0]")
    assert raised.value.reason == "IMAGE_UNDECODABLE"
