"""What a conversion process is asked, and what it leaves: two records, each a folder of plain files.

The two sides may run in different environments, so they share files and no memory: JSON, .npz and ONNX, nothing
pickled. Whatever lies here may come from a converter that went wrong; whoever reads it checks it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from exporter.arrays import Rows, read_arrays, write_arrays
from exporter.errors import ExportError, GraphError, ParityError, SourceError
from exporter.normalisation import Normalisation

_REQUEST, _SAMPLES = "request.json", "samples.npz"
_RESULT, _REFUSAL, _GRAPH = "result.json", "refusal.json", "graph.onnx"
_REFUSALS: Mapping[str, type[ExportError]] = {kind.__name__: kind for kind in (SourceError, GraphError, ParityError)}
REFUSED = "the source refuses them"
LEFT_OUT = "left out by --without"
# The kind of rows that have as many tokens as a service gives.
LONGEST = "longest"
LEFT_NOTHING = "the converter ended as if all were well and left no result that can be read"


@dataclass(frozen=True, slots=True)
class Stated:
    """What the user says of an input; empty where nothing. `shape` is without the batch, -1 for what varies."""

    name: str
    dtype: str = ""
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Masked:
    """What token ids are padded with, and which input says where: its names are the graph's."""

    ids: str
    mask: str
    pad_id: int


@dataclass(frozen=True, slots=True)
class Request:
    """Convert `source`, a path or package.module:name, as a model of `framework`."""

    source: str
    framework: str
    output_names: tuple[str, ...] = ()
    # Inputs that the user describes, in the model's order.
    stated: tuple[Stated, ...] = ()
    # Input -> smallest and largest whole number that it takes.
    ranges: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    # Input -> the most tokens that a service gives it.
    lengths: Mapping[str, int] = field(default_factory=dict)
    trust_code: bool = False
    one_row_at_a_time: bool = False
    # Modules to import first: they register the layers that a file needs.
    imports: tuple[str, ...] = ()
    # Kinds of hard rows that the user leaves out.
    without: tuple[str, ...] = ()
    # Which of the source's ways to a graph: the next one is tried where the graph of the first is wrong.
    way: int = 0
    # Another part reads its answers: its outputs have names of its own, and NaN is an answer.
    is_read_on: bool = False
    # The part whose answers are its rows, as a person names it, and the kinds of these rows.
    preceding: str = ""
    kinds: tuple[str, ...] = ()
    # What the graph does to the numbers of its input before the source reads them.
    normalisation: Normalisation | None = None
    # How a service pads what it reads, where it says which tokens are padding.
    masked: Masked | None = None


@dataclass(frozen=True, slots=True)
class RowSet:
    """Rows of one kind, and the source's own answers to them."""

    kind: str
    rows: Rows
    answers: Rows


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """A kind of rows that the source itself does not take, or answers with no number."""

    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class Findings:
    """What looking at the source told, for the manifest and for a person."""

    # The classes in the order of the output, and the columns of the one tensor of a table, where the source knows them.
    labels: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    # Of each column the values that the source knows and refuses all others; none where it takes any.
    categories: tuple[tuple[str, ...], ...] = ()
    # What is known to make a graph of such a source wrong, and what to do.
    hazards: tuple[str, ...] = ()
    # The same of the samples alone, where the graph cannot read them as the source does.
    hazards_of_samples: tuple[str, ...] = ()
    # How many ways to a graph the source has.
    ways: int = 1
    # Whether the source is an estimator that can be fitted to other rows.
    fits_again: bool = False
    # What the source itself does first to the one tensor that it reads.
    normalisation: Normalisation | None = None


@dataclass(frozen=True, slots=True)
class Mend:
    """What was done besides the plain conversion, in words, and what the converter makes without it."""

    words: str
    # None: it makes no graph, or nobody let it try.
    without: bytes | None = None
    # What is wrong without it, where that is known: why there is no graph, or how far off another way's was.
    wrong: str = ""
    # Why it was not let try.
    untried: str = ""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the graph comes from; the versions are those of the environment that converted."""

    framework: str
    framework_version: str
    converter: str = ""
    converter_version: str = ""
    # None: count those of the graph.
    parameter_count: int | None = None


@dataclass(frozen=True, slots=True)
class Conversion:
    """A graph, and the rows that it has to be compared on."""

    graph: bytes
    row_sets: tuple[RowSet, ...]
    provenance: Provenance
    not_applicable: tuple[NotApplicable, ...] = ()
    findings: Findings = field(default_factory=Findings)
    mends: tuple[Mend, ...] = ()
    # Of the parts that run before the source in the same graph, in their order.
    preceding: tuple[Provenance, ...] = ()


def write_request(folder: Path, request: Request, samples: Rows, asked: Sequence[Rows] = ()) -> None:
    """`asked` are the rows of the request's kinds."""
    (folder / _REQUEST).write_text(json.dumps(asdict(request)))
    write_arrays(folder / _SAMPLES, samples)
    for position, rows in enumerate(asked):
        write_arrays(folder / f"asked-{position}.npz", rows)


def read_request(folder: Path) -> tuple[Request, Rows]:
    fields = _tuples(json.loads((folder / _REQUEST).read_text()))
    stated = tuple(Stated(**statement) for statement in fields.pop("stated"))
    scaled, masked = _normalisation(fields.pop("normalisation")), fields.pop("masked")
    told = None if masked is None else Masked(**masked)
    return Request(**fields, stated=stated, normalisation=scaled, masked=told), read_arrays(folder / _SAMPLES)


def read_asked(folder: Path, request: Request) -> list[Rows]:
    return [read_arrays(folder / f"asked-{position}.npz") for position in range(len(request.kinds))]


def write_conversion(folder: Path, conversion: Conversion) -> None:
    (folder / _GRAPH).write_bytes(conversion.graph)
    for position, rows in enumerate(conversion.row_sets):
        write_arrays(folder / f"rows-{position}.npz", rows.rows)
        write_arrays(folder / f"answers-{position}.npz", rows.answers)
    kinds = [rows.kind for rows in conversion.row_sets]
    result = {
        "kinds": kinds,
        "provenance": asdict(conversion.provenance),
        "not_applicable": [asdict(kind) for kind in conversion.not_applicable],
        "findings": asdict(conversion.findings),
        "mends": [[mend.words, mend.wrong, mend.untried] for mend in conversion.mends],
    }
    for position, mend in enumerate(conversion.mends):
        if mend.without is not None:
            (folder / _without(position)).write_bytes(mend.without)
    (folder / _RESULT).write_text(json.dumps(result))


def read_conversion(folder: Path) -> Conversion:
    """What a process left. Raises the refusal that it wrote instead, or SourceError where it left neither."""
    try:
        raise_refusal(folder)
        fields = _tuples(json.loads((folder / _RESULT).read_text()))
        scaled = _normalisation(fields["findings"].pop("normalisation", None))
        return Conversion(
            graph=(folder / _GRAPH).read_bytes(),
            row_sets=tuple(_row_set(folder, position, kind) for position, kind in enumerate(fields["kinds"])),
            provenance=Provenance(**fields["provenance"]),
            not_applicable=tuple(NotApplicable(**kind) for kind in fields["not_applicable"]),
            findings=Findings(**fields["findings"], normalisation=scaled),
            mends=tuple(_mend(folder / _without(n), *told) for n, told in enumerate(fields["mends"])),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(LEFT_NOTHING) from error


def raise_refusal(folder: Path) -> None:
    """What a process refused with, if it did."""
    refusal = folder / _REFUSAL
    if refusal.is_file():
        said = json.loads(refusal.read_text())
        raise _REFUSALS[said["kind"]](said["message"])


def write_refusal(folder: Path, error: ExportError) -> None:
    (folder / _REFUSAL).write_text(json.dumps({"kind": type(error).__name__, "message": str(error)}))


def _without(position: int) -> str:
    return f"without-{position}.onnx"


def _mend(graph: Path, words: str, wrong: str, untried: str) -> Mend:
    return Mend(words, graph.read_bytes() if graph.is_file() else None, wrong, untried)


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
    """What JSON made lists of, as the records have it."""
    return {name: _tuple(value) for name, value in fields.items()}


def _tuple(value: Any) -> Any:
    if isinstance(value, dict):
        return _tuples(value)
    return tuple(map(_tuple, value)) if isinstance(value, list) else value


def _normalisation(fields: dict[str, Any] | None) -> Normalisation | None:
    return None if fields is None else Normalisation(**fields)


def _row_set(folder: Path, position: int, kind: str) -> RowSet:
    rows, answers = read_arrays(folder / f"rows-{position}.npz"), read_arrays(folder / f"answers-{position}.npz")
    return RowSet(kind, rows, answers)
