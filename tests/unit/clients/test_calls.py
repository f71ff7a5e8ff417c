"""How the client calls: retries, deadlines, errors, metadata; blocking and for asyncio, against a real server."""

import asyncio
import threading
from collections.abc import Callable

import pytest
from google.protobuf.message import Message
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from argosy.v1.model_pb2 import GetModelRequest
from argosy_client import (
    ArgosyError,
    AsyncFleet,
    CancelledError,
    Classification,
    DeadlineExceededError,
    Fleet,
    InvalidInputError,
    Options,
    QueueFullError,
    Reply,
    UnavailableError,
    UndecodableImageError,
    UnknownModelError,
)
from argosy_client.methods import named_version
from inference.grpc_service_pb2 import ModelInferRequest, RepositoryModelLoadRequest
from services.runtime.errors import ServingError, exhausted, invalid_input, unavailable, unknown_model
from tests.unit.clients.conftest import Script

Classify = Callable[..., list[Classification]]


def classify_blocking(address: str, options: Options, texts: list[str], version: str = "") -> list[Classification]:
    with Fleet(address, options) as fleet:
        return list(fleet.text("echo", version).classify_all(texts))


def classify_async(address: str, options: Options, texts: list[str], version: str = "") -> list[Classification]:
    async def classify() -> list[Classification]:
        async with AsyncFleet(address, options) as fleet:
            return [answer async for answer in fleet.text("echo", version).classify_all(texts)]

    return asyncio.run(classify())


@pytest.fixture(params=[classify_blocking, classify_async], ids=["blocking", "asyncio"])
def classify(request: pytest.FixtureRequest) -> Classify:
    chosen: Classify = request.param
    return chosen


def test_many_texts_go_in_calls_that_fit_and_come_back_in_order(
    classify: Classify, address: str, script: Script
) -> None:
    texts = [str(number) for number in range(11)]

    answers = classify(address, Options(max_rows_per_call=2), texts)

    assert [answer.label for answer in answers] == texts
    assert sorted(len(request.texts) for request in script.requests) == [1, 2, 2, 2, 2, 2]


def test_a_refused_call_is_tried_again_when_the_server_says_so(
    classify: Classify, address: str, script: Script
) -> None:
    script.errors = [exhausted("QUEUE_FULL", "full", 0.01), unavailable("MODEL_LOADING", "loading", 0.01)]
    assert [answer.label for answer in classify(address, Options(), ["a"])] == ["a"]
    assert len(script.requests) == 3


def test_a_refusal_without_retry_info_is_final(classify: Classify, address: str, script: Script) -> None:
    script.errors = [exhausted("QUEUE_FULL", "full")]
    with pytest.raises(QueueFullError) as caught:
        classify(address, Options(), ["a"])
    assert (caught.value.reason, caught.value.retry_after_s) == ("QUEUE_FULL", None)


def test_a_retry_that_would_come_after_the_deadline_is_not_waited_for(
    classify: Classify, address: str, script: Script
) -> None:
    script.errors = [unavailable("MODEL_LOADING", "loading", 60.0)]
    with pytest.raises(UnavailableError, match="UNAVAILABLE MODEL_LOADING: loading"):
        classify(address, Options(timeout_s=5.0), ["a"])
    assert len(script.requests) == 1


def test_the_deadline_ends_a_call(classify: Classify, address: str, script: Script) -> None:
    released = threading.Event()
    script.before_answer = lambda: released.wait(20)
    try:
        with pytest.raises(DeadlineExceededError):
            classify(address, Options(timeout_s=0.05), ["a"])
    finally:
        released.set()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (unknown_model("nix"), UnknownModelError),
        (invalid_input("no", "images[0]", "IMAGE_UNDECODABLE"), UndecodableImageError),
        (invalid_input("no", "texts[0]", "A_REASON_OF_TOMORROW"), InvalidInputError),
    ],
)
def test_an_error_is_told_apart_by_its_reason(
    error: ServingError, kind: type[ArgosyError], classify: Classify, address: str, script: Script
) -> None:
    script.errors = [error]
    with pytest.raises(kind) as caught:
        classify(address, Options(), ["a"])
    assert type(caught.value) is kind
    assert caught.value.field == error.field


def test_a_server_that_is_away_is_unavailable(classify: Classify) -> None:
    with pytest.raises(UnavailableError) as caught:
        classify("127.0.0.1:9", Options(timeout_s=5.0), ["a"])
    assert caught.value.reason == ""


def test_every_call_names_its_model_and_carries_the_callers_metadata(
    classify: Classify, address: str, script: Script
) -> None:
    classify(address, Options(metadata={"X-Api-Key": "secret"}), ["a"])
    assert script.metadata[0]["argosy-model"] == "echo"
    assert script.metadata[0]["x-api-key"] == "secret"


def test_every_call_says_its_version_in_the_header_or_that_it_names_none(
    classify: Classify, address: str, script: Script
) -> None:
    for version in ("2", ""):
        classify(address, Options(), ["a"], version)
    classify(address, Options(metadata={"Argosy-Version": "3"}), ["a"], "")
    assert [metadata.get("argosy-version") for metadata in script.metadata] == ["2", "", "3"]


@pytest.mark.parametrize(
    ("metadata", "field"),
    [
        ({"x-note": "one\ntwo"}, "metadata.x-note"),
        ({"x-note": "café"}, "metadata.x-note"),
        ({"x-note-bin": "text"}, "metadata.x-note-bin"),
        ({"a note": "a"}, "metadata"),
    ],
)
def test_what_no_header_holds_is_refused_before_the_call(
    metadata: dict[str, str], field: str, classify: Classify, address: str, script: Script
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        classify(address, Options(metadata=metadata), ["a"])
    assert (caught.value.reason, caught.value.field) == ("CLIENT_INPUT", field)
    assert script.requests == []


@pytest.mark.parametrize(("model", "version", "field"), [("modèle", "", "model"), ("echo", "1²", "version")])
def test_a_name_that_no_header_holds_is_refused(address: str, model: str, version: str, field: str) -> None:
    with Fleet(address) as fleet, pytest.raises(InvalidInputError, match=r"(modèle|1²)'") as caught:
        fleet.text(model, version).classify("a")
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("request_", "version"),
    [
        (GetModelRequest(model="m", version="2"), "2"),
        (ModelInferRequest(model_name="m", model_version="2"), "2"),
        (RepositoryModelLoadRequest(model_name="m"), ""),
    ],
)
def test_a_version_is_found_in_a_request_by_either_of_its_names(request_: Message, version: str) -> None:
    assert named_version(request_) == version


def test_the_trace_goes_with_the_call(classify: Classify, address: str, script: Script) -> None:
    span = NonRecordingSpan(SpanContext(0xA1, 0xB2, is_remote=False, trace_flags=TraceFlags(1)))
    with trace.use_span(span):
        classify(address, Options(), ["a"])
    assert script.metadata[0]["traceparent"] == f"00-{0xA1:032x}-{0xB2:016x}-01"


def test_a_listener_hears_of_the_timing_of_every_answer(classify: Classify, address: str, script: Script) -> None:
    script.errors = [unavailable("MODEL_LOADING", "loading", 0.01)]
    heard: list[tuple[str, Reply[object]]] = []
    classify(address, Options(on_reply=lambda model, reply: heard.append((model, reply))), ["a"])
    [(model, reply)] = heard
    assert (model, reply.timing.queue_us, reply.timing.compute_us, reply.timing.device) == ("echo", 12, None, "cpu")
    assert [refusal.reason for refusal in reply.refusals] == ["MODEL_LOADING"]


def test_closing_the_fleet_cancels_what_runs(address: str, script: Script) -> None:
    arrived, released = threading.Event(), threading.Event()

    def hold() -> None:
        arrived.set()
        released.wait(20)

    script.before_answer = hold
    fleet = Fleet(address)
    closer = threading.Thread(target=lambda: arrived.wait(20) and fleet.close())
    closer.start()
    try:
        with pytest.raises(CancelledError):
            fleet.text("echo").classify("a")
    finally:
        released.set()
        closer.join()


def test_cancelling_a_task_cancels_its_call(address: str, script: Script) -> None:
    arrived, released = threading.Event(), threading.Event()

    def hold() -> None:
        arrived.set()
        released.wait(20)

    script.before_answer = hold

    async def cancelled() -> bool:
        async with AsyncFleet(address) as fleet:
            task = asyncio.create_task(fleet.text("echo").classify("a"))
            await asyncio.to_thread(arrived.wait, 20)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                return True
            return False

    try:
        assert asyncio.run(cancelled())
    finally:
        released.set()


def test_another_timeout_shares_the_channel(address: str, script: Script) -> None:
    with Fleet(address) as fleet:
        hurried = fleet.within(5.0)
        assert hurried.text("echo").classify("a").label == "a"
        hurried.close()
        assert fleet.text("echo").classify("b").label == "b"
