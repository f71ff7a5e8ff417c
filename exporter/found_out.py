"""What the manifest needs and the user did not say, as far as the source tells it: columns, labels, dtypes, shapes.

What is found is filled in; what cannot be is asked for, by the name of the flag that would say it. Physical units,
licences and what an image's pixels are scaled by stand in no file.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from argosy.v1 import manifest_pb2 as pb
from exporter.conversion import LONGEST, REFUSED, Conversion, Stated
from exporter.errors import ManifestError
from exporter.graph import opset_of, parameter_count, parse
from exporter.manifest import CLASS_ROLES
from exporter.mended import Told
from exporter.signature import Meaning, tensor_specs

DTYPES: Mapping[str, pb.DataType.ValueType] = {
    "bool": pb.DATA_TYPE_BOOL,
    "uint8": pb.DATA_TYPE_UINT8,
    "int8": pb.DATA_TYPE_INT8,
    "int16": pb.DATA_TYPE_INT16,
    "int32": pb.DATA_TYPE_INT32,
    "int64": pb.DATA_TYPE_INT64,
    "float16": pb.DATA_TYPE_FP16,
    "float32": pb.DATA_TYPE_FP32,
    "float64": pb.DATA_TYPE_FP64,
    "text": pb.DATA_TYPE_BYTES,
}
_TABULAR = {pb.TASK_TABULAR_CLASSIFICATION, pb.TASK_TABULAR_REGRESSION}
_TEXTUAL = {pb.TASK_TEXT_CLASSIFICATION, pb.TASK_TEXT_EMBEDDING}


def stated_inputs(described: Iterable[pb.TensorSpec]) -> Iterator[Stated]:
    """The described inputs as a conversion process is told of them."""
    words = {value: word for word, value in DTYPES.items()}
    for spec in described:
        shape = tuple(spec.shape[1:]) if spec.shape else None
        yield Stated(spec.name, words.get(spec.data_type, ""), shape)


def token_lengths(described: pb.ModelManifest) -> dict[str, int]:
    """The inputs that a service gives tokens, and how many at most."""
    tokens = described.text.tokens
    named = (tokens.ids_input, tokens.mask_input, tokens.types_input)
    return {name: tokens.max_tokens for name in named if name and tokens.max_tokens}


def described_manifest(
    described: pb.ModelManifest, conversion: Conversion, report: pb.ParityReport, mended: Told, columns: Sequence[str]
) -> pb.ModelManifest:
    """The manifest: what was described, and what was found out. Raises ManifestError for what has to be asked."""
    manifest = pb.ModelManifest()
    manifest.CopyFrom(described)
    inputs, outputs = tensor_specs(conversion.graph, _meanings(described, conversion))
    del manifest.inputs[:], manifest.outputs[:]
    manifest.inputs.extend(inputs)
    manifest.outputs.extend(outputs)
    manifest.parity.CopyFrom(report)
    manifest.source.CopyFrom(_source(described, conversion, mended))
    if not manifest.labels and _are_by_class(outputs, len(conversion.findings.labels)):
        manifest.labels.extend(conversion.findings.labels)
    _fill_in_preprocessing(manifest, conversion, columns)
    _check_columns(manifest, conversion.findings.columns)
    _close_columns(manifest, conversion)
    _check_length(manifest, conversion)
    if (scaled := conversion.findings.normalisation) is not None:
        manifest.normalizations.add(input=inputs[0].name, scale=scaled.scale, mean=scaled.mean, std=scaled.std)
    return manifest


def check_labels(stated: Sequence[str], found: Sequence[str]) -> None:
    """Raises ManifestError where the classes are stated in another order than the source has them."""
    if list(stated) != list(found) and sorted(stated) == sorted(found):
        raise ManifestError(
            f"the labels are stated in the order {','.join(stated)}, the source's classes are {','.join(found)}: state"
            " them in that order, or leave them out"
        )


def _are_by_class(outputs: Sequence[pb.TensorSpec], class_count: int) -> bool:
    """Whether the outputs are over the source's classes: probabilities are, logits where they are as many."""
    logits = [output for output in outputs if output.role in CLASS_ROLES - {pb.OUTPUT_ROLE_PROBABILITIES}]
    return any(output.role == pb.OUTPUT_ROLE_PROBABILITIES for output in outputs) or (
        bool(logits) and all(output.shape[-1:] == [class_count] for output in logits)
    )


def _meanings(described: pb.ModelManifest, conversion: Conversion) -> dict[str, Meaning]:
    unsaid = {name: Meaning(f"the model's input {name}") for name in conversion.row_sets[0].rows}
    stated: Sequence[pb.TensorSpec] = [*described.inputs, *described.outputs]
    return unsaid | {spec.name: Meaning(spec.meaning, spec.unit, spec.role) for spec in stated if spec.meaning}


def _source(described: pb.ModelManifest, conversion: Conversion, mended: Told) -> pb.ModelSource:
    provenance = conversion.provenance
    counted = provenance.parameter_count
    return pb.ModelSource(
        framework=provenance.framework,
        framework_version=provenance.framework_version,
        converter=provenance.converter,
        converter_version=provenance.converter_version,
        opset=opset_of(parse(conversion.graph)),
        packages=described.source.packages,
        parameter_count=parameter_count(conversion.graph) if counted is None else counted,
        remedies=mended.remedies,
        guards=mended.guards,
        preceding=[
            pb.ModelSource(
                framework=part.framework,
                framework_version=part.framework_version,
                converter=part.converter,
                converter_version=part.converter_version,
                parameter_count=part.parameter_count or 0,
            )
            for part in conversion.preceding
        ],
    )


def _fill_in_preprocessing(manifest: pb.ModelManifest, conversion: Conversion, columns: Sequence[str]) -> None:
    if manifest.WhichOneof("preprocessing"):
        return
    tasks = set(manifest.tasks)
    if tasks & _TABULAR:
        manifest.table.columns.extend(_columns(manifest, conversion, columns))
    elif tasks & _TEXTUAL and len(manifest.inputs) == 1 and manifest.inputs[0].data_type == pb.DATA_TYPE_BYTES:
        manifest.text.string.input = manifest.inputs[0].name


def _columns(manifest: pb.ModelManifest, conversion: Conversion, stated: Sequence[str]) -> Iterator[pb.TableColumn]:
    """One tensor that holds all columns, or a tensor a column. NaN is imputed where the source was seen to take it."""
    names = stated or conversion.findings.columns
    inputs = list(manifest.inputs)
    single = _is_one_tensor(manifest)
    width = inputs[0].shape[1] if single else len(inputs)
    if len(names) != width:
        raise ManifestError(
            f"the model does not tell the names of its {width} columns: --columns a,b,c names them in its order"
        )
    for position, name in enumerate(names):
        spec = inputs[0] if single else inputs[position]
        is_text = spec.data_type == pb.DATA_TYPE_BYTES
        takes_missing = _takes_missing(conversion, spec.name, position if single else 0)
        yield pb.TableColumn(
            name=name,
            kind=pb.COLUMN_KIND_TEXT if is_text else pb.COLUMN_KIND_NUMBER,
            input=spec.name,
            index=position if single else 0,
            missing=pb.MISSING_POLICY_IMPUTE if takes_missing else pb.MISSING_POLICY_REJECT,
        )


def _check_columns(manifest: pb.ModelManifest, found: Sequence[str]) -> None:
    """Raises ManifestError where a column goes to the place of another: parity asks by tensor and does not see it."""
    places = [spec.name for spec in manifest.inputs]
    known = [column for column in manifest.table.columns if column.input in places]
    stated = [column.name for column in sorted(known, key=lambda it: (places.index(it.input), it.index))]
    if len(stated) != len(found):
        return
    if any(name != own and name in found for name, own in zip(stated, found, strict=True)):
        raise ManifestError(
            f"the columns are stated in the order {','.join(stated)}, the source's are {','.join(found)}: state them in"
            " that order, or leave them out"
        )


def _takes_missing(conversion: Conversion, name: str, column: int) -> bool:
    """Whether a row that lacks the column was compared: those that the source answers with no number are not here."""
    columns = [rows.rows[name].reshape(len(rows.rows[name]), -1)[:, column] for rows in conversion.row_sets]
    return any(values.dtype.kind == "f" and bool(np.isnan(values).any()) for values in columns)


def _close_columns(manifest: pb.ModelManifest, conversion: Conversion) -> None:
    """Where the source refuses what training did not know, its graph may answer it: the service is to refuse it.

    Raises ManifestError where a text is refused and nothing tells which ones are known.
    """
    known, places = conversion.findings.categories, [spec.name for spec in manifest.inputs]
    for column in manifest.table.columns:
        place = column.index if _is_one_tensor(manifest) else places.index(column.input)
        if place < len(known) and known[place]:
            column.categories[:] = known[place]
            column.closed = True
    is_open = any(column.kind == pb.COLUMN_KIND_TEXT and not column.closed for column in manifest.table.columns)
    refused = [found for found in conversion.not_applicable if found.kind == "unseen texts"]
    if is_open and any(found.reason.startswith(REFUSED) for found in refused):
        raise ManifestError(
            "the model refuses texts that training did not know, and does not tell which it knew, so its graph could"
            " answer them with anything: train with handle_unknown='ignore' or 'use_encoded_value', or with the encoder"
            f" on the columns themselves ({refused[0].reason})"
        )


def _check_length(manifest: pb.ModelManifest, conversion: Conversion) -> None:
    """A service cuts texts at the tokens that are stated: ManifestError where the source does not take so many."""
    for found in conversion.not_applicable:
        if found.kind == LONGEST and found.reason.startswith(REFUSED):
            raise ManifestError(
                f"text.tokens.max_tokens is {manifest.text.tokens.max_tokens}: {found.reason}; state as many as it"
                " takes"
            )


def _is_one_tensor(manifest: pb.ModelManifest) -> bool:
    return len(manifest.inputs) == 1 and len(manifest.inputs[0].shape) == 2
