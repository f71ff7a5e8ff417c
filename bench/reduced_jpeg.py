"""Does a JPEG that is decoded at a reduced size keep its label? `mobilenet`, photos of scikit-image and scikit-learn.

`python -m bench.reduced_jpeg` prints, by how many times larger than needed a reduced picture may be at least, on how
many pictures the first label and the first five are those of the whole picture, the largest change of a probability,
and the CPU time to decode and resize. Each photo is measured as it is and enlarged; only pictures that are reduced
count. The service's own reader does the work. The last line is a camera's picture of 12 megapixels.
"""

import io
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort
import skimage.data
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_sample_images

from services.vision.headers import read_header
from services.vision.images import decode
from services.vision.preprocess import ImageReader
from tests.e2e.traffic import manifest, newest

PHOTOS = ("astronaut", "coffee", "chelsea", "rocket", "retina", "immunohistochemistry", "hubble_deep_field")
SHORTER_SIDES = (0, 600, 800, 1100, 1500, 2200, 3000)
FACTORS = (1, 2, 3, 4)
SERVED_FACTOR = 3
CAMERA = (4000, 3000)
TIMES = 9


@dataclass(frozen=True, slots=True)
class Answer:
    """Of one picture: probabilities, whether it was decoded at a reduced size, and CPU seconds to prepare it."""

    probabilities: NDArray[np.float32]
    reduced: bool
    took_s: float

    def first_five(self) -> set[int]:
        return set(np.argsort(-self.probabilities)[:5].tolist())


def pictures() -> Iterator[bytes]:
    """As JPEG of quality 90."""
    arrays = [getattr(skimage.data, name)() for name in PHOTOS] + list(load_sample_images().images)
    for side in SHORTER_SIDES:
        for array in arrays:
            photo = Image.fromarray(array)
            ratio = side / min(photo.size) if side else 1
            yield jpeg(photo, (round(photo.width * ratio), round(photo.height * ratio)))


def jpeg(photo: Image.Image, size: tuple[int, int]) -> bytes:
    out = io.BytesIO()
    photo.resize(size, Image.Resampling.LANCZOS).save(out, "JPEG", quality=90)
    return out.getvalue()


class Classifier:
    """`mobilenet` behind the service's own preprocessing."""

    def __init__(self) -> None:
        self.spec = manifest("mobilenet").image
        self._reader = ImageReader(self.spec, np.dtype(np.float32))
        self._session = ort.InferenceSession(str(newest("mobilenet") / "model.onnx"))

    def answer(self, data: bytes, least_side: int) -> Answer:
        begun = time.process_time()
        picture = decode(data, read_header(data, "image"), "RGB", "image", least_side)
        tensor = np.empty((1, 3, self.spec.height, self.spec.width), np.float32)
        self._reader.fill(tensor[0], picture)
        took_s = time.process_time() - begun
        outputs: list[NDArray[np.float32]] = self._session.run(["probabilities"], {self.spec.input: tensor})
        return Answer(outputs[0][0], picture.pixels.width < picture.width, took_s)


def measure() -> dict[int, list[tuple[Answer, Answer]]]:
    """By factor: what was answered whole and reduced, of every picture that was reduced."""
    classifier = Classifier()
    pairs: dict[int, list[tuple[Answer, Answer]]] = {factor: [] for factor in FACTORS}
    for data in pictures():
        whole = classifier.answer(data, 0)
        for factor in FACTORS:
            found = classifier.answer(data, factor * classifier.spec.shorter_side)
            if found.reduced:
                pairs[factor].append((whole, found))
    return pairs


def main() -> None:
    for factor, pairs in measure().items():
        first = sum(whole.probabilities.argmax() == found.probabilities.argmax() for whole, found in pairs)
        five = sum(whole.first_five() == found.first_five() for whole, found in pairs)
        change = max(float(np.abs(whole.probabilities - found.probabilities).max()) for whole, found in pairs)
        whole_ms = float(np.mean([whole.took_s for whole, _ in pairs])) * 1e3
        found_ms = float(np.mean([found.took_s for _, found in pairs])) * 1e3
        print(
            f"{factor} x: {len(pairs)} pictures, same first label {first}, same first five {five}, "
            f"largest change of a probability {change:.3f}, {whole_ms:.1f} -> {found_ms:.1f} ms"
        )
    whole_s, served_s = of_a_camera()
    print(f"{CAMERA[0]} x {CAMERA[1]}: {whole_s * 1e3:.0f} ms whole, {served_s * 1e3:.0f} ms as served, at the least")


def of_a_camera() -> tuple[float, float]:
    """CPU seconds to prepare a camera's picture, decoded whole and as it is served, the least of some times."""
    classifier, data = Classifier(), jpeg(Image.fromarray(skimage.data.retina()), CAMERA)
    sides = (0, SERVED_FACTOR * classifier.spec.shorter_side)
    whole_s, served_s = (min(classifier.answer(data, side).took_s for _ in range(TIMES)) for side in sides)
    return whole_s, served_s


if __name__ == "__main__":
    main()
