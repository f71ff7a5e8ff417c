"""Answers kept for requests that are the same as one before, for the portable front: a cache a model-version.

The same are requests of one method whose contents are: of a typed method the whole message, of ModelInfer the tensors,
their form, raw or typed, and the outputs that are asked for. A request id and parameters change no answer and are no
part of it. Keys are kept whole and compared whole. Errors are never kept, and of a request that is under way nobody is
told: an equal one that comes meanwhile runs too. Lives on the event loop; `stats` may be read from anywhere.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeAlias

from google.protobuf.message import DecodeError

from inference.grpc_service_pb2 import ModelInferResponse
from services.runtime.front_stats import CacheStats
from services.runtime.tensors import InferCall, to_raw

# What an entry takes beside its key's and its answer's bytes: a tuple or two, their headers, its place in the table.
_ENTRY_BYTES = 512

Shape: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Key:
    """All of a request that its answer depends on; `tensors` is empty for a typed method."""

    method: str
    message: bytes
    tensors: tuple[tuple[Shape, bytes], ...] = ()
    requested_outputs: tuple[str, ...] = ()
    raw: bool = False

    @property
    def byte_count(self) -> int:
        return len(self.message) + sum(len(contents) for _, contents in self.tensors)


def key_of(method: str, message: bytes, call: InferCall | None) -> Key:
    """The key of a request; `call` of ModelInfer alone."""
    if call is None:
        return Key(method, message)
    tensors = tuple((array.shape, to_raw(array)) for array in call.inputs.values())
    return Key(method, b"", tensors, call.requested_outputs, call.raw)


class ResponseCache:
    """At most `max_bytes`, keys and answers together; the least recently used answer goes first."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes, self._bytes = max_bytes, 0
        self._answers: OrderedDict[Key, bytes] = OrderedDict()
        self._hits = self._misses = self._hit_us = 0

    def find(self, key: Key, call: InferCall | None) -> bytes | None:
        """The answer to a request with this key, with its own request id; None where there is none."""
        answer = self._answers.get(key)
        if answer is None:
            self._misses += 1
            return None
        self._hits += 1
        self._answers.move_to_end(key)
        # Protobuf messages that stand one behind the other are one message.
        return answer if call is None else answer + ModelInferResponse(id=call.request_id).SerializeToString()

    def add_hit_time(self, duration_us: int) -> None:
        """From the arrival of a request that hit to its answer."""
        self._hit_us += duration_us

    def keep(self, key: Key, answer: bytes, call: InferCall | None) -> None:
        """Keep the answer to a request, if it has room and, of ModelInfer, is a message."""
        kept = answer if call is None else _without_id(answer)
        if kept is None or key in self._answers or _size(key, kept) > self._max_bytes:
            return
        self._answers[key] = kept
        self._bytes += _size(key, kept)
        while self._bytes > self._max_bytes:
            self._bytes -= _size(*self._answers.popitem(last=False))

    def stats(self) -> CacheStats:
        return CacheStats(self._hits, self._misses, self._hit_us, len(self._answers), self._bytes)


def _size(key: Key, answer: bytes) -> int:
    return _ENTRY_BYTES + key.byte_count + len(answer)


def _without_id(answer: bytes) -> bytes | None:
    try:
        response = ModelInferResponse.FromString(answer)
    except DecodeError:
        return None
    response.ClearField("id")
    return response.SerializeToString()
