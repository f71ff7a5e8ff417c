"""What ONNX Runtime is told of a device, and which instance runs on which.

On a card every instance has a session of its own, and so a stream of its own: two of them overlap, one's copies and
decoding with the other's kernels. Copies stay in the session's stream (`do_copy_in_default_stream` is left alone: with
a second one ONNX Runtime knows of races). Instances take the cards in turn. What a model may take of a card is divided
among its instances there. On the CPU all instances share one session, which any number of threads may run.

Everything here is decided without a device; `session.py` carries it out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from services.runtime.capture_gate import CaptureGate
from services.runtime.device_buffers import HOST, Place
from services.runtime.errors import ServingError, refused_load
from services.runtime.front import MEBIBYTE

# A new shape under the exhaustive search takes hundreds of milliseconds. The arena grows by what is asked for, so that
# the limits of several sessions add up to what they say. TF32 keeps ten bits of a product's factors, and the answers
# would not be those that the export was compared with.
_CUDA = {"cudnn_conv_algo_search": "HEURISTIC", "arena_extend_strategy": "kSameAsRequested", "use_tf32": "0"}

# FP32 is computed as FP32, for the same reason.
# Of TensorRT's switches ONNX Runtime takes these words and no numbers.
_TENSORRT = {"trt_fp16_enable": "False", "trt_bf16_enable": "False", "trt_int8_enable": "False"}

# What the service decides itself, and by what: set past it, a buffer or graph would be another card's or shape's.
_OWN = {
    "device_id": "the flag --device-id says which",
    "gpu_mem_limit": "device_memory_mb says how much",
    "trt_max_workspace_size": "device_memory_mb says how much",
    "enable_cuda_graph": "cuda_graphs switches it on",
    "trt_cuda_graph_enable": "CUDA graphs are for the provider cuda",
    "has_user_compute_stream": "each session has its own stream",
    "user_compute_stream": "each session has its own stream",
}


@dataclass(frozen=True, slots=True)
class Execution:
    """Where and how wide a session runs. `options` are the provider's own, as ONNX Runtime names them; `others` are the
    providers, with theirs, that take what the first one leaves.

    For batches of `graph_rows` rows, if any, CUDA graphs are captured; all sessions of a process share one gate.
    TensorRT keeps its engines in `engine_cache_dir`, if any.
    """

    provider: str = "cpu"
    threads: int = 1
    options: Mapping[str, str] = field(default_factory=dict)
    others: tuple[tuple[str, Mapping[str, str]], ...] = ()
    graph_rows: tuple[int, ...] = ()
    engine_cache_dir: Path | None = None
    gate: CaptureGate = field(default_factory=CaptureGate, compare=False, repr=False)

    @property
    def place(self) -> Place:
        """Where its buffers are."""
        return HOST if self.provider == "cpu" else Place("cuda", int(self.options["device_id"]))

    @property
    def memory_limit_bytes(self) -> int:
        """What it may take of a card; 0: no limit, as of TensorRT, whose arena ONNX Runtime does not limit."""
        return int(self.options.get("gpu_mem_limit", 0))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the operator wants of a model's sessions. `memory_mb` is its share of each card, 0: no limit; `options` are
    the provider's and win over the service's.
    """

    provider: str
    threads: int
    instances: int
    device_ids: Sequence[int] = (0,)
    memory_mb: int = 0
    options: Mapping[str, str] = field(default_factory=dict)
    graph_rows: tuple[int, ...] = ()
    engine_cache_dir: Path | None = None


def executions(wanted: Wanted, gate: CaptureGate) -> tuple[Execution, ...]:
    """The sessions of a model, by instance; fewer than instances where they share. Raises ServingError (REFUSED_LOAD)
    for what does not go together.
    """
    _check(wanted)
    if wanted.provider == "cpu":
        return (Execution(wanted.provider, wanted.threads, wanted.options, gate=gate),)
    cards = cards_of(wanted.instances, wanted.device_ids)
    return tuple(_on_card(wanted, card, _part_mb(wanted.memory_mb, cards.count(card)), gate) for card in cards)


def cards_of(instances: int, device_ids: Sequence[int]) -> list[int]:
    """The card of each instance."""
    return [device_ids[index % len(device_ids)] for index in range(instances)]


def device_name(found: Sequence[Execution]) -> str:
    """As the trailers tell it: cpu, cuda:0, cuda:0,1."""
    if found[0].provider == "cpu":
        return "cpu"
    return "cuda:" + ",".join(dict.fromkeys(execution.options["device_id"] for execution in found))


def _check(wanted: Wanted) -> None:
    for name in wanted.options:
        if name in _OWN and wanted.provider != "cpu":
            raise _wrong(f"provider_options.{name}: the service sets it; {_OWN[name]}")
    if wanted.graph_rows and wanted.provider != "cuda":
        raise _wrong(f"cuda_graphs: needs the provider cuda, and this model's is {wanted.provider}")


def _on_card(wanted: Wanted, card: int, memory_mb: int, gate: CaptureGate) -> Execution:
    cuda = {"device_id": str(card), **_CUDA}
    if wanted.provider == "cuda":
        graphs = {"enable_cuda_graph": "1"} if wanted.graph_rows else {}
        options = {**cuda, **_bytes("gpu_mem_limit", memory_mb), **graphs, **wanted.options}
        return Execution("cuda", wanted.threads, options, graph_rows=wanted.graph_rows, gate=gate)
    workspace = _bytes("trt_max_workspace_size", _part_mb(memory_mb, 2))
    options = {"device_id": str(card), **_TENSORRT, **workspace, **wanted.options}
    # What TensorRT leaves runs on the same card.
    rest = ("cuda", {**cuda, **_bytes("gpu_mem_limit", memory_mb - memory_mb // 2)})
    return Execution("tensorrt", wanted.threads, options, (rest,), engine_cache_dir=wanted.engine_cache_dir, gate=gate)


def _part_mb(memory_mb: int, count: int) -> int:
    """One of so many parts; of something never 0, which would be no limit."""
    return max(1, memory_mb // count) if memory_mb else 0


def _bytes(option: str, memory_mb: int) -> dict[str, str]:
    """An option that is a limit in bytes; 0: none."""
    return {option: str(memory_mb * MEBIBYTE)} if memory_mb else {}


def _wrong(what: str) -> ServingError:
    return refused_load("SERVING_CONFIG_WRONG", f"serving.yaml: {what}")
