"""Bytes to pictures: what is read, how, and what is refused before it costs anything."""

import itertools
import random
import struct
import zlib
from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageOps

from services.runtime.errors import Cause, ServingError
from services.vision import images
from services.vision.headers import MAX_PIXELS, MAX_RUN_PIXELS, MAX_SIDE, read_header
from services.vision.images import MAX_BMP_PIECES, Picture

FORMATS = ["JPEG", "PNG", "WEBP", "BMP"]


def encoded(image: Image.Image, file_format: str = "PNG", **options: object) -> bytes:
    out = BytesIO()
    image.save(out, file_format, **options)
    return out.getvalue()


def decode(data: bytes, mode: str, field: str) -> Image.Image:
    """The pixels of a picture that is decoded whole."""
    return images.decode(data, read_header(data, field), mode, field).pixels


def reduced(data: bytes, least_side: int) -> Picture:
    return images.decode(data, read_header(data, "images[0]"), "RGB", "images[0]", least_side)


def astronaut() -> Image.Image:
    return Image.fromarray(skimage.data.astronaut())


def refusal(data: bytes) -> ServingError:
    with pytest.raises(ServingError) as raised:
        decode(data, "RGB", "images[3]")
    assert raised.value.cause is Cause.INVALID_INPUT
    assert raised.value.field == "images[3]"
    assert str(raised.value).startswith("images[3]: ")
    return raised.value


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of_zeros(width: int, height: int) -> bytes:
    """A whole black one-bit PNG, made a row at a time."""
    deflate = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    pixels = b"".join([*(deflate.compress(row) for _ in range(height)), deflate.flush()])
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", pixels) + png_chunk(b"IEND", b"")


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_photo_of_each_format_is_decoded_as_pillow_decodes_it(file_format: str) -> None:
    data = encoded(astronaut(), file_format)
    assert np.array_equal(np.asarray(decode(data, "RGB", "images[0]")), np.asarray(Image.open(BytesIO(data))))


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("stored", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "I;16"])
def test_a_picture_of_any_mode_comes_in_the_mode_of_the_model(stored: str, mode: str) -> None:
    gray = Image.fromarray(skimage.data.camera())
    deep = Image.fromarray(np.asarray(gray).astype(np.uint16) * 257)
    image = deep if stored == "I;16" else gray.convert(stored)
    data = encoded(image, "JPEG" if stored == "CMYK" else "PNG")
    decoded = decode(data, mode, "images[0]")
    assert decoded.mode == mode
    if stored != "1":
        difference = np.asarray(decoded.convert("L")).astype(int) - np.asarray(gray)
        assert np.abs(difference).mean() < 3


def test_sixteen_bits_a_channel_are_read_by_their_high_eight() -> None:
    deep = np.array([[0x0000, 0x00FF, 0x0100, 0x7FFF, 0xFFFF]], np.uint16)
    decoded = decode(encoded(Image.fromarray(deep)), "L", "images[0]")
    assert np.asarray(decoded).tolist() == [[0, 0, 1, 127, 255]]


def test_sixteen_bit_colours_are_read_by_their_high_eight() -> None:
    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    pixel = zlib.compress(b"\0" + bytes.fromhex("12ff 00ff ffff"))
    data = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", pixel) + png_chunk(b"IEND", b"")
    assert decode(data, "RGB", "images[0]").getpixel((0, 0)) == (0x12, 0x00, 0xFF)


def test_a_transparent_grey_of_sixteen_bits_lies_on_white_and_its_neighbours_do_not() -> None:
    header = struct.pack(">IIBBBBB", 3, 1, 16, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"tRNS", b"\0\0"), (b"IDAT", zlib.compress(bytes.fromhex("00 0000 0001 1200")))]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in [*chunks, (b"IEND", b"")])
    assert np.asarray(decode(data, "L", "images[0]")).tolist() == [[255, 0, 0x12]]


def test_what_is_transparent_lies_on_white() -> None:
    image = Image.new("RGBA", (3, 1))
    image.putdata([(10, 20, 30, 255), (10, 20, 30, 0), (0, 0, 0, 51)])
    decoded = np.asarray(decode(encoded(image), "RGB", "images[0]"))
    assert decoded[0].tolist() == [[10, 20, 30], [255, 255, 255], [204, 204, 204]]


def test_a_transparent_colour_of_a_palette_or_of_a_plain_picture_lies_on_white() -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([0, 0, 0, 200, 100, 50])
    palette.putdata([0, 1])
    plain = palette.convert("RGB")
    for data in (encoded(palette, transparency=0), encoded(plain, transparency=(0, 0, 0))):
        assert np.asarray(decode(data, "RGB", "images[0]"))[0].tolist() == [[255, 255, 255], [200, 100, 50]]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_a_picture_is_turned_as_its_exif_orientation_says(file_format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(astronaut().crop((0, 0, 300, 200)), file_format, exif=exif)
    expected = ImageOps.exif_transpose(Image.open(BytesIO(data)))
    assert np.array_equal(np.asarray(decode(data, "RGB", "images[0]")), np.asarray(expected))


def test_a_picture_with_broken_exif_is_read_as_it_is_stored() -> None:
    data = encoded(Image.new("RGB", (3, 2), "red"), "PNG", exif=b"Exif\0\0MM\0")
    assert decode(data, "RGB", "images[0]").size == (3, 2)


def test_a_png_of_20000_by_20000_pixels_is_refused_undecoded(decoded: list[tuple[int, int]]) -> None:
    data = png_of_zeros(20_000, 20_000)
    assert len(data) < 60_000
    error = refusal(data)
    assert (error.reason, decoded) == ("IMAGE_TOO_LARGE", [])
    assert str(error) == "images[3]: 20000 x 20000 is 400000000 pixels, expected at most 50000000"


def _jpeg_that_says(side: int) -> bytes:
    data = encoded(Image.new("RGB", (8, 8)), "JPEG")
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", side, side) + data[at + 4 :]


def _webp_that_says(side: int) -> bytes:
    payload = b"VP8X" + struct.pack("<I", 10) + bytes(4) + 2 * (side - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", len(payload) + 4) + b"WEBP" + payload


def _lossless_webp_that_says(side: int) -> bytes:
    payload = (
        b"VP8L" + struct.pack("<I", 5) + b"\x2f" + ((side - 1) | (side - 1) << 14).to_bytes(4, "little") + bytes(9)
    )
    return b"RIFF" + struct.pack("<I", len(payload) + 4) + b"WEBP" + payload


def _lossy_webp_that_says(side: int) -> bytes:
    data = encoded(Image.new("RGB", (8, 8)), "WEBP")
    at = data.index(b"\x9d\x01\x2a") + 3
    return data[:at] + struct.pack("<HH", side, side) + data[at + 4 :]


def _bmp_that_says(side: int) -> bytes:
    data = encoded(Image.new("RGB", (8, 8)), "BMP")
    return data[:18] + struct.pack("<ii", side, side) + data[26:]


@pytest.mark.parametrize(
    "forged", [_jpeg_that_says, _webp_that_says, _lossless_webp_that_says, _lossy_webp_that_says, _bmp_that_says]
)
def test_the_pixels_of_every_format_are_counted_in_its_header(
    forged: Callable[[int], bytes], decoded: list[tuple[int, int]]
) -> None:
    error = refusal(forged(16_000))
    assert (error.reason, decoded) == ("IMAGE_TOO_LARGE", [])
    assert "16000 x 16000 is 256000000 pixels" in str(error)


def test_a_file_that_says_two_sizes_is_refused_undecoded(decoded: list[tuple[int, int]]) -> None:
    small = png_of_zeros(1, 1)
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 7000, 7000, 1, 0, 0, 0, 0))
    error = refusal(small[:33] + header + small[33:])
    assert (error.reason, decoded) == ("IMAGE_UNDECODABLE", [])


def test_the_largest_picture_allowed_is_decoded_and_one_more_row_is_not() -> None:
    side = 7071  # 7071 * 7071 = 49,999,041
    assert decode(png_of_zeros(side, side), "L", "images[0]").size == (side, side)
    assert side * (side + 1) > MAX_PIXELS
    assert refusal(png_of_zeros(side, side + 1)).reason == "IMAGE_TOO_LARGE"


@pytest.mark.parametrize("size", [(1, MAX_SIDE), (MAX_SIDE, 1)])
def test_the_longest_side_allowed_is_decoded_and_one_pixel_more_is_not(
    size: tuple[int, int], decoded: list[tuple[int, int]]
) -> None:
    assert decode(png_of_zeros(*size), "L", "images[0]").size == size
    decoded.clear()
    width, height = (side + (side > 1) for side in size)
    error = refusal(png_of_zeros(width, height))
    assert (error.reason, decoded) == ("IMAGE_TOO_LARGE", [])
    assert str(error) == f"images[3]: {width} x {height} has a side of 65536 pixels, expected at most 65535"


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.95])
def test_a_file_that_ends_early_is_refused_and_never_shown_in_part(file_format: str, kept: float) -> None:
    data = encoded(astronaut(), file_format)
    error = refusal(data[: int(len(data) * kept)])
    assert error.reason == "IMAGE_UNDECODABLE"
    name = "WebP" if file_format == "WEBP" else file_format
    assert f"the {name} file of" in str(error)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"a 7, drawn by hand", id="text"),
        pytest.param(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", id="EPS"),
        pytest.param(b"8BPS\0\1" + bytes(40), id="PSD"),
        pytest.param(encoded(Image.new("RGB", (4, 4)), "GIF"), id="GIF"),
        pytest.param(encoded(Image.new("RGB", (4, 4)), "TIFF"), id="TIFF"),
        pytest.param(encoded(Image.new("RGB", (4, 4)), "PPM"), id="PPM"),
    ],
)
def test_what_is_none_of_the_four_formats_is_refused(data: bytes) -> None:
    error = refusal(data)
    assert error.reason == "IMAGE_UNDECODABLE"
    assert f"expected a JPEG, PNG, WebP or BMP file, got {len(data)} bytes" in str(error)


@pytest.mark.parametrize("magic", [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP", b"BM"])
def test_a_file_of_nothing_but_its_first_bytes_is_refused(magic: bytes) -> None:
    for tail in (b"", bytes(5), bytes(200), b"\xff" * 200):
        assert refusal(magic + tail).reason == "IMAGE_UNDECODABLE"


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_file_with_flipped_bytes_is_decoded_or_refused_and_nothing_else(file_format: str) -> None:
    chance = random.Random(file_format)
    whole = encoded(astronaut().resize((64, 64)), file_format)
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(min(len(data), 400))] = chance.randrange(256)
        try:
            decode(bytes(data), "RGB", "images[0]")
        except ServingError as error:
            assert error.reason in {"IMAGE_UNDECODABLE", "IMAGE_TOO_LARGE"}  # noqa: PT017


@pytest.mark.parametrize(
    ("flood", "says"),
    [(b"\xff" * 8, "is broken"), (b"\xff\xfe\0\2" * 2, "is in too many pieces to be read, expected at most 4096")],
    ids=["one marker", "notes"],
)
def test_a_header_of_a_million_pieces_is_refused_undecoded(
    flood: bytes, says: str, decoded: list[tuple[int, int]]
) -> None:
    error = refusal(b"\xff\xd8\xff" + flood * (1 << 20))  # 8 MiB
    assert (error.reason, decoded) == ("IMAGE_UNDECODABLE", [])
    assert says in str(error)


def grey_bmp(width: int, height: int, compression: int, pixels: bytes) -> bytes:
    """A BMP of 256 greys, its rows from the lowest."""
    greys = b"".join(bytes((grey, grey, grey, 0)) for grey in range(256))
    sizes = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, compression, len(pixels), 0, 0, 256, 0)
    begins = 14 + len(sizes) + len(greys)
    return b"BM" + struct.pack("<IHHI", begins + len(pixels), 0, 0, begins) + sizes + greys + pixels


def run_lengths(row: bytes) -> bytes:
    """A row as RLE8 has it: how many and which, and the end of the line."""
    runs = (bytes((len(list(run)), grey)) for grey, run in itertools.groupby(row))
    return b"".join([*runs, b"\0\0"])


def test_a_bmp_in_runs_is_the_picture_that_it_is_without() -> None:
    side = 200
    drawn = skimage.data.camera()[:side, :side] // 16 * 16
    rows = [row.tobytes() for row in drawn[::-1]]
    plain = grey_bmp(side, side, 0, b"".join(rows))
    in_runs = grey_bmp(side, side, 1, b"".join([*map(run_lengths, rows), b"\0\1"]))
    assert len(in_runs) > 4096
    assert np.array_equal(np.asarray(decode(plain, "L", "images[0]")), drawn)
    assert np.array_equal(np.asarray(decode(in_runs, "L", "images[0]")), drawn)


def test_a_bmp_of_runs_without_end_is_refused_whatever_its_length() -> None:
    error = refusal(grey_bmp(100, 100, 1, b"\0\0" * (8 << 20)))  # 16 MiB
    assert error.reason == "IMAGE_UNDECODABLE"
    assert str(error).endswith(f"is in too many pieces to be read, expected at most {MAX_BMP_PIECES}")


@pytest.mark.parametrize("compression", [1, 2])
def test_a_bmp_in_runs_of_more_pixels_than_python_reads_quickly_is_refused_undecoded(
    compression: int, decoded: list[tuple[int, int]]
) -> None:
    width, height = 2000, MAX_RUN_PIXELS // 2000 + 1
    error = refusal(grey_bmp(width, height, compression, b"\0\1"))
    assert (error.reason, decoded) == ("IMAGE_TOO_LARGE", [])
    assert str(error) == "images[3]: 2000 x 1251 is 2502000 pixels, expected at most 2500000 in an RLE BMP"
    plain = grey_bmp(width, height, 0, bytes(width * height))
    assert decode(plain, "L", "images[0]").size == (width, height)


def test_a_jpeg_of_very_many_scans_is_refused_before_they_are_decoded(decoded: list[tuple[int, int]]) -> None:
    data = encoded(Image.new("L", (3000, 3000)), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    scans = data[last:-2] * 1000
    error = refusal(data[:last] + scans + data[-2:])
    assert (error.reason, decoded) == ("IMAGE_TOO_LARGE", [])


def test_a_thin_jpeg_of_many_scans_is_counted_by_its_blocks(decoded: list[tuple[int, int]]) -> None:
    data = encoded(Image.new("L", (1, 65_500)), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    error = refusal(data[:last] + data[last:-2] * 6000 + data[-2:])
    assert (error.reason, decoded) == ("IMAGE_TOO_LARGE", [])
    assert "blocks of 8 x 65504 pixels in 60" in str(error)


def test_a_progressive_photo_of_the_largest_size_is_decoded() -> None:
    data = encoded(Image.new("L", (10_000, 5000)), "JPEG", progressive=True)
    assert decode(data, "L", "images[0]").size == (10_000, 5000)


def test_a_png_of_many_colour_profiles_is_refused_before_any_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked: list[int] = []
    monkeypatch.setattr("PIL.PngImagePlugin._safe_zlib_decompress", lambda data: unpacked.append(len(data)) or b"")
    whole, profile = png_of_zeros(1, 1), png_chunk(b"iCCP", b"name\0\0" + zlib.compress(bytes(1 << 20)))
    decode(whole[:33] + profile + whole[33:], "L", "images[0]")
    assert len(unpacked) == 1
    error = refusal(whole[:33] + profile * 4000 + whole[33:])
    assert (error.reason, len(unpacked)) == ("IMAGE_UNDECODABLE", 1)
    assert str(error) == "images[3]: 4000 colour profiles in a PNG file, expected at most 16"


def test_a_png_in_pieces_of_one_kilobyte_is_decoded() -> None:
    photo = skimage.data.astronaut()
    deflated = zlib.compress(b"".join(b"\0" + row.tobytes() for row in photo), 1)
    pieces = [png_chunk(b"IDAT", deflated[at : at + 1024]) for at in range(0, len(deflated), 1024)]
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 512, 512, 8, 2, 0, 0, 0))
    data = b"".join([b"\x89PNG\r\n\x1a\n", header, *pieces, png_chunk(b"IEND", b"")])
    assert np.array_equal(np.asarray(decode(data, "RGB", "images[0]")), photo)


@pytest.mark.parametrize(("least_side", "side"), [(0, 512), (257, 512), (256, 256), (100, 128), (1, 64)])
def test_a_jpeg_is_decoded_at_the_smallest_size_that_is_large_enough(least_side: int, side: int) -> None:
    found = reduced(encoded(astronaut(), "JPEG"), least_side)
    assert found.pixels.size == (side, side)
    assert (found.width, found.height) == (512, 512)


def test_a_reduced_jpeg_that_lies_on_its_side_has_the_size_of_what_is_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = Image.fromarray(skimage.data.coffee())  # 600 x 400
    found = reduced(encoded(photo, "JPEG", exif=exif), 200)
    assert (found.width, found.height) == (400, 600)
    assert found.pixels.size == (200, 300)


def test_another_format_is_decoded_whole() -> None:
    assert reduced(encoded(astronaut(), "PNG"), 1).pixels.size == (512, 512)
