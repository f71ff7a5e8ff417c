"""docs/reference.md has every setting, key, metric and reason that the code has, and no other."""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from prometheus_client.core import Metric
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from argosy_cli.programs import DEFAULT_PORTS
from services.router.config import FleetConfig
from services.router.metrics import RouterMetrics
from services.runtime.front import Front
from services.runtime.fronts import FRONTS
from services.runtime.logs import Log
from services.runtime.metrics import ServiceMetrics
from services.runtime.serving_config import ServingConfig
from services.runtime.settings import ServiceSettings
from tests.unit.services.runtime.recurrent import MANIFEST, step, summing_graph
from tests.unit.services.runtime.served import Served, code, repository
from tests.unit.services.runtime.tiny import write_version

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
WORD = re.compile(r'"([A-Z][A-Z0-9_]{3,}[A-Z0-9])"')
# Words in capitals in the sources that are no reasons.
OTHER_WORDS = frozenset(
    (
        *("BYTES", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "TYPE_STRING"),
        *("READY", "LOADING", "UNLOADING", "UNAVAILABLE"),  # an index of models
        *("CUBLAS", "CUBLASLT", "CUDNN", "CUFFT", "HEURISTIC", "SC_PAGE_SIZE", "SC_PHYS_PAGES"),
        *("REQUEST_BUFFER_CONVERSION_FAIL", "UMSDR"),  # Envoy's
        *("INTERFACE", "CARGO_PKG_VERSION", "ARGOSY_ROUTER"),
    )
)
# How a reason is given, as far as it stands beside its cause.
GIVEN = re.compile(
    r'(?:(unavailable|exhausted|refused_load|invalid)\(|Cause(?:\.|::)(\w+),)\s*"([A-Z][A-Z0-9_]+)"', re.MULTILINE
)
STATUS = {
    "unavailable": "UNAVAILABLE",
    "exhausted": "RESOURCE_EXHAUSTED",
    "refused_load": "FAILED_PRECONDITION",
    "invalid": "INVALID_ARGUMENT",
    "invalidinput": "INVALID_ARGUMENT",
    "notfound": "NOT_FOUND",
    "deadline": "DEADLINE_EXCEEDED",
    "unimplemented": "UNIMPLEMENTED",
    "internal": "INTERNAL",
}


def rows(section: str, first_head: str) -> list[list[str]]:
    """The cells of the section's table whose first column is called so, without backquotes."""
    text = PAGE.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    (table,) = re.findall(rf"^\| {first_head} \|.*\n\|[-|]+\n((?:\|.*\n?)+)", text, re.MULTILINE)
    lines: list[str] = table.replace("`", "").splitlines()
    return [line.removeprefix("| ").removesuffix(" |").split(" | ") for line in lines]


def told(section: str, first_head: str, columns: int) -> dict[str, tuple[str, ...]]:
    """A table's next columns by its first one, which says nothing twice."""
    table = [(name, tuple(others[:columns])) for name, *others in rows(section, first_head)]
    assert len(dict(table)) == len(table)
    return dict(table)


def shown(field: FieldInfo) -> str:
    """A default as the page has it."""
    default: object = field.default
    if field.is_required():
        return "needed"
    if default in (None, (), {}):
        return "none"
    if isinstance(default, tuple):
        (default,) = default
    return str(default).lower() if isinstance(default, bool) else str(default)


@pytest.mark.parametrize(
    ("section", "head", "model"),
    [
        ("Settings of a service", "setting", ServiceSettings),
        ("serving.yaml", "key", ServingConfig),
        ("fleet.yaml", "key", FleetConfig),
    ],
)
def test_every_key_stands_with_its_default(section: str, head: str, model: type[BaseModel]) -> None:
    fields = {name: (shown(field),) for name, field in model.model_fields.items()}
    if model is ServiceSettings:  # a kind of service has its own
        fields |= dict.fromkeys(("address", "metrics_address"), ("see [ports](#ports)",))
    assert told(section, head, 1) == fields


def test_the_ports_are_those_of_the_command_line() -> None:
    found = {name: (int(port), int(metrics)) for name, (port, metrics) in told("Ports", "process", 2).items()}
    assert found == DEFAULT_PORTS


def test_every_metric_of_a_service_stands_with_its_labels(front: Front, tmp_path: Path) -> None:
    assert told("Metrics", "metric of a service", 2) == metrics_of(asked(front, tmp_path), Log(io.StringIO()))


def test_every_metric_of_the_router_stands_with_its_labels() -> None:
    page = told("Metrics", "metric of the router", 2)
    own = [metric for metric in vars(RouterMetrics()).values() if isinstance(metric, MetricWrapperBase)]
    lines = metrics_of(Log(io.StringIO()))
    found = {name: kind for name, (kind, _) in lines.items()}
    for metric in own:
        (family,) = metric.collect()
        found[named(family)] = family.type
        _, labels = page[named(family)]
        if family.samples:
            assert labels == "none"
        else:  # one with labels has none before it is counted: it takes them by their names, and no others
            metric.labels(**dict.fromkeys(labels.split(", "), "x"))
    assert {name: kind for name, (kind, _) in page.items()} == found


def test_every_reason_stands_on_the_page() -> None:
    words = {word for _, text in sources() for word in WORD.findall(text)}
    assert {reason for _, reason, _ in rows("Reasons", "status")} == words - OTHER_WORDS
    assert words >= OTHER_WORDS


def test_a_reason_stands_by_the_status_of_its_cause() -> None:
    page = {(reason, status) for status, reason, _ in rows("Reasons", "status")}
    for path, text in sources():
        for function, cause, reason in GIVEN.findall(text):
            status = STATUS[function or cause.replace("_", "").lower()]
            assert (reason, status) in page, path


@pytest.fixture
def front() -> Iterator[Front]:
    made = FRONTS["portable"]("127.0.0.1:0", ())
    yield made
    made.drain(grace_s=0, notice_s=0)


def asked(front: Front, folder: Path) -> ServiceMetrics:
    """Of a service with a cache, a sequence and an error: every metric has a sample."""
    write_version(folder)
    (folder / "tiny" / "serving.yaml").write_text("cache_bytes: 1000")
    write_version(folder, "summing", graph=summing_graph(), **MANIFEST)
    models = repository(folder, front)
    models.load_all()
    with grpc.insecure_channel(front.address) as channel:
        served = Served(folder, front, models, channel)
        step(served, 1, 1, start=True, model="summing")
        assert code(lambda: served.infer((1, 2, 3), model="nosuch")) is grpc.StatusCode.NOT_FOUND
    return ServiceMetrics(front.stats, models, "portable")


def metrics_of(*collectors: Collector) -> dict[str, tuple[str, str]]:
    """(kind, labels) by name."""
    found: dict[str, tuple[str, str]] = {}
    for family in (family for collector in collectors for family in collector.collect()):
        labels = dict.fromkeys(label for sample in family.samples for label in sample.labels if label != "le")
        found[named(family)] = family.type, ", ".join(labels) or "none"
    return found


def named(family: Metric) -> str:
    """As Prometheus has it."""
    return f"{family.name}_total" if family.type == "counter" else family.name


def sources() -> Iterator[tuple[Path, str]]:
    """The services and the native front, without the tests in its files."""
    for path in (ROOT / "services").rglob("*.py"):
        yield path, path.read_text(encoding="utf-8")
    for path in (ROOT / "front" / "src").rglob("*.rs"):
        if not path.stem.endswith("_tests"):
            yield path, path.read_text(encoding="utf-8").split("#[cfg(test)]\nmod tests {", 1)[0]
