"""Edits of a graph that change no number: names, outputs left out, notes taken away. Subgraphs (Loop, If) included."""

from collections.abc import Iterator, Mapping, Sequence

import onnx

from exporter.errors import GraphError


def leave_out(graph: onnx.GraphProto, outputs: Sequence[str | None]) -> None:
    """Drop the outputs that have no name, and the nodes that nothing needs then."""
    if None not in outputs or len(outputs) != len(graph.output):
        return
    kept = [value for value, name in zip(graph.output, outputs, strict=True) if name is not None]
    del graph.output[:]
    graph.output.extend(kept)
    needed = {value.name for value in kept}
    for position in reversed(range(len(graph.node))):  # nodes stand in the order in which they run
        node = graph.node[position]
        if needed.isdisjoint(node.output):
            del graph.node[position]
        else:
            needed.update(node.input)
            needed.update(name for part in _inner(node) for inner in part.node for name in inner.input)


def rename(graph: onnx.GraphProto, renames: Mapping[str, str]) -> None:
    """Rename values throughout, subgraphs included. What already has a new name gives way."""
    if len(set(renames.values())) != len(renames):
        raise GraphError(f"two inputs or outputs have one name among {', '.join(renames.values())}")
    inner = {name: f"{name}_inner" for name in _value_names(graph) if name in renames.values() and name not in renames}
    moves = inner | {old: new for old, new in renames.items() if old != new}
    for part in _with_subgraphs(graph):
        for node in part.node:
            node.input[:] = [moves.get(name, name) for name in node.input]
            node.output[:] = [moves.get(name, name) for name in node.output]
        for value in (*part.input, *part.output, *part.value_info):
            value.name = moves.get(value.name, value.name)
        for tensor in part.initializer:
            tensor.name = moves.get(tensor.name, tensor.name)


def prefix(graph: onnx.GraphProto, word: str) -> None:
    """Begin every name with the word, also where a subgraph speaks of a value outside of it."""
    rename(graph, {name: f"{word}{name}" for name in _value_names(graph) if name})
    for part in _with_subgraphs(graph):
        for node in part.node:
            node.ClearField("name")  # two of one name are refused, and none needs one


def make_room(graph: onnx.GraphProto, name: str) -> None:
    """Give another name to what has this one."""
    if name in _value_names(graph):
        rename(graph, {name: f"{name}_inner"})


def strip_notes(graph: onnx.GraphProto) -> None:
    """Converters note where in whose source code a node came from: nobody's paths belong in a published model."""
    for part in _with_subgraphs(graph):
        part.ClearField("doc_string")
        for node in part.node:
            node.ClearField("doc_string")
            node.ClearField("metadata_props")
        for value in (*part.input, *part.output, *part.value_info):
            value.ClearField("doc_string")
            value.ClearField("metadata_props")


def _value_names(graph: onnx.GraphProto) -> set[str]:
    names: set[str] = set()
    for part in _with_subgraphs(graph):
        names.update(value.name for value in (*part.input, *part.output))
        names.update(tensor.name for tensor in part.initializer)
        names.update(name for node in part.node for name in (*node.input, *node.output))
    return names


def _with_subgraphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        yield from _inner(node)


def _inner(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        for subgraph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
            yield from _with_subgraphs(subgraph)
