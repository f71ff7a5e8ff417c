"""Rows 15 and 16: what nobody waits for any more is not run, or its run ends; who shares a batch is served."""

import io
import time
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
import pytest
from PIL import Image

from argosy.v1.vision_pb2 import VisionServiceClassifyRequest, VisionServiceClassifyResponse
from inference import grpc_service_pb2 as oip
from services.runtime.fronts import PORTABLE
from tests.e2e import traffic as t
from tests.e2e.calls import call, raw_reason
from tests.e2e.conftest import ROUTED, WAYS, Target, front_of, wait_until_routed
from tests.e2e.disk import copy_models
from tests.e2e.harness import Processes, Server
from tests.e2e.metrics import running_requests, wait_until
from tests.raw_http2 import RawConnection, framed

STATISTICS = "/inference.GRPCInferenceService/ModelStatistics"
TIMEOUT_S = 60.0
# MobileNetV2 takes a core more than half a second for so many, in one run.
HEAVY_ROWS = 96
SHARED_ROWS = HEAVY_ROWS // 2


def test_a_deadline_that_has_passed_on_arrival_is_told_and_the_model_never_runs(target: Target) -> None:
    before = rows_run(target.services["vision"])

    with RawConnection(target.of_kind("vision").address) as raw:
        late = raw.begin(t.VISION_CLASSIFY, [("grpc-timeout", "0u")])
        raw.send_all(late, framed(t.classify(t.seven())))
        raw.await_end(late)
    answer = raw.answers[late]

    # At the portable front it is gRPC's own core that says so, before any of our code: there is no ErrorInfo then.
    is_grpcio = target.name == PORTABLE
    assert answer["grpc-status"] == str(grpc.StatusCode.DEADLINE_EXCEEDED.value[0])
    assert raw_reason(answer) == ("" if is_grpcio else "DEADLINE_EXCEEDED")
    # A run is counted after its answer has left: by the time of these it would have been.
    for _ in range(3):
        call(target.channel("vision"), t.VISION_CLASSIFY, t.classify(t.seven(), t.seven()))
    wait_until(lambda: rows_run(target.services["vision"]) >= before + 6)
    assert rows_run(target.services["vision"]) == before + 6


@dataclass(frozen=True, slots=True)
class Heavy:
    """A service with MobileNetV2 alone, one worker, and what the test asks: itself or a router before it."""

    service: Server
    channel: grpc.Channel

    def running(self) -> float:
        return running_requests(self.service.metrics_address, "mobilenet")


@pytest.fixture(params=WAYS)
def heavy(request: pytest.FixtureRequest, processes: Processes, tmp_path: Path) -> Heavy:
    models = copy_models(tmp_path / "models", "mobilenet")
    serving = f"instances: 1\nmax_batch_rows: {HEAVY_ROWS}\nmax_wait_us: 200000\n"
    (models / "mobilenet" / "serving.yaml").write_text(serving)
    service = processes.service("vision", models, "--front", front_of(request.param))
    server = service
    if request.param == ROUTED:
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
    goes, stays = (all_classes(*pictures(seed)) for seed in (1, 2))
    gone, alone = (scores(call(heavy.channel, t.VISION_CLASSIFY, each, timeout_s=TIMEOUT_S)) for each in (goes, stays))
    assert not np.allclose(gone, alone, atol=0.01)
    classify = heavy.channel.unary_unary(t.VISION_CLASSIFY)

    leaving = classify.future(goes, TIMEOUT_S)
    staying = classify.future(stays, TIMEOUT_S)
    wait_until(lambda: heavy.running() == 2)
    leaving.cancel()

    np.testing.assert_allclose(scores(staying.result()), alone, atol=1e-4)
    assert trailer(staying, "argosy-batch-rows") == str(HEAVY_ROWS)


def pictures(seed: int) -> list[bytes]:
    """Each of its own coarse noise."""
    made: list[bytes] = []
    for pixels in np.random.default_rng(seed).integers(0, 256, (SHARED_ROWS, 8, 8, 3), np.uint8):
        buffer = io.BytesIO()
        Image.fromarray(pixels).resize((64, 64), Image.Resampling.NEAREST).save(buffer, "PNG")
        made.append(buffer.getvalue())
    return made


def heavy_tensors() -> bytes:
    shape = (HEAVY_ROWS, 3, 224, 224)
    return t.infer("mobilenet", ("pixels", "FP32", shape, np.zeros(shape, "<f4").tobytes()))


def rows_run(service: Server) -> int:
    """Rows of digits that the service has answered."""
    request = oip.ModelStatisticsRequest(name="digits")
    reply = oip.ModelStatisticsResponse.FromString(call(service.channel, STATISTICS, request))
    return int(reply.model_stats[0].inference_count)


def all_classes(*images: bytes) -> bytes:
    return VisionServiceClassifyRequest(model="mobilenet", images=images, top_k=1000).SerializeToString()


def scores(reply: bytes) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    """[pictures, classes]."""
    results = VisionServiceClassifyResponse.FromString(reply).results
    ordered = [sorted(result.categories, key=lambda category: category.index) for result in results]
    return np.array([[category.score for category in categories] for categories in ordered])


def trailer(answered: grpc.Future, name: str) -> str:
    return next(str(value) for key, value in answered.trailing_metadata() if key == name)
