"""Which typed methods a tabular model offers, and what its manifest must say for them.

All that can be wrong with a manifest is found here, while the version loads, so that no request meets it.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from argosy.v1 import manifest_pb2 as pb
from argosy.v1.manifest_pb2 import ModelManifest, TableColumn
from services.runtime.categories import class_output
from services.runtime.closed_columns import categories_of
from services.runtime.specs import bad_manifest, element_type, input_spec, output_spec
from services.runtime.typed_method import TypedMethod
from services.tabular.cells import column_of
from services.tabular.own_predict import own_predict
from services.tabular.predict import Predict, ValueOutput
from services.tabular.rows import TableInput, TableReader, TableRequest


def typed_methods(manifest: ModelManifest, directory: Path) -> tuple[TypedMethod[TableRequest], ...]:  # noqa: ARG001
    """The methods of TabularService that the manifest's tasks offer; a tabular model reads no file of `directory`.

    Raises ServingError (REFUSED_LOAD) where the manifest offers none or lacks what a task needs.
    """
    classifies = pb.TASK_TABULAR_CLASSIFICATION in manifest.tasks
    regresses = pb.TASK_TABULAR_REGRESSION in manifest.tasks
    if not (classifies or regresses):
        raise bad_manifest(manifest, "it offers no task of the tabular service")
    reader = _table_reader(manifest)
    classes = class_output(manifest) if classifies else None
    values = _value_outputs(manifest) if regresses else ()
    predict = Predict(manifest.name, manifest.version, reader, classes, values)
    return predict, *own_predict(manifest, predict)


def _value_outputs(manifest: ModelManifest) -> tuple[ValueOutput, ...]:
    output_spec(manifest, pb.OUTPUT_ROLE_VALUE)  # at least one
    values = [spec for spec in manifest.outputs if spec.role == pb.OUTPUT_ROLE_VALUE]
    for spec in values:
        if list(spec.shape)[1:] not in ([], [1]):
            raise bad_manifest(manifest, f"output '{spec.name}' holds more than one value a row")
    return tuple(ValueOutput(spec.name, spec.unit) for spec in values)


def _table_reader(manifest: ModelManifest) -> TableReader:
    columns = manifest.table.columns
    if not columns:
        raise bad_manifest(manifest, "a tabular model needs table preprocessing, and it states no column")
    if len({column.name for column in columns}) < len(columns):
        raise bad_manifest(manifest, "two columns have the same name")
    inputs = {name: _table_input(manifest, name, columns) for name in dict.fromkeys(c.input for c in columns)}
    for column in columns:
        if complaint := _bad_column(column, inputs[column.input].dtype):
            raise bad_manifest(manifest, f"column '{column.name}' {complaint}")
    return TableReader(
        {c.name: column_of(c, inputs[c.input].dtype, categories_of(manifest, c)) for c in columns}, inputs
    )


def _table_input(manifest: ModelManifest, name: str, columns: Iterable[TableColumn]) -> TableInput:
    """The tensor `name`, every place of which is one column's."""
    spec = input_spec(manifest, name)
    places = sorted(column.index for column in columns if column.input == name)
    if len(spec.shape) != 2 or spec.shape[1] not in (-1, len(places)) or places != list(range(len(places))):
        raise bad_manifest(
            manifest, f"input '{name}' of shape {list(spec.shape)} needs one column a place, got places {places}"
        )
    return TableInput(len(places), element_type(spec))


def _bad_column(column: TableColumn, dtype: np.dtype[np.generic]) -> str:
    """What the manifest says wrong of a column whose tensor is of `dtype`, or ''."""
    if not column.kind or not column.missing:
        return "does not state its kind and what a missing value means"
    if (column.kind == pb.COLUMN_KIND_TEXT) != (dtype == np.object_):
        return "needs a tensor of BYTES if its kind is text, and of numbers if it is not"
    if dtype == np.bool_ and column.kind == pb.COLUMN_KIND_NUMBER:
        return "is a number, and its tensor is BOOL"
    if column.closed and column.kind == pb.COLUMN_KIND_BOOLEAN:
        return "is a boolean, and says that it knows its categories alone"
    takes_filler = column.kind == pb.COLUMN_KIND_TEXT or np.issubdtype(dtype, np.floating)
    if column.missing == pb.MISSING_POLICY_IMPUTE and not takes_filler:
        return "is imputed, but its tensor cannot hold NaN"
    return ""
