"""What Prometheus reads of a service."""

import urllib.request
from collections.abc import Callable, Iterator

import grpc
import pytest

from services.runtime.metrics import ServiceMetrics, serve_metrics
from tests.unit.services.runtime.recurrent import MANIFEST, step, summing_graph
from tests.unit.services.runtime.served import Served, code
from tests.unit.services.runtime.tiny import write_version


@pytest.fixture
def served(serve: Callable[..., Served]) -> Served:
    found = serve()
    write_version(found.models)
    write_version(found.models, "bad", parity={"passed": False})
    found.repository.load_all()
    return found


@pytest.fixture
def read(served: Served) -> Iterator[Callable[[], dict[str, float]]]:
    metrics = ServiceMetrics(served.front.stats, served.repository, "portable")
    address = serve_metrics("127.0.0.1:0", metrics)

    def series() -> dict[str, float]:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as page:
            lines = page.read().decode().splitlines()
        pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    return series


def test_requests_rows_and_batches_are_counted_by_model_and_version(
    served: Served, read: Callable[[], dict[str, float]]
) -> None:
    served.infer((1, 2, 3))
    served.infer((1, 2, 3), (4, 5, 6))
    found = read()
    labels = 'model="tiny",version="1"'
    assert found['argosy_requests_total{model="tiny",outcome="succeeded",version="1"}'] == 2
    assert found[f"argosy_rows_total{{{labels}}}"] == 3
    assert found[f"argosy_batches_total{{{labels}}}"] == 2
    assert found[f"argosy_running_requests{{{labels}}}"] == 0


def test_times_are_histograms_in_seconds(served: Served, read: Callable[[], dict[str, float]]) -> None:
    served.infer((1, 2, 3))
    found = read()
    labels = 'model="tiny",version="1"'
    for name in ("argosy_queue_seconds", "argosy_batch_seconds"):
        assert found[f'{name}_bucket{{le="+Inf",{labels}}}'] == found[f"{name}_count{{{labels}}}"] == 1
        assert 0 <= found[f"{name}_sum{{{labels}}}"] < 60


@pytest.mark.parametrize("stage", ["batch_wait", "preprocess", "compute", "postprocess"])
def test_each_stage_of_a_batch_is_a_histogram(stage: str, served: Served, read: Callable[[], dict[str, float]]) -> None:
    count = f'argosy_{stage}_seconds_count{{model="tiny",version="1"}}'
    assert read()[count] == 0
    served.infer((1, 2, 3))
    # A worker counts what it has done after the answer has left.
    while not (found := read())[count]:
        served.infer((1, 2, 3))
    assert 0 <= found[f'argosy_{stage}_seconds_sum{{model="tiny",version="1"}}'] < 60


def test_batches_are_counted_by_their_rows(served: Served, read: Callable[[], dict[str, float]]) -> None:
    served.infer((1, 2, 3))
    served.infer((1, 2, 3), (4, 5, 6), (7, 8, 9))
    found = read()
    labels = 'model="tiny",version="1"'
    up_to = [found[f'argosy_batch_rows_bucket{{le="{bound}",{labels}}}'] for bound in ("1.0", "2.0", "4.0", "+Inf")]
    assert up_to == [1, 1, 2, 2]
    assert found[f"argosy_batch_rows_sum{{{labels}}}"] == 4


def test_hits_and_misses_of_a_cache_are_counted_and_a_hit_is_an_answer(
    served: Served, read: Callable[[], dict[str, float]]
) -> None:
    (served.models / "tiny" / "serving.yaml").write_text("cache_bytes: 100000")
    served.repository.load("tiny")
    for _ in range(3):
        served.infer((1, 2, 3))
    found = read()
    labels = 'model="tiny",outcome="{}",version="1"'
    assert found[f"argosy_cache_lookups_total{{{labels.format('hit')}}}"] == 2
    assert found[f"argosy_cache_lookups_total{{{labels.format('miss')}}}"] == 1
    assert found[f"argosy_requests_total{{{labels.format('succeeded')}}}"] == 3
    assert found['argosy_cache_entries{model="tiny",version="1"}'] == 1
    assert 0 < found['argosy_cache_bytes{model="tiny",version="1"}'] <= 100_000


def test_sequences_are_counted_where_a_model_keeps_them(served: Served, read: Callable[[], dict[str, float]]) -> None:
    write_version(served.models, "summing", graph=summing_graph(), **MANIFEST)
    served.repository.load("summing")
    for sequence in (1, 2):
        step(served, 1, sequence, start=True, model="summing")
    found = {name: value for name, value in read().items() if name.startswith("argosy_sequences")}
    assert found == {'argosy_sequences{model="summing",version="1"}': 2}


def test_errors_are_counted_by_reason(served: Served, read: Callable[[], dict[str, float]]) -> None:
    for _ in range(2):
        assert code(lambda: served.infer((1, 2, 3), model="nosuch")) is grpc.StatusCode.NOT_FOUND
    assert read()['argosy_errors_total{reason="UNKNOWN_MODEL"}'] == 2


def test_readiness_is_told_by_model_and_version(read: Callable[[], dict[str, float]]) -> None:
    found = read()
    assert found['argosy_model_ready{model="tiny",version="1"}'] == 1
    assert found['argosy_model_ready{model="bad",version="1"}'] == 0
    assert found['argosy_front_info{front="portable"}'] == 1


def test_an_address_that_is_taken_is_an_error(served: Served) -> None:
    metrics = ServiceMetrics(served.front.stats, served.repository, "portable")
    taken = serve_metrics("127.0.0.1:0", metrics)
    with pytest.raises(OSError, match="in use"):
        serve_metrics(taken, metrics)
