"""The table of bad inputs through real models: each is refused as it should be, straight and through the router."""

import math
import urllib.request
from pathlib import Path

import grpc
import pytest

from argosy.v1 import manifest_pb2 as pb
from argosy.v1 import text_pb2
from argosy.v1.tabular_pb2 import TabularServicePredictResponse
from argosy.v1.vision_pb2 import VisionServiceClassifyResponse
from inference.grpc_service_pb2 import ModelInferResponse
from tests.e2e import traffic as t
from tests.e2e.bad_requests import BadRequest, bad_requests
from tests.e2e.calls import Refusal, call, refused
from tests.e2e.conftest import Target
from tests.e2e.disk import copy_models, hold_up
from tests.e2e.harness import Processes, Server

LIMIT_BYTES = 64 << 20

CASES = bad_requests()


@pytest.mark.parametrize("bad", CASES, ids=lambda bad: bad.name)
def test_a_bad_request_is_refused_with_its_cause(bad: BadRequest, target: Target) -> None:
    error = refused(target.channel(bad.kind), bad.method, bad.message())

    assert error.code == bad.code, error
    assert error.reason in bad.reasons, error
    assert bad.says in error.message, error


def test_what_follows_bad_requests_is_answered(target: Target) -> None:
    for bad in CASES:
        refused(target.channel(bad.kind), bad.method, bad.message())

    reply = VisionServiceClassifyResponse.FromString(
        call(target.channel("vision"), t.VISION_CLASSIFY, t.classify(t.seven()))
    )
    assert reply.results[0].categories[0].label == "7"


def test_malformed_messages_are_counted_by_reason(services: dict[str, Server]) -> None:
    def count() -> float:
        with urllib.request.urlopen(f"http://{services['vision'].metrics_address}/metrics", timeout=10) as page:
            lines = page.read().decode().splitlines()
        prefix = 'argosy_errors_total{reason="MALFORMED_MESSAGE"} '
        return next((float(line.removeprefix(prefix)) for line in lines if line.startswith(prefix)), 0.0)

    before = count()
    refused(services["vision"].channel, t.VISION_CLASSIFY, b"\xff\xff")
    assert count() == before + 1


def test_deep_nesting_leaves_memory_flat(target: Target, services: dict[str, Server]) -> None:
    deep = t.nested_row(150)
    refused(target.channel("tabular"), t.PREDICT, deep)
    before = services["tabular"].process.usage().rss_bytes
    for _ in range(200):
        refused(target.channel("tabular"), t.PREDICT, deep)
    assert services["tabular"].process.usage().rss_bytes - before < 8 << 20


@pytest.mark.parametrize("metadata", [(), (("argosy-model", "digits"),)], ids=["model in body", "model in header"])
def test_a_message_one_byte_over_the_limit_is_refused_with_limit_and_size(
    target: Target, metadata: tuple[tuple[str, str], ...]
) -> None:
    fits = t.classify(b"\0" * (LIMIT_BYTES - 100))
    message = fits + t.field(15, b"\0" * (LIMIT_BYTES + 1 - len(fits) - 2))
    assert len(message) == LIMIT_BYTES + 1

    error = refused(target.channel("vision"), t.VISION_CLASSIFY, message, metadata=metadata)

    assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE")
    assert str(LIMIT_BYTES) in error.message


def test_a_message_as_large_as_the_limit_is_read(target: Target) -> None:
    fits = t.classify(b"\0" * (LIMIT_BYTES - 100))
    message = fits + t.field(15, b"\0" * (LIMIT_BYTES - len(fits) - 2))
    assert len(message) == LIMIT_BYTES

    error = refused(target.channel("vision"), t.VISION_CLASSIFY, message)

    assert error.reason == "IMAGE_UNDECODABLE"


def test_a_gzip_bomb_is_refused_and_costs_less_memory_than_twice_the_limit(
    target: Target, services: dict[str, Server]
) -> None:
    bomb = t.classify(b"\0" * (4 * LIMIT_BYTES))
    pids = {services["vision"].process.pid, target.of_kind("vision").process.pid}
    before = {pid: fresh_peak(pid) for pid in pids}

    with pytest.raises(grpc.RpcError) as refusal:
        call(target.channel("vision"), t.VISION_CLASSIFY, bomb, compression=grpc.Compression.Gzip)

    # gRPC's own core counts while it decompresses and ends the call there, before code that could add ErrorInfo.
    assert refusal.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    for pid in pids:
        assert status_bytes(pid, "VmHWM") - before[pid] < 2 * LIMIT_BYTES


def test_too_much_metadata_is_refused_and_the_connection_goes_on(target: Target) -> None:
    channel = target.channel("vision")
    with pytest.raises(grpc.RpcError) as refusal:
        call(channel, t.VISION_CLASSIFY, t.classify(t.seven()), metadata=(("filler", "x" * 20_000),))

    # Headers are refused before there is a request: by gRPC's own core, or by the proxy.
    assert refusal.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    call(channel, t.VISION_CLASSIFY, t.classify(t.seven()))


def test_a_huge_picture_in_a_small_file_is_refused_undecoded(target: Target, services: dict[str, Server]) -> None:
    picture = t.classify(t.huge_png())
    pid = services["vision"].process.pid
    before = fresh_peak(pid)

    error = refused(target.channel("vision"), t.VISION_CLASSIFY, picture)

    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "IMAGE_TOO_LARGE")
    assert "400000000 pixels" in error.message
    assert "50000000" in error.message
    assert compute_us(error) < 50_000
    assert status_bytes(pid, "VmHWM") - before < 8 << 20


def test_nul_in_a_text_is_read_as_the_tokenizer_reads_it(target: Target) -> None:
    reply = text_pb2.TextServiceClassifyResponse.FromString(
        call(target.channel("text"), t.TEXT_CLASSIFY, t.read("I love it.\0", "I love it.\0"))
    )
    first, second = reply.results
    assert first == second
    assert first.reading.token_count > 0


def test_a_missing_number_that_the_model_imputes_is_answered_and_named(target: Target) -> None:
    imputed = next(
        column.name
        for column in t.manifest("income").table.columns
        if column.missing == pb.MISSING_POLICY_IMPUTE and column.kind == pb.COLUMN_KIND_NUMBER
    )
    message = t.predict(t.row("income", **{imputed: float("nan")}))
    reply = TabularServicePredictResponse.FromString(call(target.channel("tabular"), t.PREDICT, message))
    assert list(reply.results[0].imputed_columns) == [imputed]


def test_what_the_model_imputes_of_a_callers_own_tensors_is_told_in_the_answers_parameters(target: Target) -> None:
    text, number = (
        next(
            column
            for column in t.manifest("income").table.columns
            if column.missing == pb.MISSING_POLICY_IMPUTE and column.kind == kind
        ).name
        for kind in (pb.COLUMN_KIND_TEXT, pb.COLUMN_KIND_NUMBER)
    )
    for change, told in ((None, []), ((text, b""), [text]), ((number, math.nan), [number])):
        answered = call(target.channel("tabular"), t.MODEL_INFER, t.infer_row("income", change=change))
        assert [*ModelInferResponse.FromString(answered).parameters] == [f"imputed.{name}" for name in told]


@pytest.mark.parametrize("routed", [False, True], ids=["straight", "routed"])
def test_a_model_that_still_loads_is_unavailable_with_a_time_to_come_back(
    routed: bool, processes: Processes, tmp_path: Path
) -> None:
    models = copy_models(tmp_path / "models", "digits")
    go_on = hold_up(models / "digits" / "1")
    service = processes.service("vision", models, loaded=False)
    server = processes.router(tmp_path, {"vision": [service.address]}) if routed else service

    by_default = refused(server.channel, t.VISION_CLASSIFY, t.classify(t.seven()))
    by_version = refused(server.channel, t.VISION_CLASSIFY, t.classify(t.seven(), version="1"))
    go_on()

    for error in (by_default, by_version):
        assert error.code == grpc.StatusCode.UNAVAILABLE
        assert error.retry_after_s is not None
    service.process.wait_for("loaded")


def compute_us(error: Refusal) -> int:
    """How long the service had the batch, from the trailers."""
    return int(error.trailers["argosy-compute-us"])


def status_bytes(pid: int, name: str) -> int:
    """A line of /proc/PID/status in bytes: VmRSS is what is resident now, VmHWM the most that was."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def fresh_peak(pid: int) -> int:
    """What is resident now, from where VmHWM begins anew. Source: the kernel's proc.rst on clear_refs."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return status_bytes(pid, "VmRSS")
