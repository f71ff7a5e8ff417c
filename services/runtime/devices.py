"""What ONNX Runtime is told of a device, which instance runs on which, and which of its errors mean that one is lost.

On a card every instance has a session of its own: a session is one stream, so two of them overlap, one's copies with
the other's kernels. Instances take the cards in turn. What a model may take of a card is divided among its instances
there. On the CPU all instances share one session, which any number of threads may run.

Everything here is decided without a device; `session.py` carries it out.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from services.runtime.front import MEBIBYTE

# An error after which a CUDA context answers nothing any more. Out of memory (2) is none: a smaller batch may fit.
# https://docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART__TYPES.html
_FAULT = re.compile(r"\b(?:CUDA|CUDNN|CUBLAS|CUBLASLT|CUFFT) failure (?!2\b)\d+")

# A new shape under the exhaustive search takes hundreds of milliseconds; the arena grows by what is asked for, so that
# the limits of several sessions add up to what they say.
_CUDA = {"cudnn_conv_algo_search": "HEURISTIC", "arena_extend_strategy": "kSameAsRequested"}


@dataclass(frozen=True, slots=True)
class Execution:
    """Where and how wide a session runs. `options` are the provider's own, as ONNX Runtime names them."""

    provider: str = "cpu"
    threads: int = 1
    options: Mapping[str, str] = field(default_factory=dict)


def executions(
    provider: str,
    threads: int,
    *,
    instances: int,
    device_ids: Sequence[int],
    memory_mb: int,
    options: Mapping[str, str],
) -> tuple[Execution, ...]:
    """The sessions of a model, by instance; fewer than instances where they share. `memory_mb` is the model's share of
    each card, 0: no limit. `options` are the operator's, and win.
    """
    if provider == "cpu":
        return (Execution(provider, threads, options),)
    cards = [device_ids[index % len(device_ids)] for index in range(instances)]
    return tuple(
        Execution(provider, threads, {**_device_options(provider, card, memory_mb // cards.count(card)), **options})
        for card in cards
    )


def device_name(found: Sequence[Execution]) -> str:
    """As the trailers tell it: cpu, cuda:0, cuda:0,1."""
    if found[0].provider == "cpu":
        return "cpu"
    return "cuda:" + ",".join(dict.fromkeys(execution.options.get("device_id", "0") for execution in found))


def is_device_fault(text: str) -> bool:
    """Whether an error of ONNX Runtime says that the device is lost to this process."""
    return _FAULT.search(text) is not None


def _device_options(provider: str, card: int, memory_mb: int) -> dict[str, str]:
    options = {"device_id": str(card)}
    if provider != "cuda":
        return options
    limit = {"gpu_mem_limit": str(memory_mb * MEBIBYTE)} if memory_mb else {}
    return {**options, **_CUDA, **limit}
