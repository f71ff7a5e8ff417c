"""Requests that can be answered get to an endpoint that has the model, however they say which model it is."""

from collections import Counter
from collections.abc import Callable
from itertools import product

import grpc
import pytest

from argosy.v1 import model_pb2, text_pb2
from inference import grpc_service_pb2 as oip
from tests.e2e.router.processes import RunningRouter, Start, SteadyFleet, infer

MAX_BYTES = 64 << 20


def test_the_model_is_read_from_an_inference_request(fleet: SteadyFleet) -> None:
    assert fleet.inference.ModelInfer(infer("big"), timeout=10).id == "a"


def test_the_model_is_read_from_a_typed_request(fleet: SteadyFleet) -> None:
    reply = fleet.text.Classify(text_pb2.TextServiceClassifyRequest(model="big", texts=["x"]), timeout=10)
    assert reply.results[0].categories[0].label == "a"


def test_the_model_is_read_from_a_request_that_calls_it_name(fleet: SteadyFleet) -> None:
    assert fleet.inference.ModelReady(oip.ModelReadyRequest(name="big"), timeout=10).ready


@pytest.mark.parametrize("headers", [{"argosy-model": "big"}, {"argosy-model": "big", "argosy-version": ""}])
def test_headers_route_too(fleet: SteadyFleet, headers: dict[str, str]) -> None:
    assert fleet.inference.ModelInfer(infer("big"), metadata=headers.items(), timeout=10).id == "a"


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_version_that_is_named_answers(fleet: SteadyFleet, version: str) -> None:
    reply = fleet.inference.ModelInfer(infer("small", version), timeout=10)
    assert (reply.model_name, reply.model_version) == ("small", version)


def test_the_default_version_answers_where_none_is_named(fleet: SteadyFleet) -> None:
    assert fleet.inference.ModelInfer(infer("small"), timeout=10).model_version == "2"


def test_a_version_can_be_named_by_header(fleet: SteadyFleet) -> None:
    metadata = [("argosy-model", "small"), ("argosy-version", "1")]
    assert fleet.inference.ModelInfer(infer("small", "1"), metadata=metadata, timeout=10).model_version == "1"


def test_a_stream_is_routed_by_its_first_message(fleet: SteadyFleet) -> None:
    replies = list(fleet.inference.ModelStreamInfer(iter([infer("big")] * 3), timeout=10))
    assert [reply.infer_response.id for reply in replies] == ["a"] * 3


def test_two_replicas_share_the_load(fleet: SteadyFleet) -> None:
    slow = infer("small", parameters={"delay_s": {"double_param": 0.05}})
    # What waits for the first connection to a replica does not count as in flight there: both are to have one.
    answering = (fleet.inference.ModelInfer(infer("small"), timeout=10).id for _ in range(1000))
    assert "a" in answering
    assert "b" in answering
    calls = [fleet.inference.ModelInfer.future(slow, timeout=20) for _ in range(200)]
    by_replica = Counter(call.result().id for call in calls)
    assert min(by_replica["a"], by_replica["b"]) >= 60, by_replica


@pytest.mark.parametrize("metadata", [[], [("argosy-model", "big")]], ids=["without header", "with header"])
def test_a_compressed_message_passes(fleet: SteadyFleet, metadata: list[tuple[str, str]]) -> None:
    request = infer("big", raw_input_contents=[b"x" * 100_000])
    reply, call = fleet.inference.ModelInfer.with_call(
        request, metadata=metadata, compression=grpc.Compression.Gzip, timeout=10
    )
    assert (reply.id, reply.raw_output_contents[0]) == ("a", request.raw_input_contents[0])
    assert dict(call.trailing_metadata())["argosy-queue-us"] == "7"


def test_a_compressed_stream_passes(fleet: SteadyFleet) -> None:
    replies = fleet.inference.ModelStreamInfer(
        iter([infer("big", id="x" * 1000)] * 3), compression=grpc.Compression.Gzip, timeout=10
    )
    assert [reply.infer_response.id for reply in replies] == ["a"] * 3


@pytest.mark.parametrize("metadata", [[], [("argosy-model", "big")]], ids=["without header", "with header"])
def test_a_message_of_64_mib_passes(fleet: SteadyFleet, metadata: list[tuple[str, str]]) -> None:
    request = infer("big")
    request.raw_input_contents.append(b"x" * (MAX_BYTES - request.ByteSize() - 5))
    assert request.ByteSize() == MAX_BYTES
    assert fleet.inference.ModelInfer(request, metadata=metadata, timeout=60).id == "a"


def test_a_compressed_message_of_64_mib_passes(fleet: SteadyFleet) -> None:
    request = infer("big")
    request.raw_input_contents.append(bytes(MAX_BYTES - request.ByteSize() - 5))
    assert fleet.inference.ModelInfer(request, compression=grpc.Compression.Gzip, timeout=60).id == "a"


def test_fields_may_come_in_any_order(fleet: SteadyFleet) -> None:
    tensors = oip.ModelInferRequest(raw_input_contents=[b"x" * 1000], model_version="1").SerializeToString()
    data = tensors + infer("big").SerializeToString()
    call = fleet.router.channel().unary_unary("/inference.GRPCInferenceService/ModelInfer")
    assert oip.ModelInferResponse.FromString(call(data, timeout=10)).id == "a"


def test_the_trailers_of_the_service_arrive(fleet: SteadyFleet) -> None:
    _, call = fleet.inference.ModelInfer.with_call(infer("small", "1"), timeout=10)
    trailers = dict(call.trailing_metadata())
    assert (trailers["argosy-queue-us"], trailers["argosy-model-version"]) == ("7", "1")


def test_a_model_describes_itself(fleet: SteadyFleet) -> None:
    reply = fleet.router.models().GetModel(model_pb2.GetModelRequest(model="big"), timeout=10)
    assert reply.status.model == "big"


def test_the_endpoints_of_a_service_are_those_that_its_name_has(
    replica: Start, router: Callable[..., RunningRouter]
) -> None:
    port = replica("a", "small:1").address.rpartition(":")[2]
    running = router({"text": {"dns": f"localhost:{port}"}})
    running.wait_until_models(lambda ready: ready.get(("small", "1")) == 1)
    assert running.inference().ModelInfer(infer("small"), wait_for_ready=True, timeout=10).id == "a"


def test_the_header_changes_no_answer_where_replicas_have_different_versions(
    replica: Start, router: Callable[..., RunningRouter]
) -> None:
    replicas = [replica("a", "small:1"), replica("b", "small:1"), replica("c", "small:2")]
    running = router({"text": [one.address for one in replicas]})
    running.wait_until_models(lambda ready: (ready.get(("small", "1")), ready.get(("small", "2"))) == (2, 1))
    ask = running.inference().ModelInfer
    packings = (grpc.Compression.NoCompression, grpc.Compression.Gzip)
    for (version, answers), packing in product({"": "1", "1": "1", "2": "2"}.items(), packings):
        model, named = ("argosy-model", "small"), ("argosy-version", version)
        for headers in ((), (model,), (named,), (model, named)):
            reply = ask(infer("small", version), metadata=headers, compression=packing, timeout=10)
            assert reply.model_version == answers, (version, packing, headers)
