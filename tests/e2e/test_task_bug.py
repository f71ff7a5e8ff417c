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
from tests.e2e.conftest import ROUTED, WAYS, front_of, wait_until_routed
from tests.e2e.disk import copy_models
from tests.e2e.faulty_service import SECRET
from tests.e2e.harness import Processes, Server

GOOD = "I love this wonderful day!"


@pytest.fixture(params=WAYS)
def server(request: pytest.FixtureRequest, processes: Processes, tmp_path: Path) -> tuple[Server, Server]:
    """The faulty service, and what the test asks: itself or a router before it."""
    models = copy_models(tmp_path / "models", "sentiment")
    # A batch waits for company until it is full, so that the test says who runs with whom.
    (models / "sentiment" / "serving.yaml").write_text("max_batch_rows: 3\nmax_wait_us: 1000000\ninstances: 1\n")
    service = processes.service("faulty", models, "--front", front_of(request.param), module="tests.e2e.faulty_service")
    if request.param != ROUTED:
        return service, service
    router = processes.router(tmp_path, {"text": [service.address]})
    wait_until_routed(router, [("sentiment", "1")])
    return service, router


@pytest.mark.parametrize("magic", ["magic", "spell"], ids=["in decode", "in encode"])
def test_a_bug_fails_its_own_request_and_the_others_of_the_batch_are_right(
    server: tuple[Server, Server], magic: str
) -> None:
    service, asked = server
    fills_a_batch = t.read(GOOD, "awful", "awful")
    right = call(asked.channel, t.TEXT_CLASSIFY, fills_a_batch)

    with ThreadPoolExecutor(3) as callers:
        bad = callers.submit(refused, asked.channel, t.TEXT_CLASSIFY, t.read(magic))
        mates = [callers.submit(classified, asked.channel, text) for text in (GOOD, "awful")]
        error = bad.result()
        together = [mate.result() for mate in mates]

    assert error.code == grpc.StatusCode.INTERNAL
    assert error.trailers["argosy-batch-rows"] == "3"
    assert SECRET not in error.message
    assert_logged(service, error.message)
    for place, reply in enumerate(together):
        assert_same(reply, right, place)
    assert call(asked.channel, t.TEXT_CLASSIFY, fills_a_batch) == right


def test_a_lost_device_refuses_what_runs_and_ends_the_process_with_a_code_of_its_own(
    server: tuple[Server, Server],
) -> None:
    service, _ = server
    error = refused(service.channel, t.TEXT_CLASSIFY, t.read(*["lightning"] * 3))
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


def assert_same(reply: bytes, expected: bytes, place: int) -> None:
    """The one result of a reply is that in `place` of another; padded to another length, a network answers the same but
    for rounding.
    """
    (found,) = TextServiceClassifyResponse.FromString(reply).results
    wanted = TextServiceClassifyResponse.FromString(expected).results[place]
    assert [category.label for category in found.categories] == [category.label for category in wanted.categories]
    scores = [category.score for category in wanted.categories]
    assert [category.score for category in found.categories] == pytest.approx(scores, abs=1e-5)
