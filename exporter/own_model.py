"""A model of the user's own, from a file or a Python object to a published version.

The user says what no file says: a name, a task, what the numbers mean, and rows to compare on. A pickle, a PyTorch
module or an object runs code when it is loaded, so those are read only where the user says that the code is trusted.
How each framework is read is the concern of `read_<framework>.py`; they are imported when they are needed, because
each brings a framework with it.
"""

import importlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, cast

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from argosy.v1 import manifest_pb2 as pb
from exporter.errors import ExportError, ManifestError, SourceError
from exporter.parity import Array, Tolerance
from exporter.parity_rows import PARITY_FILE, Comparison, kept
from exporter.publish import next_version, publish
from exporter.signature import Meaning, tensor_specs
from exporter.source import model_source
from exporter.verify import compare

_FILE_KINDS = {".keras": "keras", ".onnx": "onnx", ".pkl": "sklearn", ".pickle": "sklearn", ".joblib": "sklearn"}
_RUNS_CODE = {".pkl", ".pickle", ".joblib"}
_CLASS_ROLES = {pb.OUTPUT_ROLE_PROBABILITIES, pb.OUTPUT_ROLE_LOGITS}
# The output of a model that has one, by what the task ends in: name, meaning, role.
_USUAL_OUTPUTS: Mapping[str, tuple[str, str, pb.OutputRole.ValueType]] = {
    "CLASSIFICATION": ("probabilities", "probability of each class", pb.OUTPUT_ROLE_PROBABILITIES),
    "REGRESSION": ("value", "the predicted number", pb.OUTPUT_ROLE_VALUE),
    "EMBEDDING": ("embedding", "the vector of a row", pb.OUTPUT_ROLE_EMBEDDING),
}


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
    key: Ed25519PrivateKey | None = None  # signs the version

    @property
    def output_names(self) -> list[str]:
        return [output.name for output in self.described.outputs]

    @property
    def dynamic_axes(self) -> dict[str, dict[int, str]]:
        """The axes besides the batch that the user states as -1: tensor -> {axis: name}."""
        stated = [*self.described.inputs, *self.described.outputs]
        return {
            spec.name: {axis: f"axis_{axis}" for axis, size in enumerate(spec.shape) if axis and size == -1}
            for spec in stated
        }


@dataclass(frozen=True, slots=True)
class Converted:
    """A graph, the source's own answers to the samples, and where it is from."""

    graph: bytes
    reference: Mapping[str, Array]
    framework: str
    distribution: str
    converter: str
    parameters: int | None = None


class Reader(Protocol):
    """A module `read_<framework>.py`."""

    def from_file(self, path: Path, order: Order) -> Converted: ...

    def from_object(self, model: object, order: Order) -> Converted: ...


def export(order: Order, models_dir: Path) -> Path:
    """Convert, compare on the samples, publish. Returns the version's folder; raises ExportError and leaves nothing."""
    order = _completed(order)
    try:
        converted = _convert(order)
    except ExportError:
        raise
    except Exception as error:  # converters and the user's own code raise what they like
        raise SourceError(f"{order.source} cannot be converted: {type(error).__name__}: {_short(error)}") from error
    manifest = _manifest(order, converted)
    if not manifest.version:
        manifest.version = next_version(models_dir, manifest.name)
    kept_rows = kept([Comparison(order.samples, converted.reference)])
    return publish(manifest, converted.graph, {**order.files, PARITY_FILE: kept_rows}, models_dir, order.key)


def read_samples(path: Path) -> dict[str, Array]:
    """The arrays of an .npz file in its order. Raises SourceError; nothing pickled is read."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            samples = {name: np.asarray(archive[name]) for name in archive.files}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise SourceError(f"{path.name} cannot be read as .npz of plain arrays: {_short(error)}") from error
    if not samples:
        raise SourceError(f"{path.name} has no arrays: one a model input is needed, named as the input shall be")
    return {name: values.astype(object) if values.dtype.kind == "U" else values for name, values in samples.items()}


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


def _convert(order: Order) -> Converted:
    path = Path(order.source)
    suffix = path.suffix.lower()
    if suffix in _FILE_KINDS:
        if not path.is_file():
            raise SourceError(f"there is no file {order.source}")
        if suffix in _RUNS_CODE:
            _require_trust(order)
        return _reader(_FILE_KINDS[suffix]).from_file(path, order)
    module, colon, name = order.source.partition(":")
    if not colon:
        raise SourceError(f"{order.source} is none of {', '.join(_FILE_KINDS)} and no object like package.module:name")
    _require_trust(order)
    model = _import_object(module, name)
    return _reader(_framework_of(model)).from_object(model, order)


def _require_trust(order: Order) -> None:
    if not order.trust_code:
        raise SourceError(f"loading {order.source} runs the code in it: say --trust-code if it is yours")


def _import_object(module: str, name: str) -> object:
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise SourceError(f"{module}:{name} cannot be imported: {_short(error)}") from error
    is_maker = callable(found) and not hasattr(found, "predict") and not hasattr(found, "forward")
    return found() if is_maker or isinstance(found, type) else found


def _framework_of(model: object) -> str:
    """By the package that one of its classes is from: no framework needs to be imported for the question."""
    packages = {kind.__module__.split(".", 1)[0] for kind in type(model).__mro__}
    for package, framework in (("torch", "pytorch"), ("keras", "keras"), ("sklearn", "sklearn")):
        if package in packages:
            return framework
    raise SourceError(f"a {type(model).__name__} is no model of Keras, PyTorch or scikit-learn")


def _reader(framework: str) -> Reader:
    try:
        return cast(Reader, importlib.import_module(f"exporter.read_{framework}"))
    except ImportError as error:
        raise SourceError(f"exporting needs the framework: {_short(error)} (pip install 'argosy[export]')") from error


def _manifest(order: Order, converted: Converted) -> pb.ModelManifest:
    manifest = pb.ModelManifest()
    manifest.CopyFrom(order.described)
    inputs, outputs = tensor_specs(converted.graph, _meanings(order))
    del manifest.inputs[:], manifest.outputs[:]
    manifest.inputs.extend(inputs)
    manifest.outputs.extend(outputs)
    classes = [output.name for output in outputs if output.role in _CLASS_ROLES]
    described = f"{converted.framework} on the {len(next(iter(order.samples.values())))} sample rows"
    report = compare(
        converted.graph, order.samples, converted.reference, order.tolerance, described=described, class_outputs=classes
    )
    manifest.parity.CopyFrom(report)
    source = model_source(
        converted.graph,
        converted.framework,
        converted.distribution,
        converted.converter,
        packages=order.described.source.packages,
        parameters=converted.parameters,
    )
    manifest.source.CopyFrom(source)
    return manifest


def _meanings(order: Order) -> dict[str, Meaning]:
    unsaid = {name: Meaning(f"the model's input {name}") for name in order.samples}
    stated: Sequence[pb.TensorSpec] = [*order.described.inputs, *order.described.outputs]
    return unsaid | {spec.name: Meaning(spec.meaning, spec.unit, spec.role) for spec in stated if spec.meaning}


def _short(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
