"""Pictures to the tensor that the network reads, as the manifest states it.

A network answers right only for pixels prepared as its training prepared them; nothing here is a choice of the service.
The picture is resized on its eight-bit channels, as Pillow and torchvision do, then brought to numbers once, into its
row of the request's tensor. `Placement` remembers the way back from network pixels to those of the picture.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from argosy.v1.manifest_pb2 import (
    COLOR_SPACE_BGR,
    COLOR_SPACE_GRAY,
    IMAGE_LAYOUT_NCHW,
    INTERPOLATION_BICUBIC,
    RESIZE_MODE_CROP,
    RESIZE_MODE_STRETCH,
    ImagePreprocessing,
)
from services.runtime.errors import ServingError, empty_request, invalid_input
from services.runtime.front import Array
from services.vision.headers import Header, check_pixels, read_header
from services.vision.images import Picture, decode

# A few bytes of PNG become a row of hundreds of kilobytes: what one request may become is bounded apart from its size.
MAX_REQUEST_BYTES = 256 << 20
# Pixels that may be decoded for one request, or for one part of a large one: some seconds of a CPU.
MAX_REQUEST_PIXELS = 400_000_000

# A JPEG is decoded at a reduced size that is still so many times what a picture's shorter side becomes: measured with
# photos (docs/performance.md), the label stays. Only where the middle is cut out, as classifiers are trained; detectors
# see small things, and networks of a few pixels were not measured.
_REDUCED = 3


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a picture of `width` x `height` pixels lies on the network's input: network = picture * scale + offset."""

    width: int
    height: int
    scale_x: float
    scale_y: float
    offset_x: int = 0
    offset_y: int = 0

    def to_picture(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Points [..., 2] (x, y) in network pixels to picture pixels; they may lie outside of it."""
        offset = np.array([self.offset_x, self.offset_y], np.float32)
        scale = np.array([self.scale_x, self.scale_y], np.float32)
        moved: NDArray[np.float32] = np.divide(np.subtract(points, offset), scale)
        return moved


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """The rows of one request, [rows, ...], and what its caller asked of the answer."""

    tensor: Array
    placements: tuple[Placement, ...]
    top_k: int = 0
    min_score: float = 0.0


@dataclass(frozen=True, slots=True)
class ImageReader:
    """Reads images for one model: `dtype` is the input's, float32 or uint8."""

    spec: ImagePreprocessing
    dtype: np.dtype[np.generic]

    def read(self, images: Sequence[bytes], top_k: int = 0, min_score: float = 0.0) -> ImageRequest:
        """Decode and prepare every image, or raise ServingError (INVALID_INPUT) that names the first bad one: the first
        whose header is, before any is decoded.
        """
        if not images:
            raise empty_request("images")
        most = MAX_REQUEST_BYTES // (math.prod(self._row_shape()) * self.dtype.itemsize)
        if len(images) > most:
            raise invalid_input(
                f"images: expected at most {most} a request, got {len(images)}", "images", "TOO_MANY_IMAGES"
            )
        headers = self._headers(images)
        tensor = np.empty((len(images), *self._row_shape()), self.dtype)
        placements = tuple(
            self._fill(row, data, header, f"images[{index}]")
            for index, (row, data, header) in enumerate(zip(tensor, images, headers, strict=True))
        )
        return ImageRequest(tensor, placements, top_k, min_score)

    def collate(self, requests: Sequence[ImageRequest]) -> dict[str, Array]:
        """The rows of all requests as the network's one input."""
        tensors = [request.tensor for request in requests]
        return {self.spec.input: tensors[0] if len(tensors) == 1 else np.concatenate(tensors)}

    def _row_shape(self) -> tuple[int, int, int]:
        channels = 1 if self.spec.color == COLOR_SPACE_GRAY else 3
        if self.spec.layout == IMAGE_LAYOUT_NCHW:
            return channels, self.spec.height, self.spec.width
        return self.spec.height, self.spec.width, channels

    def _headers(self, images: Sequence[bytes]) -> list[Header]:
        """Every limit of sizes holds for what these say, one by one and together."""
        headers: list[Header] = []
        pixels = 0
        for index, data in enumerate(images):
            header = read_header(data, f"images[{index}]")
            if self.spec.resize == RESIZE_MODE_CROP:
                # A strip of 50 x 65,535 is small until its shorter side is made 256.
                check_pixels(*_uncut(header, self.spec), f"images[{index}]")
            headers.append(header)
            pixels += header.width * header.height
            if pixels > MAX_REQUEST_PIXELS:
                raise _too_many_pixels(len(headers), pixels)
        return headers

    def _fill(self, row: Array, data: bytes, header: Header, field: str) -> Placement:
        mode = "L" if self.spec.color == COLOR_SPACE_GRAY else "RGB"
        least_side = _REDUCED * self.spec.shorter_side if self.spec.resize == RESIZE_MODE_CROP else 0
        return self.fill(row, decode(data, header, mode, field, least_side))

    def fill(self, row: Array, picture: Picture) -> Placement:
        """Bring a picture to the network's input, one row of it."""
        fitted, placement = _fitted(picture, self.spec)
        pixels = np.asarray(fitted)
        if pixels.ndim == 2:
            pixels = pixels[:, :, np.newaxis]
        if self.spec.color == COLOR_SPACE_BGR:
            pixels = pixels[:, :, ::-1]
        self._normalize(pixels, row if self.spec.layout != IMAGE_LAYOUT_NCHW else row.transpose(1, 2, 0))
        return placement

    def _normalize(self, pixels: NDArray[np.uint8], row: Array) -> None:
        """(pixel * scale - mean) / std in float32, written to `row`, both [H, W, C]."""
        if row.dtype == np.uint8:
            row[...] = pixels
            return
        np.multiply(pixels, np.float32(self.spec.scale or 1), out=row, dtype=np.float32)
        if self.spec.mean:
            np.subtract(row, np.array(self.spec.mean, np.float32), out=row)
        if self.spec.std:
            np.divide(row, np.array(self.spec.std, np.float32), out=row)


def _too_many_pixels(images: int, pixels: int) -> ServingError:
    message = f"images: the first {images} have {pixels} pixels, expected at most {MAX_REQUEST_PIXELS} a request"
    return invalid_input(message, "images", "IMAGE_TOO_LARGE")


def _fitted(picture: Picture, spec: ImagePreprocessing) -> tuple[Image.Image, Placement]:
    """The picture on the network's input: stretched, cut out, or at the upper left of a black one."""
    if spec.resize == RESIZE_MODE_STRETCH:
        size = (spec.width, spec.height)
        return _resized(picture, size, spec), _placement(picture, size)
    if spec.resize == RESIZE_MODE_CROP:
        return _cropped(picture, spec)
    ratio = min(spec.width / picture.width, spec.height / picture.height)
    size = (max(1, round(picture.width * ratio)), max(1, round(picture.height * ratio)))
    canvas = Image.new(picture.pixels.mode, (spec.width, spec.height))
    canvas.paste(_resized(picture, size, spec))
    return canvas, _placement(picture, size)


def _cropped(picture: Picture, spec: ImagePreprocessing) -> tuple[Image.Image, Placement]:
    """Rounded as torchvision's Resize and CenterCrop do, with which the networks were evaluated."""
    size = _uncut(picture, spec)
    left, top = round((size[0] - spec.width) / 2), round((size[1] - spec.height) / 2)
    resized = _resized(picture, size, spec)
    cut = resized.crop((left, top, left + spec.width, top + spec.height))
    return cut, _placement(picture, size, -left, -top)


def _uncut(sides: Header | Picture, spec: ImagePreprocessing) -> tuple[int, int]:
    """The size of a picture whose middle is yet to be cut out."""
    shorter = min(sides.width, sides.height)
    return sides.width * spec.shorter_side // shorter, sides.height * spec.shorter_side // shorter


def _resized(picture: Picture, size: tuple[int, int], spec: ImagePreprocessing) -> Image.Image:
    if picture.pixels.size == size:
        return picture.pixels
    bicubic = spec.interpolation == INTERPOLATION_BICUBIC
    return picture.pixels.resize(size, Image.Resampling.BICUBIC if bicubic else Image.Resampling.BILINEAR)


def _placement(picture: Picture, size: tuple[int, int], offset_x: int = 0, offset_y: int = 0) -> Placement:
    scale_x, scale_y = size[0] / picture.width, size[1] / picture.height
    return Placement(picture.width, picture.height, scale_x, scale_y, offset_x, offset_y)
