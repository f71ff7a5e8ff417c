"""What an image file says of itself before its pixels: which of four formats it is, and its size.

Decoders are the widest attack surface of the service, so every other format is refused here, and whatever these few
bytes can decide is decided by them: a file of some kilobytes may hold gigabytes. A decoder is not asked, as one unpacks
notes and makes canvases when it opens a file. Sides are as they are stored: turned upright, a picture is no larger.
"""

import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

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
# 1920 x 1200.
MAX_RUN_PIXELS = 2_500_000
_RLE = (1, 2)
# Of a PNG, colour profiles, of which it may have one: Pillow unpacks each, a kilobyte to a megabyte.
MAX_PROFILES = 16
_PROFILE = b"iCCP"

# How headers of a BMP begin: that of OS/2, with sides of two bytes and without runs, and others.
_CORE_HEADER_BYTES = 12
_LONG_HEADER_BYTES = (40, 52, 56, 64, 108, 124)

# Before a JPEG's frame; one has some ten, of up to 64 KiB each.
_MAX_SEGMENTS = 4096
_MARKER = re.compile(rb"\xff+(.?)", re.DOTALL)
# ITU-T T.81, table B.1: what begins a frame, and what has no length; 0 is no marker.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE = frozenset((0x00, 0x01, *range(0xD0, 0xDA)))

_NO_SIZE = (0, 0)


class TooManyPiecesError(OSError):
    """Its text is for the caller."""

    def __init__(self, most: int) -> None:
        super().__init__(f"is in too many pieces to be read, expected at most {most}")


@dataclass(frozen=True, slots=True)
class Header:
    """`format` is JPEG, PNG, WebP or BMP; the sides are in pixels, at least one."""

    format: str
    width: int
    height: int


def read_header(data: bytes, field: str) -> Header:
    """The header of a picture that is small enough to be decoded.

    Raises ServingError (INVALID_INPUT) with reason IMAGE_UNDECODABLE or IMAGE_TOO_LARGE; `field` names the image in it.
    """
    name = _format_of(data)
    if name is None:
        raise _not_an_image(data, field)
    try:
        width, height = _SIZES[name](data)
    except (TooManyPiecesError, struct.error) as error:
        raise undecodable(name, data, field, error) from None
    if not (width and height):
        raise undecodable(name, data, field)
    _check_size(width, height, field)
    if name == "JPEG":
        _check_scans(data, width, height, field)
    if name == "PNG":
        _check_profiles(data, field)
    if name == "BMP":
        _check_runs(data, width, height, field)
    return Header(name, width, height)


def undecodable(name: str, data: bytes, field: str, error: Exception | None = None) -> ServingError:
    """For a file of the format `name` that a decoder cannot read, by what it met."""
    fault = str(error) if isinstance(error, TooManyPiecesError) else "is broken or ends too early"
    return invalid_input(f"{field}: the {name} file of {len(data)} bytes {fault}", field, "IMAGE_UNDECODABLE")


def check_pixels(width: int, height: int, field: str) -> None:
    """Raises ServingError (INVALID_INPUT, IMAGE_TOO_LARGE) above 50 megapixels."""
    if width * height > MAX_PIXELS:
        message = f"{field}: {width} x {height} is {width * height} pixels, expected at most {MAX_PIXELS}"
        raise _too_large(message, field)


def _check_size(width: int, height: int, field: str) -> None:
    check_pixels(width, height, field)
    side = max(width, height)
    if side > MAX_SIDE:
        message = f"{field}: {width} x {height} has a side of {side} pixels, expected at most {MAX_SIDE}"
        raise _too_large(message, field)


def _check_scans(data: bytes, width: int, height: int, field: str) -> None:
    scans = data.count(_SCAN)  # those in a thumbnail or, by chance, in notes among them
    across, down = (-(-side // _BLOCK) * _BLOCK for side in (width, height))
    if across * down * scans > MAX_SCANNED_PIXELS:
        blocks = f"blocks of {across} x {down} pixels in {scans} scans"
        raise _too_large(f"{field}: {blocks}, expected at most {MAX_SCANNED_PIXELS} in all", field)


def _check_profiles(data: bytes, field: str) -> None:
    profiles = data.count(_PROFILE)  # those that pixels spell by chance among them
    if profiles > MAX_PROFILES:
        message = f"{field}: {profiles} colour profiles in a PNG file, expected at most {MAX_PROFILES}"
        raise invalid_input(message, field, "IMAGE_UNDECODABLE")


def _check_runs(data: bytes, width: int, height: int, field: str) -> None:
    in_runs = _bmp_header_bytes(data) != _CORE_HEADER_BYTES and int.from_bytes(data[30:34], "little") in _RLE
    if in_runs and width * height > MAX_RUN_PIXELS:
        size = f"{width} x {height} is {width * height} pixels"
        raise _too_large(f"{field}: {size}, expected at most {MAX_RUN_PIXELS} in an RLE BMP", field)


def _too_large(message: str, field: str) -> ServingError:
    return invalid_input(message, field, "IMAGE_TOO_LARGE")


def _format_of(data: bytes) -> str | None:
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WebP"
    if data.startswith(b"BM"):
        return "BMP"
    return None


def _not_an_image(data: bytes, field: str) -> ServingError:
    came = f"{len(data)} bytes that begin with hexadecimal {data[:8].hex(' ')}" if data else "0 bytes"
    return invalid_input(f"{field}: expected a JPEG, PNG, WebP or BMP file, got {came}", field, "IMAGE_UNDECODABLE")


# ---- width and height by format, _NO_SIZE or struct.error where there are none


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Of the first frame. ITU-T T.81, sections B.1.1 and B.2.2."""
    at = 2
    for _ in range(_MAX_SEGMENTS):
        begins = data.find(b"\xff", at)
        marker = _MARKER.match(data, begins) if begins >= 0 else None
        if marker is None or marker[1] in (b"", _SCAN[1:]):
            return _NO_SIZE
        kind, at = marker[1][0], marker.end()
        if kind in _FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 3)
            return width, height
        if kind not in _BARE:
            at += int.from_bytes(data[at : at + 2], "big")
    raise TooManyPiecesError(_MAX_SEGMENTS)


def _png_size(data: bytes) -> tuple[int, int]:
    """PNG, third edition, section 11.2.1."""
    if data[12:16] != b"IHDR":
        return _NO_SIZE
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _webp_size(data: bytes) -> tuple[int, int]:
    """RFC 9649, section 2.5 to 2.7."""
    head = data[:30].ljust(30, b"\0")
    if head[12:16] == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if head[12:16] == b"VP8 ":
        width, height = struct.unpack("<HH", head[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return _NO_SIZE


def _bmp_size(data: bytes) -> tuple[int, int]:
    """A height below zero is that of a picture whose first row is the uppermost."""
    header_bytes = _bmp_header_bytes(data)
    if header_bytes == _CORE_HEADER_BYTES:
        width, height = struct.unpack_from("<HH", data, 18)
    elif header_bytes in _LONG_HEADER_BYTES:
        width, height = struct.unpack_from("<Ii", data, 18)
    else:
        return _NO_SIZE
    return width, abs(height)


def _bmp_header_bytes(data: bytes) -> int:
    return int.from_bytes(data[14:18], "little")


_SIZES: Mapping[str, Callable[[bytes], tuple[int, int]]] = {
    "JPEG": _jpeg_size,
    "PNG": _png_size,
    "WebP": _webp_size,
    "BMP": _bmp_size,
}
