"""Requests that cannot be answered: the status, the reason and the message that design.md's table of errors gives."""

from collections.abc import Callable

import grpc
import pytest

from argosy.v1 import text_pb2
from inference import grpc_service_pb2 as oip
from tests.e2e.router.processes import SteadyFleet, has_retry_info, infer, reason

MAX_BYTES = 64 << 20
MODEL_INFER = "/inference.GRPCInferenceService/ModelInfer"


def refusal(call: Callable[..., object], *arguments: object, **options: object) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, timeout=30, **options)
    return caught.value


def test_an_unknown_model_is_not_found(fleet: SteadyFleet) -> None:
    error = refusal(fleet.inference.ModelInfer, infer("nobody"))
    assert (error.code(), reason(error)) == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_MODEL")
    assert "small" not in error.details()


def test_an_unknown_model_in_the_header_is_not_found(fleet: SteadyFleet) -> None:
    error = refusal(fleet.inference.ModelInfer, infer("nobody"), metadata=[("argosy-model", "nobody")])
    assert reason(error) == "UNKNOWN_MODEL"


def test_an_unknown_version_is_not_found(fleet: SteadyFleet) -> None:
    error = refusal(fleet.inference.ModelInfer, infer("small", "9"))
    assert (error.code(), reason(error)) == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_VERSION")


def test_an_unknown_version_in_the_header_is_not_found(fleet: SteadyFleet) -> None:
    metadata = [("argosy-model", "small"), ("argosy-version", "9")]
    error = refusal(fleet.inference.ModelInfer, infer("small", "9"), metadata=metadata)
    assert reason(error) == "UNKNOWN_VERSION"


def test_a_request_without_a_model_is_invalid(fleet: SteadyFleet) -> None:
    error = refusal(fleet.text.Classify, text_pb2.TextServiceClassifyRequest(texts=["x"]))
    assert (error.code(), reason(error)) == (grpc.StatusCode.INVALID_ARGUMENT, "NO_MODEL")


def test_an_unknown_model_is_not_ready(fleet: SteadyFleet) -> None:
    assert not fleet.inference.ModelReady(oip.ModelReadyRequest(name="nobody"), timeout=10).ready


def test_an_unknown_method_is_unimplemented(fleet: SteadyFleet) -> None:
    error = refusal(fleet.router.channel().unary_unary("/inference.GRPCInferenceService/Nothing"), b"")
    assert (error.code(), reason(error)) == (grpc.StatusCode.UNIMPLEMENTED, "UNKNOWN_METHOD")


@pytest.mark.parametrize("routed", ["small", "nobody"])
def test_a_header_that_differs_from_the_message_is_refused(fleet: SteadyFleet, routed: str) -> None:
    error = refusal(fleet.inference.ModelInfer, infer("big"), metadata=[("argosy-model", routed)])
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


TWO_MODELS = infer("small").SerializeToString() + infer("big").SerializeToString()


def test_a_message_with_two_models_is_for_the_last_as_protobuf_says(fleet: SteadyFleet) -> None:
    call = fleet.router.channel().unary_unary(MODEL_INFER)
    assert oip.ModelInferResponse.FromString(call(TWO_MODELS, timeout=10)).model_name == "big"


def test_a_message_with_two_models_does_not_get_past_the_header(fleet: SteadyFleet) -> None:
    call = fleet.router.channel().unary_unary(MODEL_INFER)
    error = refusal(call, TWO_MODELS, metadata=[("argosy-model", "small")])
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_stream_cannot_change_over_to_another_model(fleet: SteadyFleet) -> None:
    replies = fleet.inference.ModelStreamInfer(iter([infer("small"), infer("big")]), timeout=10)
    assert next(replies).infer_response.model_name == "small"
    with pytest.raises(grpc.RpcError) as caught:
        next(replies)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("data", [b"\xff\xff\xff", b"\x0a\x05sm\xff\xfel"])
def test_corrupt_bytes_are_invalid_and_the_message_is_named(fleet: SteadyFleet, data: bytes) -> None:
    error = refusal(fleet.router.channel().unary_unary(MODEL_INFER), data)
    assert (error.code(), reason(error)) == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_MESSAGE")
    assert "inference.ModelInferRequest" in error.details()


@pytest.mark.parametrize("size", [MAX_BYTES + 1, MAX_BYTES + (4 << 20)])
@pytest.mark.parametrize(
    "options",
    [{}, {"metadata": [("argosy-model", "big")]}, {"compression": grpc.Compression.Gzip}],
    ids=["body", "header", "gzip"],
)
def test_a_message_over_the_limit_is_refused(fleet: SteadyFleet, size: int, options: dict[str, object]) -> None:
    request = infer("big")
    request.raw_input_contents.append(bytes(size - request.ByteSize() - 5))
    error = refusal(fleet.inference.ModelInfer, request, **options)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    # What grpcio says of a message that is too large once it is decompressed is its own.
    assert "67108864" in error.details() or "Decompressed message larger than max" in error.details()


def test_large_metadata_is_refused_and_the_connection_goes_on(fleet: SteadyFleet) -> None:
    stub = fleet.router.inference()
    error = refusal(stub.ModelInfer, infer("big"), metadata=[("x", "y" * 20_000)])
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert stub.ModelInfer(infer("big"), timeout=10).id == "a"


def test_a_reply_of_the_proxy_itself_has_the_fleets_form(fleet: SteadyFleet) -> None:
    request = infer("big")
    request.raw_input_contents.append(bytes(MAX_BYTES + (4 << 20)))
    error = refusal(fleet.inference.ModelInfer, request)
    assert reason(error) == "MESSAGE_TOO_LARGE"
    assert not has_retry_info(error)
