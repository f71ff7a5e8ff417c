"""`argosy models`: what the fleet serves, and what one model is.

Both come from ModelService: the list says which versions are ready and why others are not, the manifest says what a
model reads and answers, where it comes from and how good it is. Nothing is read from a models folder: what counts is
what the fleet says.
"""

import json
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from argosy.v1 import manifest_pb2, model_pb2
from argosy_cli.client import Fleet
from argosy_cli.errors import CliError
from argosy_cli.questions import VERBS
from argosy_cli.show import as_json

_STATE_STYLES = {model_pb2.MODEL_STATE_READY: "green", model_pb2.MODEL_STATE_REFUSED: "red"}


def print_models(fleet: Fleet, console: Console, *, json_output: bool) -> None:
    """Every model-version of the fleet. Raises CliError."""
    statuses = fleet.statuses()
    if json_output:
        console.print_json(json.dumps([as_json(status) for status in statuses]))
    elif not statuses:
        raise CliError(f"{fleet.address} serves no model: make some with `argosy train`")
    else:
        console.print(models_table(statuses))


def models_table(statuses: Sequence[model_pb2.ModelStatus]) -> Table:
    """One line a model-version."""
    table = Table("model", "version", "state", "service", "tasks", "endpoints", "runs on")
    for status in statuses:
        table.add_row(
            status.model,
            status.version + (" (default)" if status.default_version else ""),
            _state(status),
            ", ".join(_services(status.tasks)),
            ", ".join(_words(status.tasks)),
            str(status.ready_endpoint_count),
            status.execution_provider.removesuffix("ExecutionProvider"),
        )
    return table


def print_manifest(fleet: Fleet, model: str, version: str, console: Console, *, json_output: bool) -> None:
    """What the model is. Raises CliError."""
    manifest = fleet.manifest(model, version)
    if json_output:
        console.print_json(json.dumps(as_json(manifest)))
        return
    console.print(f"{manifest.name} version {manifest.version}: {manifest.description}", style="bold")
    console.print(_facts(manifest))
    if manifest.table.columns:
        console.print(_columns(manifest.table.columns))
    if manifest.metrics:
        console.print(_metrics(manifest.metrics))


def _facts(manifest: manifest_pb2.ModelManifest) -> Table:
    facts = Table.grid(padding=(0, 2))
    facts.add_row("tasks", ", ".join(_words(manifest.tasks)))
    facts.add_row("inputs", "\n".join(_tensor(spec) for spec in manifest.inputs))
    facts.add_row("outputs", "\n".join(_tensor(spec) for spec in manifest.outputs))
    if manifest.labels:
        more = f" … {len(manifest.labels)} in all" if len(manifest.labels) > 12 else ""
        facts.add_row("classes", ", ".join(manifest.labels[:12]) + more)
    source = manifest.source
    facts.add_row("made with", f"{source.framework} {source.framework_version}, {source.parameter_count:,} parameters")
    facts.add_row("exported by", f"{source.converter} {source.converter_version}, opset {source.opset}")
    facts.add_row("comes from", "\n".join(_package(package) for package in source.packages))
    facts.add_row("parity", _parity(manifest.parity))
    facts.add_row("licence", manifest.licence)
    return facts


def _columns(columns: Sequence[manifest_pb2.TableColumn]) -> Table:
    table = Table("column", "kind", "unit", "missing", "meaning", title="columns", title_justify="left")
    for column in columns:
        kind = manifest_pb2.ColumnKind.Name(column.kind).removeprefix("COLUMN_KIND_").lower()
        missing = manifest_pb2.MissingPolicy.Name(column.missing).removeprefix("MISSING_POLICY_").lower()
        table.add_row(column.name, kind, column.unit, missing, column.meaning)
    return table


def _metrics(metrics: Sequence[manifest_pb2.Metric]) -> Table:
    table = Table("metric", "value", "measured on", "rows", "of", title="figures", title_justify="left")
    for metric in metrics:
        spread = f" ± {metric.standard_deviation:.4f}" if metric.HasField("standard_deviation") else ""
        subject = " ".join(part for part in (metric.subject, metric.label) if part)
        table.add_row(metric.name, f"{metric.value:.4f}{spread}", metric.split, str(metric.row_count), subject)
    return table


def _tensor(spec: manifest_pb2.TensorSpec) -> str:
    datatype = manifest_pb2.DataType.Name(spec.data_type).removeprefix("DATA_TYPE_")
    shape = ", ".join("any" if size < 0 else str(size) for size in spec.shape)
    return f"{spec.name}: {datatype} [{shape}]" + (f", {spec.meaning}" if spec.meaning else "")


def _package(package: manifest_pb2.PackageSource) -> str:
    return f"{package.registry}: {package.name} {package.version} ({package.licence})"


def _parity(parity: manifest_pb2.ParityReport) -> str:
    verdict = "passed" if parity.passed else "failed"
    worst = max((output.worst_absolute_error for output in parity.outputs), default=0.0)
    return f"{verdict} on {parity.row_count} rows against {parity.reference}, worst absolute error {worst:.1e}"


def _state(status: model_pb2.ModelStatus) -> Text:
    name = model_pb2.ModelState.Name(status.state).removeprefix("MODEL_STATE_").lower()
    style = _STATE_STYLES.get(status.state, "yellow")
    return Text(f"{name}: {status.reason}" if status.reason else name, style)


def _words(tasks: "Sequence[manifest_pb2.Task.ValueType]") -> list[str]:
    return [VERBS[task].word for task in tasks if task in VERBS]


def _services(tasks: "Sequence[manifest_pb2.Task.ValueType]") -> list[str]:
    return sorted({VERBS[task].service for task in tasks if task in VERBS})
