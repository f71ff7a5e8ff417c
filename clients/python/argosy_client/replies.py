"""An answer together with what its trailers say of where the time went."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from argosy_client.errors import ArgosyError

Message_co = TypeVar("Message_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Timing:
    """`latency_ms` is measured here, retries included; the rest is the service's, None or '' where it is silent."""

    latency_ms: float
    queue_us: int | None
    compute_us: int | None
    batch_rows: int | None
    model_version: str
    device: str


@dataclass(frozen=True, slots=True)
class Reply(Generic[Message_co]):
    """An answer, its timing, the trailers that came with it, and the refusals that came before it."""

    message: Message_co
    timing: Timing
    trailers: Mapping[str, str | bytes]
    refusals: Sequence[ArgosyError]


def timing_of(trailers: Mapping[str, str | bytes], latency_ms: float) -> Timing:
    return Timing(
        latency_ms,
        _number(trailers.get("argosy-queue-us")),
        _number(trailers.get("argosy-compute-us")),
        _number(trailers.get("argosy-batch-rows")),
        str(trailers.get("argosy-model-version", "")),
        str(trailers.get("argosy-device", "")),
    )


def _number(text: str | bytes | None) -> int | None:
    return int(text) if isinstance(text, str) and text.isdecimal() else None
