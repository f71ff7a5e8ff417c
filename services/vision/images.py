"""Bytes that a stranger sent to an upright picture in the colours that the model reads.

What may be decoded its header has decided (`headers.py`). What is transparent lies on white; of 16 bits a channel the
high eight are read; of an animation the first frame. Colour profiles are not applied. A JPEG that is to become much
smaller is decoded at a half, a quarter or an eighth of its size, which costs the format less. A file that ends early or
is broken is refused, never read in part. Pillow's words do not reach the caller.
"""

import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from services.vision.headers import Header, TooManyPiecesError, undecodable

# Of a BMP, reads of the file: the runs of RLE are read in Python, two reads each, at a microsecond a read.
MAX_BMP_PIECES = 500_000

# Made directly and not by Image.open, whose own limit of pixels is another and process-wide.
_OPEN: Mapping[str, Callable[[BytesIO], ImageFile.ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WebP": WebPImageFile,
    "BMP": BmpImageFile,
}

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
            raise TooManyPiecesError(self.max_pieces)
        return super().read(size)


def decode(data: bytes, header: Header, mode: str, field: str, least_side: int = 0) -> Picture:
    """Decode to an upright picture of mode 'RGB' or 'L', uint8, of the size in its header. With `least_side` a JPEG may
    come smaller than it is, but with no side below that.

    Raises ServingError (INVALID_INPUT, IMAGE_UNDECODABLE); `field` names the image in it.
    """
    try:
        image = _opened(data, header)
        if least_side and isinstance(image, JpegImageFile):
            image.draft(None, (least_side, least_side))
        image.load()
        orientation = _orientation(image)
        upright = image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image
        sides = (header.height, header.width) if orientation in _ON_ITS_SIDE else (header.width, header.height)
        return Picture(_in_mode(upright, mode), *sides)
    except _BROKEN as error:
        raise undecodable(header.format, data, field, error) from None


def _opened(data: bytes, header: Header) -> ImageFile.ImageFile:
    """Raises what Pillow does; OSError where it finds another size than the one that was judged: a file can say two."""
    file = _Metered(data)
    image = _OPEN[header.format](file)
    if image.size != (header.width, header.height):
        raise OSError
    if isinstance(image, BmpImageFile):
        file.max_pieces = MAX_BMP_PIECES
    return image


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
