"""Row 26: a bug in task code is INTERNAL with an id for its own request, and harms nobody else."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from argosy.v1.text_pb2 import TextServiceClassifyResponse
from services.runtime.service import DEVICE_FAULT
from tests.e2e import traffic as t
from tests.e2e.calls import call, refusal_of, refused
from tests.e2e.conftest import wait_until_routed
from tests.e2e.disk import copy_models
from tests.e2e.faulty_service import SECRET
from tests.e2e.harness import Processes, Server

GOOD = "I love this wonderful day!"


@pytest.fixture(params=["straight", "routed"])
def server(request: pytest.FixtureRequest, processes: Processes, tmp_path: Path) -> tuple[Server, Server]:
    """The faulty service, and what the test asks: itself or a router before it."""
    models = copy_models(tmp_path / "models", "sentiment")
    # A batch waits for company until it is full, so that the test says who runs with whom.
    (models / "sentiment" / "serving.yaml").write_text("max_batch_rows: 3\nmax_wait_us: 500000\ninstances: 1\n")
    service = processes.service("faulty", models, module="tests.e2e.faulty_service")
    if request.param == "straight":
        return service, service
    router = processes.router(tmp_path, {"text": [service.address]})
    wait_until_routed(router, [("sentiment", "1")])
    return service, router


@pytest.mark.parametrize("magic", ["magic", "spell"], ids=["in decode", "in encode"])
def test_a_bug_fails_its_own_request_and_the_others_of_the_batch_are_right(
    server: tuple[Server, Server], magic: str
) -> None:
    service, asked = server
    alone = [call(asked.channel, t.TEXT_CLASSIFY, t.read(GOOD)), call(asked.channel, t.TEXT_CLASSIFY, t.read("awful"))]

    with ThreadPoolExecutor(3) as callers:
        bad = callers.submit(refused, asked.channel, t.TEXT_CLASSIFY, t.read(magic))
        mates = [callers.submit(classified, asked.channel, text) for text in (GOOD, "awful")]
        error = bad.result()
        together = [mate.result() for mate in mates]

    assert error.code == grpc.StatusCode.INTERNAL
    assert error.trailers["argosy-batch-rows"] == "3"
    assert SECRET not in error.message
    assert_logged(service, error.message)
    for reply, expected in zip(together, alone, strict=True):
        assert_same(reply, expected)
    assert call(asked.channel, t.TEXT_CLASSIFY, t.read(GOOD)) == alone[0]


def test_a_lost_device_refuses_what_runs_and_ends_the_process_with_a_code_of_its_own(
    server: tuple[Server, Server],
) -> None:
    service, _ = server
    error = refused(service.channel, t.TEXT_CLASSIFY, t.read("lightning"))
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "DEVICE_FAULT")
    assert "CUDA" not in error.message
    assert service.process.wait() == DEVICE_FAULT


def classified(channel: grpc.Channel, text: str) -> bytes:
    try:
        return call(channel, t.TEXT_CLASSIFY, t.read(text))
    except grpc.RpcError as error:
        raise AssertionError(refusal_of(error)) from None


def assert_logged(service: Server, message: str) -> None:
    """The log has under the id that the caller got what the caller did not get."""
    found = re.search(r"internal error ([0-9a-f]{12})", message)
    assert found is not None, message
    line = next(line for line in service.process.log.splitlines() if found[1] in line)
    assert SECRET in line
    assert "Traceback" in line


def assert_same(reply: bytes, expected: bytes) -> None:
    """Padded to another length, a network answers the same but for rounding."""
    found, wanted = (TextServiceClassifyResponse.FromString(each).results[0].categories for each in (reply, expected))
    assert [category.label for category in found] == [category.label for category in wanted]
    assert [category.score for category in found] == pytest.approx([category.score for category in wanted], abs=1e-5)
