"""A stream whose requests cannot all be made: the caller is told what its own code raised."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest

from argosy_client import AsyncFleet, Fleet, InvalidInputError
from argosy_client.tensors import Array
from inference.grpc_service_pb2 import ModelInferRequest, ModelInferResponse, ModelStreamInferResponse
from inference.grpc_service_pb2_grpc import GRPCInferenceServiceServicer, add_GRPCInferenceServiceServicer_to_server

Stream = Callable[[str, Iterator[dict[str, Array]]], list[dict[str, Array]]]

GOOD = {"x": np.zeros(2, np.float32)}
WRONG = {"x": np.zeros(2, np.complex64)}


class Inference(GRPCInferenceServiceServicer):
    """Answers each request of a stream with no outputs."""

    def ModelStreamInfer(
        self, request_iterator: Iterator[ModelInferRequest], context: grpc.ServicerContext
    ) -> Iterator[ModelStreamInferResponse]:
        for _ in request_iterator:
            yield ModelStreamInferResponse(infer_response=ModelInferResponse())


@pytest.fixture
def streaming_address() -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
    add_GRPCInferenceServiceServicer_to_server(Inference(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def stream_blocking(address: str, inputs: Iterator[dict[str, Array]]) -> list[dict[str, Array]]:
    with Fleet(address) as fleet:
        return list(fleet.tensors("echo").stream(inputs))


def stream_async(address: str, inputs: Iterator[dict[str, Array]]) -> list[dict[str, Array]]:
    async def each() -> AsyncIterator[dict[str, Array]]:
        for one in inputs:
            yield one

    async def answers() -> list[dict[str, Array]]:
        async with AsyncFleet(address) as fleet:
            return [answer async for answer in fleet.tensors("echo").stream(each())]

    return asyncio.run(answers())


def broken() -> Iterator[dict[str, Array]]:
    yield GOOD
    raise LookupError("no such row")


@pytest.fixture(params=[stream_blocking, stream_async], ids=["blocking", "asyncio"])
def stream(request: pytest.FixtureRequest) -> Stream:
    chosen: Stream = request.param
    return chosen


def test_each_input_of_a_stream_is_answered(stream: Stream, streaming_address: str) -> None:
    assert stream(streaming_address, iter([GOOD, GOOD])) == [{}, {}]


def test_a_wrong_input_in_a_stream_is_named(stream: Stream, streaming_address: str) -> None:
    with pytest.raises(InvalidInputError, match="complex64") as caught:
        stream(streaming_address, iter([GOOD, WRONG]))
    assert caught.value.field == "inputs.x"


def test_what_the_callers_own_inputs_raise_comes_back(stream: Stream, streaming_address: str) -> None:
    with pytest.raises(LookupError, match="no such row"):
        stream(streaming_address, broken())
