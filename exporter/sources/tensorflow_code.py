"""What a TensorFlow graph does besides arithmetic, told from its text before anything of it runs.

A graph is a program: loading a SavedModel runs its initialisers already. Operations with state are those that can reach
outside a graph, so they are refused but for the ones known to keep to variables, tables, random numbers and memory; so
are the few without state that read files or hide a graph. Every SavedModel holds the operations that save a checkpoint:
they are refused where anything but the saver leads to them, since loading never saves. Operations that this TensorFlow
does not know are left to it: it refuses the graph that has one.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow.python.framework import op_def_registry

from exporter.conversion import Request
from exporter.errors import SourceError

_KEEPS_TO_ITSELF = re.compile(
    r"Stateful\w+|_?If|_?While|Case|Assert|CheckNumerics(V2)?|GuaranteeConst|Print|_Arg|_Retval|Empty"
    r"|VarHandleOp|VarIsInitializedOp|Variable(V2|Shape)?|TemporaryVariable|ReadVariableOp|DisableCopyOnRead"
    r"|Assign(Add|Sub)?VariableOp|Resource(Gather|Scatter|Apply|SparseApply|StridedSlice)\w*|DestroyResourceOp"
    r"|(Anonymous)?(Mutable)?(Dense)?HashTable(OfTensors)?(V2)?|LookupTable\w+|InitializeTable(FromTextFile)?V2"
    r"|Random\w+|Rng\w+|StatelessRandomGetAlg|(Parameterized)?TruncatedNormal|Multinomial|NonDeterministicInts"
    r"|SampleDistortedBoundingBox(V2)?|(All|Uniform|LogUniform|LearnedUnigram)CandidateSampler"
    r"|TensorArray\w*|Stack\w*|CudnnRNN\w*|Queue\w+|(Padding)?FIFOQueue(V2)?|Restore(V2|Slice)?"
    r"|Tensor(Slice)?Dataset|RangeDataset|ShuffleDatasetV[23]|MakeIterator|(OneShot)?Iterator\w*"
)
_REACHES_OUT_WITHOUT_STATE = {
    *("ReadFile", "MatchingFiles", "PyFuncStateless", "DecodeProtoV2", "EncodeProtoV2"),
    *("CacheDataset", "SnapshotDataset", "SnapshotDatasetV2", "SnapshotChunkDataset", "SnapshotDatasetReader"),
    *("SnapshotNestedDatasetReader", "DatasetFromGraph", "RegisterDataset", "RegisterDatasetV2"),
    *("Copy", "CopyHost", "DebugIdentity", "DebugNanCount", "DebugNumericSummary"),
}
_SAVING = {"SaveV2", "MergeV2Checkpoints"}


def refuse_graph(graph: tf.compat.v1.GraphDef, request: Request, name: str) -> None:
    """Raises SourceError where the graph reaches outside itself and the user does not trust it."""
    _refuse(_reaching_out(graph), request, name)


def refuse_saved_model(folder: Path, request: Request) -> None:
    """As `refuse_graph`, and DecodeError where saved_model.pb is none: all that could run, in any meta graph."""
    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    found: set[str] = set()
    for meta in saved.meta_graphs:
        found |= _reaching_out(meta.graph_def) - (set() if _may_save(meta) else _SAVING)
    _refuse(found, request, folder.name)


def operations(graph: tf.compat.v1.GraphDef) -> set[str]:
    """All that a graph uses, its library's functions included."""
    return _operations(graph.node).union(*(_operations(function.node_def) for function in graph.library.function))


def _refuse(found: Set[str], request: Request, name: str) -> None:
    if found and not request.trust_code:
        raise SourceError(f"{name} runs code or touches files ({min(found)}): say --trust-code if it is yours")


def _reaching_out(graph: tf.compat.v1.GraphDef) -> set[str]:
    return {operation for operation in operations(graph) if _reaches_out(operation)}


def _reaches_out(operation: str) -> bool:
    known = op_def_registry.get(operation)
    is_stateful = known is not None and known.is_stateful
    return operation in _REACHES_OUT_WITHOUT_STATE or (is_stateful and not _KEEPS_TO_ITSELF.fullmatch(operation))


def _may_save(meta: meta_graph_pb2.MetaGraphDef) -> bool:
    """Whether anything but the saver's own tensor leads to an operation that saves."""
    nodes, functions = _leading_to_saving(meta.graph_def)
    named, library = _named(meta), meta.graph_def.library
    inside = b"".join(value for entry in meta.collection_def.values() for value in entry.bytes_list.value)
    signatures = b"".join(entry.SerializePartialToString() for entry in meta.signature_def.values())
    return (
        any(node in named or f"{node}:".encode() in signatures or node.encode() in inside for node in nodes)
        or not functions.isdisjoint(meta.object_graph_def.concrete_functions)
        or any(gradient.gradient_func in functions for gradient in library.gradient)
        or any("api_implements" in entry.attr for entry in library.function if entry.signature.name in functions)
    )


def _named(meta: meta_graph_pb2.MetaGraphDef) -> set[str]:
    """Nodes that loading or asking the model runs, by what names them outside the graph."""
    tensors = [meta.saver_def.restore_op_name, meta.saver_def.filename_tensor_name]
    for signature in meta.signature_def.values():
        tensors += [info.name for info in [*signature.inputs.values(), *signature.outputs.values()]]
    for entry in meta.collection_def.values():
        tensors += entry.node_list.value
    return {_node_of(tensor) for tensor in tensors}


def _leading_to_saving(graph: tf.compat.v1.GraphDef) -> tuple[set[str], set[str]]:
    """The nodes and the functions that save, use one that does, or call one that does."""
    calls = {entry.signature.name: _called(entry.node_def) for entry in graph.library.function}
    functions = _grown(calls, _SAVING)
    saving = {node.name for node in graph.node if _called([node]) & (functions | _SAVING)}
    inputs = {node.name: {_node_of(tensor) for tensor in node.input} for node in graph.node}
    return saving | _grown(inputs, saving), functions


def _grown(uses: Mapping[str, Set[str]], seeds: Set[str]) -> set[str]:
    """The names that use a seed, or one another until they come to it."""
    found: set[str] = set()
    while more := {name for name, used in uses.items() if name not in found and used & (seeds | found)}:
        found |= more
    return found


def _called(nodes: Iterable[tf.compat.v1.NodeDef]) -> set[str]:
    """Operations, and the functions that they are given: by either a graph calls a function."""
    given = {name for node in nodes for value in node.attr.values() for name in _functions_in(value)}
    return _operations(nodes) | given


def _functions_in(value: tf.compat.v1.AttrValue) -> Iterator[str]:
    yield value.func.name
    yield from (function.name for function in value.list.func)


def _operations(nodes: Iterable[tf.compat.v1.NodeDef]) -> set[str]:
    return {node.op for node in nodes}


def _node_of(tensor: str) -> str:
    """Of `name:1`, and of `^name`, which only waits for it."""
    return tensor.removeprefix("^").split(":", 1)[0]
