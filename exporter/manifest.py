"""The manifest as a file, and what must hold before a version may be published.

The text is YAML of protobuf's JSON mapping, so that the exporter, the services and callers share one schema. What is
checked here can be known without running anything: names, the graph's signature, parity, the files that are spoken of.
"""

import hashlib
import math
import re
from collections.abc import Collection, Iterable, Mapping

import yaml
from google.protobuf import json_format

from argosy.v1 import manifest_pb2 as pb
from exporter.errors import ManifestError, ParityError
from exporter.parity import describe_failure
from exporter.signature import Meaning, tensor_specs

GRAPH_FILE = "model.onnx"
MANIFEST_FILE = "model.yaml"
SIGNATURE_FILE = "model.yaml.sig"
# What a version has by these names is not for the caller to give.
_OWN_FILES = {GRAPH_FILE, MANIFEST_FILE, SIGNATURE_FILE}

_MODEL_NAME = re.compile(r"[a-z][a-z0-9-]*")
_VERSION = re.compile(r"[1-9][0-9]{0,17}")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")
_PREPROCESSING_OF_TASK = {
    pb.TASK_IMAGE_CLASSIFICATION: "image",
    pb.TASK_IMAGE_EMBEDDING: "image",
    pb.TASK_OBJECT_DETECTION: "image",
    pb.TASK_TEXT_CLASSIFICATION: "text",
    pb.TASK_TEXT_EMBEDDING: "text",
    pb.TASK_TOKEN_CLASSIFICATION: "text",
    pb.TASK_TABULAR_CLASSIFICATION: "table",
    pb.TASK_TABULAR_REGRESSION: "table",
}
# Of outputs whose last axis is over classes, and of those whose every number is one.
CLASS_ROLES = {pb.OUTPUT_ROLE_PROBABILITIES, pb.OUTPUT_ROLE_LOGITS, pb.OUTPUT_ROLE_TOKEN_LOGITS}
INDEX_ROLES = {pb.OUTPUT_ROLE_CLASSES, pb.OUTPUT_ROLE_LABEL}


def outputs_of(outputs: Iterable[pb.TensorSpec], roles: Collection[pb.OutputRole.ValueType]) -> list[str]:
    """The names of the outputs that have one of the roles."""
    return [output.name for output in outputs if output.role in roles]


def to_yaml(manifest: pb.ModelManifest) -> str:
    """The text of model.yaml, in the order of the message's fields."""
    mapping = json_format.MessageToDict(manifest, preserving_proto_field_name=True)
    return yaml.safe_dump(mapping, sort_keys=False, allow_unicode=True, width=120)


def from_yaml(text: str) -> pb.ModelManifest:
    """The manifest of a model.yaml. Raises ManifestError where the text is none."""
    try:
        return json_format.ParseDict(yaml.safe_load(text) or {}, pb.ModelManifest())
    except (yaml.YAMLError, json_format.ParseError, TypeError, AttributeError) as error:
        raise ManifestError(f"no manifest: {' '.join(str(error).split())[:300]}") from error


def digests(files: Mapping[str, bytes]) -> list[pb.FileDigest]:
    """SHA-256 and size of every file, by path."""
    return [
        pb.FileDigest(path=path, sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
        for path, content in sorted(files.items())
    ]


def check_publishable(manifest: pb.ModelManifest, graph: bytes, files: Mapping[str, bytes]) -> None:
    """Raises ParityError or ManifestError, naming what has to be mended first."""
    _check_names(manifest, files)
    _check_parity(manifest)
    _check_signature(manifest, graph)
    _check_states(manifest)
    _check_preprocessing(manifest, files)
    _check_labels(manifest)


def is_file_name(path: str) -> bool:
    """Whether a version may have a file of this name: no path, and no sign that a shell reads otherwise."""
    return bool(_FILE_NAME.fullmatch(path))


def _check_names(manifest: pb.ModelManifest, files: Mapping[str, bytes]) -> None:
    if not _MODEL_NAME.fullmatch(manifest.name):
        raise ManifestError(
            f"model name '{manifest.name}': lower-case letters, digits and '-', beginning with a letter"
        )
    if not _VERSION.fullmatch(manifest.version):
        raise ManifestError(f"version '{manifest.version}' of '{manifest.name}': a positive integer is needed")
    if not manifest.tasks:
        raise ManifestError(f"'{manifest.name}' states no task")
    for path in files:
        if not is_file_name(path) or path in _OWN_FILES:
            raise ManifestError(f"file '{path}': a plain file name is needed, none of {', '.join(sorted(_OWN_FILES))}")


def _check_parity(manifest: pb.ModelManifest) -> None:
    parity = manifest.parity
    compared = {output.output for output in parity.outputs}
    absent = [output.name for output in manifest.outputs if output.name not in compared]
    if not parity.row_count or absent:
        missing = f"output '{absent[0]}'" if absent else "it"
        raise ParityError(f"'{manifest.name}' has no parity report: {missing} was not compared with its source")
    broken = [output for output in parity.outputs if not math.isfinite(output.worst_absolute_error)]
    if not parity.passed or broken:
        raise ParityError(f"'{manifest.name}' does not answer as its source: {describe_failure(parity)}")


def _check_signature(manifest: pb.ModelManifest, graph: bytes) -> None:
    stated = [*manifest.inputs, *manifest.outputs]
    inputs, outputs = tensor_specs(graph, {spec.name: Meaning(spec.meaning, spec.unit, spec.role) for spec in stated})
    if [*inputs, *outputs] != stated:
        raise ManifestError(f"the inputs and outputs that the manifest of '{manifest.name}' states are not the graph's")
    for spec in stated:
        if not spec.meaning:
            raise ManifestError(f"'{spec.name}' of '{manifest.name}' has no meaning: say what its numbers are")


def _check_preprocessing(manifest: pb.ModelManifest, files: Mapping[str, bytes]) -> None:
    kind = manifest.WhichOneof("preprocessing")
    for task in manifest.tasks:
        if _PREPROCESSING_OF_TASK[task] != kind:
            needed = _PREPROCESSING_OF_TASK[task]
            raise ManifestError(f"{pb.Task.Name(task)} of '{manifest.name}' needs preprocessing of kind '{needed}'")
    given = {spec.name for spec in manifest.inputs} - {state.input for state in manifest.states}
    tokens = manifest.text.tokens
    named = {manifest.image.input, manifest.text.string.input, tokens.ids_input, tokens.mask_input, tokens.types_input}
    named |= {column.input for column in manifest.table.columns}
    named.discard("")
    if named != given:
        raise ManifestError(f"the preprocessing fills {sorted(named)}, the graph reads {sorted(given)}")
    if tokens.tokenizer_file and tokens.tokenizer_file not in files:
        raise ManifestError(f"the file '{tokens.tokenizer_file}' that the manifest speaks of was not given")


def _check_states(manifest: pb.ModelManifest) -> None:
    inputs = {spec.name: spec for spec in manifest.inputs}
    outputs = {spec.name: spec for spec in manifest.outputs}
    for state in manifest.states:
        taken, given = inputs.pop(state.input, None), outputs.pop(state.output, None)
        if taken is None or given is None:
            raise ManifestError(f"state '{state.input}' from '{state.output}': an input and an output, each once")
        fixed = all(size > 0 for size in taken.shape[1:])
        if not fixed or (taken.data_type, taken.shape) != (given.data_type, given.shape):
            raise ManifestError(
                f"state '{state.input}' and '{state.output}' need one type and one shape, fixed but for N"
            )
        if given.role != pb.OUTPUT_ROLE_STATE:
            raise ManifestError(f"output '{given.name}' is a state: its role is OUTPUT_ROLE_STATE")
    if any(spec.role == pb.OUTPUT_ROLE_STATE for spec in outputs.values()):
        raise ManifestError("an output has the role of a state, and 'states' does not say which input takes it")


def _check_labels(manifest: pb.ModelManifest) -> None:
    for output in manifest.outputs:
        classes = output.shape[-1] if output.shape else -1
        if output.role in CLASS_ROLES and manifest.labels and classes not in {-1, len(manifest.labels)}:
            raise ManifestError(
                f"output '{output.name}' has {classes} classes, the manifest {len(manifest.labels)} labels"
            )
