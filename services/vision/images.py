"""Bytes that a stranger sent to an upright picture in the colours that the model reads.

Decoders are the widest attack surface of the service, so four formats are known by their first bytes and every other is
refused before a decoder sees it; the pixels are counted in the header, before any is decoded. What is transparent lies
on white; of 16 bits a channel the high eight are read; of an animation the first frame. Colour profiles are not
applied. A JPEG that is to become much smaller is decoded at a half, a quarter or an eighth of its size, which costs the
format less. A file that ends early or is broken is refused, never read in part. Pillow's words do not reach the caller.
"""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from services.runtime.errors import ServingError, invalid_input

MAX_PIXELS = 50_000_000
# Of a side: JPEG's own limit. Each line costs a decoder time however short it is, and while a picture is resized it is
# as high as it came and as wide as the network's input.
MAX_SIDE = 65_535
# Of a JPEG, pixels of its blocks times scans: a scan of a few bytes costs the decoder a pass over the whole picture,
# some nanoseconds a pixel. A progressive photo has about ten.
MAX_SCANNED_PIXELS = 3_000_000_000
_BLOCK = 8
_SCAN = b"\xff\xda"
# Of a BMP in runs (RLE), which is read in Python: pixels, at up to 0.3 microseconds each, more than a screen of
# 1920 x 1200, and reads of the file, two a run, at a microsecond each.
MAX_RUN_PIXELS = 2_500_000
MAX_BMP_PIECES = 500_000
_RLE = (1, 2)

# What Pillow's decoders raise at a file that breaks its format.
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)

_EXIF_ORIENTATION = 0x0112
# Exif 2.32, 4.6.4: how a stored picture is turned upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ON_ITS_SIDE = (5, 6, 7, 8)


@dataclass(frozen=True, slots=True)
class Picture:
    """Upright pixels, and the size of what was sent, upright too: the pixels may be fewer."""

    pixels: Image.Image
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class _Format:
    name: str
    # Made directly and not by Image.open, whose own limit of pixels is another and process-wide.
    open: Callable[[BytesIO], ImageFile.ImageFile]


class _TooManyPiecesError(OSError):
    """Its text is for the caller."""


class _Metered(BytesIO):
    """A file that is read in at most `max_pieces` pieces.

    Pillow walks a header in Python, piece by piece: a message full of empty segments would hold the service for half a
    minute. Encoders write pieces of some kilobytes; a header has some hundred.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.max_pieces = 4096 + len(data) // 256
        self._pieces = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._pieces += 1
        if self._pieces > self.max_pieces:
            raise _TooManyPiecesError(f"is in too many pieces to be read, expected at most {self.max_pieces}")
        return super().read(size)


def decode(data: bytes, mode: str, field: str, least_side: int = 0) -> Picture:
    """Decode to an upright picture of mode 'RGB' or 'L', uint8. With `least_side` a JPEG may come smaller than it is,
    but with no side below that.

    Raises ServingError (INVALID_INPUT) with reason IMAGE_UNDECODABLE or IMAGE_TOO_LARGE; `field` names the image in it.
    """
    file_format = _format_of(data)
    if file_format is None:
        raise _not_an_image(data, field)
    if file_format.name == "WebP":  # Its decoder makes a canvas as soon as it is opened.
        _check_size(*_webp_size(data), field)
    try:
        file = _Metered(data)
        image: Image.Image = file_format.open(file)
        sent = image.size
        _check_size(*sent, field)
        if isinstance(image, JpegImageFile):
            _check_scans(data, *sent, field)
            if least_side:
                image.draft(None, (least_side, least_side))
        if isinstance(image, BmpImageFile):
            _check_runs(image, field)
            file.max_pieces = MAX_BMP_PIECES
        image.load()
        orientation = _orientation(image)
        upright = image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image
        return Picture(_in_mode(upright, mode), *(reversed(sent) if orientation in _ON_ITS_SIDE else sent))
    except _BROKEN as error:
        fault = str(error) if isinstance(error, _TooManyPiecesError) else "is broken or ends too early"
        message = f"{field}: the {file_format.name} file of {len(data)} bytes {fault}"
        raise invalid_input(message, field, "IMAGE_UNDECODABLE") from None


def check_pixels(width: int, height: int, field: str) -> None:
    """Raises ServingError (INVALID_INPUT, IMAGE_TOO_LARGE) above 50 megapixels."""
    if width * height > MAX_PIXELS:
        message = f"{field}: {width} x {height} is {width * height} pixels, expected at most {MAX_PIXELS}"
        raise invalid_input(message, field, "IMAGE_TOO_LARGE")


def _check_size(width: int, height: int, field: str) -> None:
    check_pixels(width, height, field)
    side = max(width, height)
    if side > MAX_SIDE:
        message = f"{field}: {width} x {height} has a side of {side} pixels, expected at most {MAX_SIDE}"
        raise invalid_input(message, field, "IMAGE_TOO_LARGE")


def _check_runs(image: BmpImageFile, field: str) -> None:
    width, height = image.size
    if image.info["compression"] in _RLE and width * height > MAX_RUN_PIXELS:
        size = f"{width} x {height} is {width * height} pixels"
        message = f"{field}: {size}, expected at most {MAX_RUN_PIXELS} in an RLE BMP"
        raise invalid_input(message, field, "IMAGE_TOO_LARGE")


def _check_scans(data: bytes, width: int, height: int, field: str) -> None:
    scans = data.count(_SCAN)  # those in a thumbnail or, by chance, in notes among them
    across, down = (-(-side // _BLOCK) * _BLOCK for side in (width, height))
    if across * down * scans > MAX_SCANNED_PIXELS:
        blocks = f"blocks of {across} x {down} pixels in {scans} scans"
        message = f"{field}: {blocks}, expected at most {MAX_SCANNED_PIXELS} in all"
        raise invalid_input(message, field, "IMAGE_TOO_LARGE")


def _format_of(data: bytes) -> _Format | None:
    if data.startswith(b"\xff\xd8\xff"):
        return _Format("JPEG", JpegImageFile)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _Format("PNG", PngImageFile)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _Format("WebP", WebPImageFile)
    if data.startswith(b"BM"):
        return _Format("BMP", BmpImageFile)
    return None


def _not_an_image(data: bytes, field: str) -> ServingError:
    came = f"{len(data)} bytes that begin with hexadecimal {data[:8].hex(' ')}" if data else "0 bytes"
    return invalid_input(f"{field}: expected a JPEG, PNG, WebP or BMP file, got {came}", field, "IMAGE_UNDECODABLE")


def _webp_size(data: bytes) -> tuple[int, int]:
    """The size in the header, 0 x 0 where there is none: the decoder will say so. RFC 9649, section 2.5 to 2.7."""
    head = data[:30].ljust(30, b"\0")
    if head[12:16] == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if head[12:16] == b"VP8 ":
        width, height = struct.unpack("<HH", head[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return 0, 0


def _orientation(image: Image.Image) -> int:
    try:
        found: int = image.getexif().get(_EXIF_ORIENTATION, 1)
    except _BROKEN:  # The picture is whole all the same.
        return 1
    return found


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    if image.mode.startswith("I;16"):
        image = _high_eight(image)
    if image.has_transparency_data:
        picture = image if image.mode == "RGBA" else image.convert("RGBA")
        image = Image.new("RGB", image.size, "white")
        image.paste(picture, mask=picture)
    return image if image.mode == mode else image.convert(mode)


def _high_eight(image: Image.Image) -> Image.Image:
    """Of sixteen bits of grey; what is transparent in all sixteen stays so."""
    grey = np.asarray(image)
    narrow = Image.fromarray((grey >> 8).astype(np.uint8))
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        narrow.putalpha(Image.fromarray(np.where(grey == transparent, 0, 255).astype(np.uint8)))
    return narrow
