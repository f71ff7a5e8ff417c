"""The photos that a pretrained model is tried on, and how a photo becomes an input.

The photos come with scikit-image and scikit-learn. The functions follow what `ImagePreprocessing` says in words; the
services have their own, so an error here would show as an answer that differs there. They decode nothing: uint8 RGB in.
"""

from typing import TypeAlias

import numpy as np
import skimage.data
import sklearn.datasets
from numpy.typing import NDArray
from PIL import Image

Photo: TypeAlias = NDArray[np.uint8]
Pixels: TypeAlias = NDArray[np.float32]


def photo(name: str) -> Photo:
    """One of the photos by name, uint8[H, W, 3] RGB. Raises KeyError for a name that is not there."""
    if name in {"china", "flower"}:
        return np.asarray(sklearn.datasets.load_sample_image(f"{name}.jpg"), dtype=np.uint8)
    loaders = {
        "astronaut": skimage.data.astronaut,
        "camera": skimage.data.camera,
        "cat": skimage.data.chelsea,
        "coffee": skimage.data.coffee,
        "coins": skimage.data.coins,
        "page": skimage.data.page,
        "rocket": skimage.data.rocket,
    }
    return np.asarray(Image.fromarray(loaders[name]()).convert("RGB"), dtype=np.uint8)


def cropped(image: Photo, shorter_side: int, size: int) -> Photo:
    """The shorter side brought to `shorter_side`, bilinear; then the centre, uint8[size, size, 3]."""
    height, width = image.shape[:2]
    factor = shorter_side / min(height, width)
    resized = _resized(image, round(width * factor), round(height * factor))
    top, left = ((length - size) // 2 for length in resized.shape[:2])
    return resized[top : top + size, left : left + size]


def letterboxed(image: Photo, size: int) -> Photo:
    """The longer side brought to `size`, bilinear, at the upper left of black: uint8[size, size, 3]."""
    height, width = image.shape[:2]
    factor = size / max(height, width)
    canvas = np.zeros((size, size, 3), np.uint8)
    resized = _resized(image, max(1, round(width * factor)), max(1, round(height * factor)))
    canvas[: resized.shape[0], : resized.shape[1]] = resized
    return canvas


def normalised(image: Photo, mean: tuple[float, ...], std: tuple[float, ...]) -> Pixels:
    """(pixel / 255 - mean) / std a channel, channels first: float32[3, H, W]."""
    values = (image.astype(np.float32) / 255 - np.asarray(mean, np.float32)) / np.asarray(std, np.float32)
    return np.ascontiguousarray(values.transpose(2, 0, 1), dtype=np.float32)


def _resized(image: Photo, width: int, height: int) -> Photo:
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR), dtype=np.uint8)
