"""An image as a caller has it, as the bytes of a file, which is what the fleet reads.

A path is read and bytes pass as they are: the service decodes them, and says what is wrong with them. Pixels (PIL,
numpy) are written as PNG, which loses nothing; Pillow is imported only then.
"""

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeGuard

import numpy as np
from numpy.typing import NDArray

from argosy_client.errors import unusable_input

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

# A path, a file's bytes, a PIL image, or uint8[height, width] grey, [height, width, 3] RGB, [height, width, 4] RGBA.
ImageInput: TypeAlias = "str | os.PathLike[str] | bytes | PilImage | NDArray[np.uint8]"

_WRITABLE = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I;16B")


def image_bytes(image: ImageInput) -> bytes:
    """The image as an encoded file. Raises InvalidInputError for a path that cannot be read or odd pixels."""
    if isinstance(image, bytes):
        return image
    if isinstance(image, str | os.PathLike):
        return _file(Path(image))
    if isinstance(image, np.ndarray):
        return _png(_pil(image))
    if not _is_pil(image):
        raise unusable_input(f"expected a path, bytes, a PIL image or pixels, got {type(image).__name__}", "images")
    return _png(_upright(image))


def _is_pil(image: object) -> "TypeGuard[PilImage]":
    # Who has such an image has the package.
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(image, pillow.Image)


def _file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise unusable_input(f"{path}: {error.strerror or 'cannot be read'}", "images") from None


def _pil(pixels: NDArray[np.uint8]) -> "PilImage":
    from PIL import Image  # noqa: PLC0415  an optional extra

    is_image = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))
    if pixels.dtype != np.uint8 or not is_image or pixels.size == 0:
        expected = "expected uint8[height, width] or uint8[height, width, 3 or 4]"
        raise unusable_input(f"{expected}, got {pixels.dtype}{list(pixels.shape)}", "images")
    return Image.fromarray(pixels)


def _upright(image: "PilImage") -> "PilImage":
    """As its EXIF says, which is not written. Raises InvalidInputError where the pixels fit no file."""
    from PIL import ImageOps  # noqa: PLC0415  an optional extra

    # Numbers of 32 bits have no scale, and convert() would cut them off at 255.
    if image.mode not in _WRITABLE and image.mode.startswith(("I", "F")):
        raise unusable_input(f"an image of mode {image.mode}: give uint8 pixels, or mode I;16 or RGB", "images")
    return ImageOps.exif_transpose(image)


def _png(image: "PilImage") -> bytes:
    buffer = io.BytesIO()
    # Pillow writes no PNG of CMYK, YCbCr and other modes of print and film.
    writable = image if image.mode in _WRITABLE else image.convert("RGB")
    writable.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
