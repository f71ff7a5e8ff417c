"""Rows 15 and 16: what nobody waits for any more is not run, or its run ends; who shares a batch is served."""

import base64
import time
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from argosy.v1.vision_pb2 import VisionServiceClassifyResponse
from inference import grpc_service_pb2 as oip
from tests.e2e import traffic as t
from tests.e2e.calls import call
from tests.e2e.conftest import Target, wait_until_routed
from tests.e2e.disk import copy_models
from tests.e2e.harness import Processes, Server
from tests.e2e.metrics import running_requests, wait_until
from tests.raw_http2 import RawConnection, framed

STATISTICS = "/inference.GRPCInferenceService/ModelStatistics"
TIMEOUT_S = 60.0
# 96 rows of MobileNetV2 take a core more than half a second.
HEAVY_ROWS = 96


def test_a_deadline_that_has_passed_on_arrival_is_told_and_the_model_never_runs(
    target: Target, services: dict[str, Server]
) -> None:
    before = executions(services["vision"])

    with RawConnection(target.of_kind("vision").address) as raw:
        late = raw.begin(t.VISION_CLASSIFY, [("grpc-timeout", "0u")])
        raw.send_all(late, framed(t.classify(t.seven())))
        raw.await_end(late)
    answer = raw.answers[late]

    # Straight it is gRPC's own core that says so, before any of our code: there is no ErrorInfo then.
    assert answer["grpc-status"] == str(grpc.StatusCode.DEADLINE_EXCEEDED.value[0])
    assert target.name == "straight" or reason(answer["grpc-status-details-bin"]) == "DEADLINE_EXCEEDED"
    assert executions(services["vision"]) == before


@dataclass(frozen=True, slots=True)
class Heavy:
    """A service with MobileNetV2 alone, one worker, and what the test asks: itself or a router before it."""

    service: Server
    channel: grpc.Channel

    def running(self) -> float:
        return running_requests(self.service.metrics_address, "mobilenet")


@pytest.fixture(params=["straight", "routed"])
def heavy(request: pytest.FixtureRequest, processes: Processes, tmp_path: Path) -> Heavy:
    models = copy_models(tmp_path / "models", "mobilenet")
    (models / "mobilenet" / "serving.yaml").write_text("instances: 1\nmax_batch_rows: 32\nmax_wait_us: 200000\n")
    service = processes.service("vision", models)
    server = service
    if request.param == "routed":
        server = processes.router(tmp_path, {"vision": [service.address]})
        wait_until_routed(server, [("mobilenet", "1")])
    return Heavy(service, server.channel)


# A packed message without a header of its model goes by way of the router's brain.
@pytest.mark.parametrize(
    "compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip], ids=["plain", "packed"]
)
def test_a_run_whose_callers_have_all_gone_is_ended(heavy: Heavy, compression: grpc.Compression) -> None:
    message = heavy_tensors()
    begun = time.monotonic()
    call(heavy.channel, t.MODEL_INFER, message, timeout_s=TIMEOUT_S)
    whole_s = time.monotonic() - begun

    request = heavy.channel.unary_unary(t.MODEL_INFER).future(message, TIMEOUT_S, compression=compression)
    wait_until(lambda: heavy.running() == 1)
    request.cancel()
    ended_s = wait_until(lambda: heavy.running() == 0)

    assert ended_s < whole_s / 3


def test_who_shares_a_batch_with_a_caller_that_goes_is_answered_right(heavy: Heavy) -> None:
    images = [t.seven()] * 16
    stays, goes = t.classify(*images, model="mobilenet"), t.classify(*images, model="mobilenet")
    alone = categories(call(heavy.channel, t.VISION_CLASSIFY, stays, timeout_s=TIMEOUT_S))
    classify = heavy.channel.unary_unary(t.VISION_CLASSIFY)

    leaving = classify.future(goes, TIMEOUT_S)
    staying = classify.future(stays, TIMEOUT_S)
    wait_until(lambda: heavy.running() == 2)
    leaving.cancel()

    assert categories(staying.result()) == alone
    assert trailer(staying, "argosy-batch-rows") == "32"


def heavy_tensors() -> bytes:
    shape = (HEAVY_ROWS, 3, 224, 224)
    return t.infer("mobilenet", ("pixels", "FP32", shape, np.zeros(shape, "<f4").tobytes()))


def executions(service: Server) -> int:
    """Batches of digits that the service has run."""
    request = oip.ModelStatisticsRequest(name="digits")
    reply = oip.ModelStatisticsResponse.FromString(call(service.channel, STATISTICS, request))
    return int(reply.model_stats[0].execution_count)


def reason(details: str) -> str:
    """ErrorInfo's reason, from the value of grpc-status-details-bin: base64, unpadded."""
    info = ErrorInfo()
    status = Status.FromString(base64.b64decode(details + "=" * (-len(details) % 4)))
    assert status.details[0].Unpack(info)
    return str(info.reason)


def categories(reply: bytes) -> list[str]:
    results = VisionServiceClassifyResponse.FromString(reply).results
    return [category.label for result in results for category in result.categories[:1]]


def trailer(answered: grpc.Future, name: str) -> str:
    return next(str(value) for key, value in answered.trailing_metadata() if key == name)
