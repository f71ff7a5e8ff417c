"""The two requests that are measured: ten numbers by ModelInfer, and a photo as a caller has it."""

import io
from collections.abc import Callable
from dataclasses import dataclass

import grpc
import numpy as np
import skimage.data
from PIL import Image

from argosy.v1.vision_pb2 import VisionServiceClassifyResponse
from bench.http2_load import Call
from inference.grpc_service_pb2 import ModelInferResponse
from tests.e2e import traffic as t
from tests.e2e.calls import call

# As scikit-learn's first patient.
PATIENT = (59.0, 2.0, 32.1, 101.0, 157.0, 93.2, 38.0, 4.0, 4.8598, 87.0)
RELATIVE_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Case:
    """A request to one model, and how many of it make a round at each number in flight."""

    name: str
    kind: str
    model: str
    call: Call
    counts: dict[int, int]

    def count(self, in_flight: int) -> int:
        return self.counts[in_flight]

    def check(self, channel: grpc.Channel) -> None:
        """Ask once as a client does. Raises AssertionError where the answer is not right."""
        assert self.call.is_right(call(channel, self.call.method, self.call.message)), self.name


def cases() -> list[Case]:
    """A small model and a heavier one."""
    row = np.array([PATIENT], "<f4")
    small = t.infer("diabetes", ("features", "FP32", row.shape, row.tobytes()))
    photo = t.classify(coffee(), model="mobilenet")
    return [
        Case(
            "diabetes: 1 row of 10 numbers, ModelInfer",
            "tabular",
            "diabetes",
            Call(t.MODEL_INFER, small, {"argosy-model": "diabetes"}, once_each(_progression())),
            {1: 1000, 32: 4000, 128: 6000},
        ),
        Case(
            f"mobilenet: 1 JPEG of {len(photo) // 1000} kB, Classify",
            "vision",
            "mobilenet",
            Call(t.VISION_CLASSIFY, photo, {"argosy-model": "mobilenet"}, once_each(_is_espresso)),
            {1: 60, 32: 192, 128: 256},
        ),
    ]


def coffee() -> bytes:
    """A photo of 400 x 266 pixels."""
    buffer = io.BytesIO()
    Image.fromarray(skimage.data.coffee()).resize((400, 266)).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def once_each(is_right: Callable[[bytes], bool]) -> Callable[[bytes], bool]:
    """The same check, made once for every answer that differs in its bytes: rounding follows the size of the batch."""
    seen: set[bytes] = set()

    def check(message: bytes) -> bool:
        if message not in seen and is_right(message):
            seen.add(message)
        return message in seen

    return check


def _progression() -> Callable[[bytes], bool]:
    first: list[float] = []

    def check(message: bytes) -> bool:
        reply = ModelInferResponse.FromString(message)
        value = float(np.frombuffer(reply.raw_output_contents[0], "<f4")[0])
        first.append(value)
        # Between the least and the most of the data set, and the same every time.
        return 25 < value < 346 and abs(value - first[0]) <= RELATIVE_TOLERANCE * abs(first[0])

    return check


def _is_espresso(message: bytes) -> bool:
    reply = VisionServiceClassifyResponse.FromString(message)
    return reply.results[0].categories[0].label == "espresso"
