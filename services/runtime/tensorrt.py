"""What TensorRT is told of one graph: the shapes to build an engine for, and where built engines are kept.

TensorRT builds for a range of shapes, which takes minutes for a large network, and builds anew for a shape outside of
it; so the range is stated from the start: one row to the largest batch. A text's length goes up to the manifest's
`max_tokens`. Where another dimension varies nothing is known of its range, and the version is refused. An engine
belongs to one graph and one kind of card: it is kept by the graph's digest, TensorRT adds the card.

https://onnxruntime.ai/docs/execution-providers/TensorRT-ExecutionProvider.html
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from services.runtime.devices import Execution
from services.runtime.errors import ServingError, refused_load
from services.runtime.front import TensorSignature

# What an engine is tuned for; of rows it is the full batch.
_USUAL_TOKENS = 32


@dataclass(frozen=True, slots=True)
class EngineRange:
    """What the graph will be run on. `max_tokens` 0: its inputs vary in nothing but the rows."""

    inputs: Sequence[TensorSignature]
    max_rows: int
    max_tokens: int = 0


def with_engine(execution: Execution, shapes: EngineRange, graph_digest: str) -> Execution:
    """The execution with what TensorRT must know of the graph; any other provider's as it is. The operator's options
    win. Raises ServingError (REFUSED_LOAD) where the range cannot be stated or the folder cannot be written.
    """
    if execution.provider != "tensorrt":
        return execution
    stated = {**_profiles(shapes), **_cache(graph_digest, execution.engine_cache_dir)}
    return replace(execution, options={**stated, **execution.options})


def _profiles(shapes: EngineRange) -> dict[str, str]:
    rows, tokens = shapes.max_rows, shapes.max_tokens
    sizes = {"min": (1, min(1, tokens)), "opt": (rows, min(_USUAL_TOKENS, tokens)), "max": (rows, tokens)}
    return {
        f"trt_profile_{name}_shapes": ",".join(_profile(tensor, *size) for tensor in shapes.inputs)
        for name, size in sizes.items()
    }


def _profile(tensor: TensorSignature, rows: int, tokens: int) -> str:
    if tensor.datatype == "BYTES":
        raise _refused(f"input '{tensor.name}' holds texts, which no card does; use cuda")
    if any(dimension < 0 for dimension in tensor.shape[2:]) or (-1 in tensor.shape[1:2] and not tokens):
        raise _refused(f"input '{tensor.name}' has a dimension that varies, and nothing says up to what; use cuda")
    dimensions = [rows, *(tokens if dimension < 0 else dimension for dimension in tensor.shape[1:])]
    return f"{tensor.name}:{'x'.join(map(str, dimensions))}"


def _cache(graph_digest: str, cache_dir: Path | None) -> Mapping[str, str]:
    if cache_dir is None:
        return {}
    folder = cache_dir / graph_digest[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        raise _refused("the folder of --engine-cache-dir cannot be made") from None
    if not os.access(folder, os.W_OK):
        raise _refused("the folder of --engine-cache-dir cannot be written")
    return {
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": str(cache_dir),
    }


def _refused(why: str) -> ServingError:
    return refused_load("ENGINE_IMPOSSIBLE", f"TensorRT: {why}")
