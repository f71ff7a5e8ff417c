"""Outputs that callers want and a network does not have: probabilities of its logits, the label of the likeliest class.

They become nodes of the graph; the reference for them is computed here from what the source itself answered. A softmax
of a softmax runs, sums to 1 and is wrong. So what the source answers decides whether a step makes sense, and one that
does not is refused, with the step that would.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from argosy.v1 import manifest_pb2 as pb
from exporter.arrays import Array
from exporter.conversion import Conversion, RowSet
from exporter.errors import ManifestError
from exporter.graph import check, parse
from exporter.graph_edits import make_room
from exporter.mended import with_graph
from exporter.probabilities import are_probabilities, lie_in_unit_interval


class Kind(StrEnum):
    """What is computed, and of what."""

    # Of logits [N, classes].
    SOFTMAX = "softmax"
    # Of the one logit [N, 1] of a network that says yes or no: the probabilities of both classes.
    SIGMOID = "sigmoid"
    # Of the probability [N, 1] of the second class: those of both.
    COMPLEMENT = "complement"
    # Of numbers by class [N, classes]: the label of the largest, its index where there are no labels.
    ARGMAX = "argmax"


@dataclass(frozen=True, slots=True)
class AddedOutput:
    """The output `name`, computed of the output `of`."""

    kind: Kind
    of: str
    name: str

    def spec(self) -> pb.TensorSpec:
        """What the manifest says of it where the user says nothing."""
        if self.kind == Kind.ARGMAX:
            return pb.TensorSpec(name=self.name, meaning="the likeliest class", role=pb.OUTPUT_ROLE_LABEL)
        meaning = f"probability of each class, the {self.kind} of {self.of}"
        return pb.TensorSpec(name=self.name, meaning=meaning, role=pb.OUTPUT_ROLE_PROBABILITIES)

    def spec_of_origin(self, usual: pb.TensorSpec) -> pb.TensorSpec:
        """The same for the only output of the network, `usual` where it is not known to hold anything else."""
        if self.kind == Kind.SOFTMAX:
            return pb.TensorSpec(name=self.of, meaning="logits of each class", role=pb.OUTPUT_ROLE_LOGITS)
        if self.kind in _OF_BOTH_CLASSES:
            return pb.TensorSpec(name=self.of, meaning="how much is for the second class", role=pb.OUTPUT_ROLE_VALUE)
        return pb.TensorSpec(name=self.of, meaning=usual.meaning, role=usual.role)


_OF_BOTH_CLASSES = {Kind.SIGMOID, Kind.COMPLEMENT}


def described_outputs(
    described: Sequence[pb.TensorSpec], usual: pb.TensorSpec | None, added: Sequence[AddedOutput]
) -> list[pb.TensorSpec]:
    """All outputs: the described ones, else the only one of the network by its usual name, then those that are added.

    Raises ManifestError where one is made of an output that does not exist, or two have one name.
    """
    outputs = list(described)
    if not outputs and usual is not None:
        outputs = [added[0].spec_of_origin(usual) if added else usual]
    names = [output.name for output in outputs]
    given = [] if described else [*names]
    for output in added:
        flag = f"--{output.kind} {output.of}"
        if output.of not in names:
            raise ManifestError(f"{flag}: the outputs are {', '.join(names)}")
        if output.name in (*given, output.of):
            raise ManifestError(
                f"{flag}: there is a '{output.name}' already, --{output.kind} NAME={output.of} names it"
            )
        names.append(output.name)
        given.append(output.name)
    stated = {output.name for output in outputs}
    return [*outputs, *(output.spec() for output in added if output.name not in stated)]


def with_outputs(conversion: Conversion, added: Sequence[AddedOutput], labels: Sequence[str]) -> Conversion:
    """The conversion with further outputs, and what they should hold. Raises ManifestError for a step without sense."""
    if not added:
        return conversion
    row_sets = conversion.row_sets
    for output in added:
        _refuse_nonsense(output, row_sets, labels)
        row_sets = tuple(_with_reference(rows, output, labels) for rows in row_sets)
    classes = {output.name: row_sets[0].answers[output.of].shape[1] for output in added}

    def add(graph: bytes) -> bytes:
        model = parse(graph)
        for output in added:
            _add_to_graph(model.graph, output, labels, classes[output.name])
        check(model)
        return bytes(model.SerializeToString())

    mends = tuple(with_graph(mend, add) for mend in conversion.mends)
    return replace(conversion, graph=add(conversion.graph), row_sets=row_sets, mends=mends)


def _refuse_nonsense(output: AddedOutput, row_sets: Sequence[RowSet], labels: Sequence[str]) -> None:
    answers = [rows.answers[output.of] for rows in row_sets]
    flag, shape = f"--{output.kind} of '{output.of}'", list(answers[0].shape[1:])
    classes = 1 if output.kind in _OF_BOTH_CLASSES else 2
    if len(shape) != 1 or (shape[0] != 1 if classes == 1 else shape[0] < 2):
        wanted = "one number a row, [N, 1]" if classes == 1 else "a number a class, [N, classes], of at least two"
        raise ManifestError(f"{flag} needs {wanted}: it has {shape} a row{_instead(output.kind, shape)}")
    if output.kind == Kind.SOFTMAX and all(map(are_probabilities, answers)):
        raise ManifestError(f"{flag}: it holds probabilities already, each row sums to 1: leave --softmax out")
    if output.kind == Kind.SIGMOID and all(map(lie_in_unit_interval, answers)):
        raise ManifestError(f"{flag}: it lies in [0, 1], so it is a probability already: --complement {output.of}")
    if output.kind == Kind.COMPLEMENT and not all(map(lie_in_unit_interval, answers)):
        raise ManifestError(f"{flag}: it leaves [0, 1], so it is no probability: --sigmoid {output.of} for a logit")
    if output.kind == Kind.ARGMAX and labels and len(labels) != shape[0]:
        raise ManifestError(f"{flag}: it has {shape[0]} classes, there are {len(labels)} labels")


def _instead(kind: Kind, shape: Sequence[int]) -> str:
    if kind == Kind.SOFTMAX and shape in ([], [1]):
        return " (the softmax of one number is always 1: --sigmoid for a network that says yes or no)"
    return " (--softmax for logits of several classes)" if kind == Kind.SIGMOID else ""


def _with_reference(rows: RowSet, output: AddedOutput, labels: Sequence[str]) -> RowSet:
    computed = _computed(output.kind, rows.answers[output.of], labels)
    return RowSet(rows.kind, rows.rows, {**rows.answers, output.name: computed})


def _computed(kind: Kind, answers: Array, labels: Sequence[str]) -> Array:
    numbers: NDArray[np.float64] = answers.astype(np.float64)
    if kind == Kind.ARGMAX:
        index: Array = numbers.argmax(axis=1)
        return np.asarray(np.array(labels, object)[index]) if labels else index
    if kind == Kind.SOFTMAX:
        powers = np.exp(numbers - numbers.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)
    second = numbers if kind == Kind.COMPLEMENT else 0.5 * (1 + np.tanh(numbers / 2))  # the tanh never overflows
    return np.concatenate([1 - second, second], axis=1).astype(np.float32)


def _add_to_graph(graph: onnx.GraphProto, output: AddedOutput, labels: Sequence[str], classes: int) -> None:
    values = {value.name: value for value in graph.output}
    element_type = values[output.of].type.tensor_type.elem_type
    batch = values[output.of].type.tensor_type.shape.dim[0]
    make_room(graph, output.name)
    constants = _constants(output, labels, helper.tensor_dtype_to_np_dtype(element_type))
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    graph.node.extend(_nodes(output, constants))
    described = graph.output.add(name=output.name)
    tensor = described.type.tensor_type
    tensor.shape.dim.add().CopyFrom(batch)
    if output.kind == Kind.ARGMAX:
        tensor.elem_type = TensorProto.STRING if labels else TensorProto.INT64
    else:
        tensor.elem_type = element_type
        tensor.shape.dim.add().dim_value = 2 if output.kind in _OF_BOTH_CLASSES else classes


def _constants(output: AddedOutput, labels: Sequence[str], dtype: np.dtype[np.generic]) -> Mapping[str, Array]:
    if output.kind == Kind.ARGMAX:
        return {f"{output.name}/labels": np.array(labels, object)} if labels else {}
    return {f"{output.name}/one": np.array(1, dtype)} if output.kind in _OF_BOTH_CLASSES else {}


def _nodes(output: AddedOutput, constants: Mapping[str, Array]) -> Iterator[onnx.NodeProto]:
    given, name, second = output.of, output.name, output.of
    if output.kind == Kind.SOFTMAX:
        yield helper.make_node("Softmax", [given], [name], axis=1)
    elif output.kind == Kind.ARGMAX:
        index = f"{name}/index" if constants else name
        yield helper.make_node("ArgMax", [given], [index], axis=1, keepdims=0)
        if constants:
            yield helper.make_node("Gather", [*constants, index], [name], axis=0)
    else:
        if output.kind == Kind.SIGMOID:
            second = f"{name}/second"
            yield helper.make_node("Sigmoid", [given], [second])
        yield helper.make_node("Sub", [*constants, second], [f"{name}/first"])
        yield helper.make_node("Concat", [f"{name}/first", second], [name], axis=1)
