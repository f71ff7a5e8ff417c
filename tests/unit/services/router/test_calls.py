"""What a caller of the brain is told of a failure that is not its own, whichever way its call takes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest

from argosy.v1.model_pb2 import MODEL_STATE_LOADING, GetModelRequest
from services.router.brain import Handlers, brain_server
from services.router.calls import streaming, unary
from services.router.channels import Channels
from services.router.fleet import Fleet
from services.router.forward import Forwarder
from services.router.methods import ModelMethod, model_methods
from services.router.metrics import RouterMetrics
from services.router.reflection import FleetReflection
from services.runtime.reflection import REFLECTION_METHODS
from stubs.names import package_of
from tests.unit.services.router.builders import endpoint, version

METHOD = "/any.Service/Method"
GET_MODEL = "/argosy.v1.ModelService/GetModel"
SECRET = "a secret in /etc"


async def broken(_request: GetModelRequest, _context: object) -> GetModelRequest:
    raise RuntimeError(SECRET)


async def broken_after_one(request: GetModelRequest) -> AsyncIterator[GetModelRequest]:
    yield request
    raise RuntimeError(SECRET)


def failure(folder: Path, handlers: Handlers, method: str, message: bytes) -> grpc.aio.AioRpcError:
    """What ends a call of `method` at a brain that has these handlers."""

    async def ask() -> None:
        path = str(folder / "brain.sock")
        server = brain_server(path, handlers, lambda _: None)
        await server.start()
        async with grpc.aio.insecure_channel(f"unix:{path}") as channel:
            call = channel.stream_stream(method)(iter([message]), timeout=10)
            try:
                async for _ in call:
                    pass
            finally:
                await server.stop(0)

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        asyncio.run(ask())
    return caught.value


def assert_is_told_an_id_alone(error: grpc.aio.AioRpcError) -> None:
    assert error.code() is grpc.StatusCode.INTERNAL
    assert (error.details() or "").startswith("internal error ")
    assert (error.details() or "").endswith(": the service's log has the details")
    assert "grpc-status-details-bin" in dict(error.trailing_metadata())


def test_of_an_answer(tmp_path: Path) -> None:
    assert_is_told_an_id_alone(failure(tmp_path, {METHOD: unary(GetModelRequest, broken)}, METHOD, b""))


def test_of_an_answer_in_parts(tmp_path: Path) -> None:
    assert_is_told_an_id_alone(failure(tmp_path, {METHOD: streaming(GetModelRequest, broken_after_one)}, METHOD, b""))


def forwarder(fleet: Fleet) -> Forwarder:
    async def made() -> Forwarder:
        inner = grpc.aio.insecure_channel("unix:nowhere")
        return Forwarder(fleet, {}, inner, Channels(), RouterMetrics())

    return asyncio.run(made())


def test_of_a_call_that_is_sent_on(tmp_path: Path) -> None:
    without_such_a_field = ModelMethod(METHOD, GetModelRequest, "model", "no such field")
    handler = forwarder(Fleet()).handler(without_such_a_field)
    assert_is_told_an_id_alone(failure(tmp_path, {METHOD: handler}, METHOD, b""))


def test_of_an_endpoint_that_cannot_be_asked_about_a_model_that_loads(tmp_path: Path) -> None:
    fleet = Fleet()
    fleet.put(endpoint("127.0.0.1:1", version("small:1", MODEL_STATE_LOADING)))
    handler = forwarder(fleet).handler(model_methods()[GET_MODEL])
    error = failure(tmp_path, {GET_MODEL: handler}, GET_MODEL, GetModelRequest(model="small").SerializeToString())
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert error.details() == "no endpoint is ready for the model: try again"


def test_of_reflection(tmp_path: Path) -> None:
    async def closed_channels() -> Channels:
        channels = Channels()
        await channels.to("127.0.0.1:1").close()
        return channels

    fleet = Fleet()
    fleet.put(endpoint("127.0.0.1:1", "small:1"))
    handlers = FleetReflection(fleet, asyncio.run(closed_channels())).handlers()
    request = ServerReflectionRequest(file_containing_symbol=f"{package_of('small')}.SmallService")
    assert_is_told_an_id_alone(failure(tmp_path, handlers, REFLECTION_METHODS[0], request.SerializeToString()))
