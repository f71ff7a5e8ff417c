"""A model of the user's own, from a file, a folder or a Python object to a published version.

The user says what no file says: a name, a task, what the numbers mean, and rows to compare on. The source is told apart
by what it holds (`sniff.py`), converted in a process of its own (`apart.py`), and compared here with the answers that
it gave there. A source that runs code when it is read is read only where the user says that the code is trusted.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from argosy.v1 import manifest_pb2 as pb
from exporter.apart import Limits, convert_apart
from exporter.arrays import Array
from exporter.conversion import Conversion, Request
from exporter.errors import ManifestError, SourceError
from exporter.graph import check, opset_of, parameter_count, parse
from exporter.judge import judged
from exporter.optimise import optimisation
from exporter.parity import Tolerance, merge
from exporter.parity_rows import PARITY_FILE, Comparison, kept
from exporter.publish import next_version, publish
from exporter.signature import Meaning, tensor_specs
from exporter.sniff import Kind, kind_of
from exporter.steps import Steps, taken
from exporter.verify import compare

_CLASS_ROLES = {pb.OUTPUT_ROLE_PROBABILITIES, pb.OUTPUT_ROLE_LOGITS}
# The output of a model that has one, by what the task ends in: name, meaning, role.
_USUAL_OUTPUTS: Mapping[str, tuple[str, str, pb.OutputRole.ValueType]] = {
    "CLASSIFICATION": ("probabilities", "probability of each class", pb.OUTPUT_ROLE_PROBABILITIES),
    "REGRESSION": ("value", "the predicted number", pb.OUTPUT_ROLE_VALUE),
    "EMBEDDING": ("embedding", "the vector of a row", pb.OUTPUT_ROLE_EMBEDDING),
}


@dataclass(frozen=True, slots=True)
class Apart:
    """How conversions run: their limits, and the interpreter of the environment that has the framework."""

    limits: Limits = field(default_factory=Limits)
    interpreter: str = sys.executable
    show_log: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """What the user asks for. `described` is a manifest with whatever the user states; the rest is found out."""

    source: str
    described: pb.ModelManifest
    samples: Mapping[str, Array]  # input -> [N, ...], in the order of the model's inputs
    files: Mapping[str, bytes]
    tolerance: Tolerance
    trust_code: bool = False
    one_row_at_a_time: bool = False
    # One of sniff.FRAMEWORKS; empty: by what the source holds.
    framework: str = ""
    # Signs the version.
    key: Ed25519PrivateKey | None = None
    # Taken after the conversion; what comes out is compared with the source.
    steps: Steps = field(default_factory=Steps)
    # The right answers to the samples, where the figures are to be kept: [N].
    truth: Array | None = None
    apart: Apart = field(default_factory=Apart)

    @property
    def output_names(self) -> tuple[str, ...]:
        return tuple(output.name for output in self.described.outputs)

    @property
    def dynamic_axes(self) -> dict[str, dict[int, str]]:
        """The axes besides the batch that the user states as -1: tensor -> {axis: name}."""
        stated = [*self.described.inputs, *self.described.outputs]
        return {
            spec.name: {axis: f"axis_{axis}" for axis, size in enumerate(spec.shape) if axis and size == -1}
            for spec in stated
        }


def export(order: Order, models_dir: Path) -> Path:
    """Convert, compare on the samples, publish. Returns the version's folder; raises ExportError and leaves nothing."""
    order = _completed(order)
    converted = _convert(order)
    conversion = replace(converted, graph=taken(converted.graph, order.steps))
    manifest = _manifest(order, conversion)
    if order.truth is not None:
        manifest.metrics.extend(judged(manifest, conversion.graph, order.samples, order.truth, "the sample rows"))
    if order.steps.names():
        manifest.optimisation.CopyFrom(_optimisation(order, converted.graph, conversion.graph, manifest))
    if not manifest.version:
        manifest.version = next_version(models_dir, manifest.name)
    compared = kept([Comparison(rows.rows, rows.answers) for rows in conversion.row_sets])
    return publish(manifest, conversion.graph, {**order.files, PARITY_FILE: compared}, models_dir, order.key)


def _completed(order: Order) -> Order:
    """The usual output where none is described."""
    described = pb.ModelManifest()
    described.CopyFrom(order.described)
    if not described.tasks:
        raise ManifestError("state the task of the model: --task, or tasks in the description")
    kind = pb.Task.Name(described.tasks[0]).rsplit("_", 1)[-1]
    if not described.outputs:
        if kind not in _USUAL_OUTPUTS:
            raise ManifestError(f"describe the outputs: for {pb.Task.Name(described.tasks[0])} there is no usual one")
        name, meaning, role = _USUAL_OUTPUTS[kind]
        described.outputs.add(name=name, meaning=meaning, role=role)
    return replace(order, described=described)


def _convert(order: Order) -> Conversion:
    kind = kind_of(order.source)
    if order.framework:
        kind = Kind(order.framework, kind.runs_code)
    if kind.runs_code and not order.trust_code:
        raise SourceError(f"loading {order.source} runs the code in it: say --trust-code if it is yours")
    request = Request(
        source=order.source,
        framework=kind.framework,
        output_names=order.output_names,
        dynamic_axes=order.dynamic_axes,
        trust_code=order.trust_code,
        one_row_at_a_time=order.one_row_at_a_time,
    )
    apart = order.apart
    return convert_apart(request, order.samples, apart.limits, apart.interpreter, show_log=apart.show_log)


def _manifest(order: Order, conversion: Conversion) -> pb.ModelManifest:
    manifest = pb.ModelManifest()
    manifest.CopyFrom(order.described)
    check(parse(conversion.graph))
    inputs, outputs = tensor_specs(conversion.graph, _meanings(order))
    del manifest.inputs[:], manifest.outputs[:]
    manifest.inputs.extend(inputs)
    manifest.outputs.extend(outputs)
    manifest.parity.CopyFrom(_parity(order, conversion, outputs))
    manifest.source.CopyFrom(_source(order, conversion))
    return manifest


def _parity(order: Order, conversion: Conversion, outputs: Sequence[pb.TensorSpec]) -> pb.ParityReport:
    classes = [output.name for output in outputs if output.role in _CLASS_ROLES]
    framework = conversion.provenance.framework
    return merge(
        [
            compare(
                conversion.graph,
                rows.rows,
                rows.answers,
                order.tolerance,
                described=f"{framework} on the {len(next(iter(rows.rows.values())))} sample rows",
                class_outputs=classes,
            )
            for rows in conversion.row_sets
        ]
    )


def _optimisation(order: Order, before: bytes, after: bytes, manifest: pb.ModelManifest) -> pb.Optimisation:
    figures = [] if order.truth is None else judged(manifest, before, order.samples, order.truth, "the sample rows")
    return optimisation(order.steps, before, after, order.samples, figures)


def _source(order: Order, conversion: Conversion) -> pb.ModelSource:
    provenance = conversion.provenance
    counted = provenance.parameter_count
    return pb.ModelSource(
        framework=provenance.framework,
        framework_version=provenance.framework_version,
        converter=provenance.converter,
        converter_version=provenance.converter_version,
        opset=opset_of(parse(conversion.graph)),
        packages=order.described.source.packages,
        parameter_count=parameter_count(conversion.graph) if counted is None else counted,
    )


def _meanings(order: Order) -> dict[str, Meaning]:
    unsaid = {name: Meaning(f"the model's input {name}") for name in order.samples}
    stated: Sequence[pb.TensorSpec] = [*order.described.inputs, *order.described.outputs]
    return unsaid | {spec.name: Meaning(spec.meaning, spec.unit, spec.role) for spec in stated if spec.meaning}
