"""The fleet that the end-to-end tests share: three services over `models/` and a router before them."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import grpc
import pytest

from argosy.v1 import model_pb2
from inference import grpc_service_pb2 as oip
from services.runtime.fronts import FRONTS, choose_front
from tests.e2e.calls import Metadata, Refusal, call, refused
from tests.e2e.harness import Processes, Server
from tests.e2e.traffic import MODELS

READY_TIMEOUT_S = 30.0

KINDS = ("vision", "text", "tabular")
NEEDED = ("digits", "sentiment", "minilm", "income", "diabetes", "mobilenet")

MODEL_METADATA = "/inference.GRPCInferenceService/ModelMetadata"
WATCH_MODELS = "/argosy.v1.ModelService/WatchModels"
LIST_MODELS = "/argosy.v1.ModelService/ListModels"


# Straight at a service on one of the fronts that are installed, or through the router.
ROUTED = "routed"
WAYS = (*sorted(FRONTS), ROUTED)
_, BEST_FRONT = choose_front("auto")


def front_of(way: str) -> str:
    """Which front a service has that is asked this way."""
    return BEST_FRONT if way == ROUTED else way


@dataclass(frozen=True, slots=True)
class Target:
    """One way to the services, of WAYS."""

    name: str
    services: Mapping[str, Server]
    router: Server | None = None

    @property
    def front(self) -> str:
        return front_of(self.name)

    def of_kind(self, kind: str) -> Server:
        """What is asked."""
        return self.router or self.services[kind]

    def channel(self, kind: str) -> grpc.Channel:
        return self.of_kind(kind).channel


@pytest.fixture
def processes() -> Iterator[Processes]:
    """Whatever a test starts through it ends with the test."""
    with Processes() as started:
        yield started


@pytest.fixture(scope="session")
def shared_processes() -> Iterator[Processes]:
    with Processes() as started:
        yield started


@pytest.fixture(scope="session")
def services_on(shared_processes: Processes) -> Callable[[str], dict[str, Server]]:
    """The three services on a front, every model loaded."""
    missing = [model for model in NEEDED if not (MODELS / model).is_dir()]
    if missing:
        pytest.fail(f"models/ lacks {', '.join(missing)}: make models", pytrace=False)

    @cache
    def started(front: str) -> dict[str, Server]:
        return {kind: shared_processes.service(kind, MODELS, "--front", front) for kind in KINDS}

    return started


@pytest.fixture(scope="session")
def services(services_on: Callable[[str], dict[str, Server]]) -> dict[str, Server]:
    return services_on(BEST_FRONT)


@pytest.fixture(scope="session")
def router(
    shared_processes: Processes, services: dict[str, Server], tmp_path_factory: pytest.TempPathFactory
) -> Server:
    """A router before the three services, once it has heard of all their models."""
    addresses = {kind: [server.address] for kind, server in services.items()}
    server = shared_processes.router(tmp_path_factory.mktemp("router"), addresses)
    ready = set().union(*(ready_versions(service.channel) for service in services.values()))
    wait_until_routed(server, ready)
    return server


@pytest.fixture(params=WAYS)
def target(request: pytest.FixtureRequest, services_on: Callable[[str], dict[str, Server]]) -> Target:
    services = services_on(front_of(request.param))
    router = request.getfixturevalue("router") if request.param == ROUTED else None
    return Target(request.param, services, router)


def ready_versions(channel: grpc.Channel) -> dict[tuple[str, str], int]:
    """(model, version) -> endpoints that have it ready."""
    reply = model_pb2.ListModelsResponse.FromString(call(channel, LIST_MODELS, model_pb2.ListModelsRequest()))
    return _ready(reply.models)


def wait_until_ready(
    channel: grpc.Channel, expected: Callable[[dict[tuple[str, str], int]], bool], timeout_s: float = READY_TIMEOUT_S
) -> None:
    """Until the endpoints by model-version are as expected: every change is pushed. Raises grpc.RpcError if late."""
    watch = channel.unary_stream(WATCH_MODELS)(b"", timeout_s)
    for message in watch:
        if expected(_ready(model_pb2.WatchModelsResponse.FromString(message).models)):
            watch.cancel()
            return
    raise AssertionError("the server ended before its models were as expected")


def wait_until_routed(router: Server, versions: Iterable[tuple[str, str]]) -> None:
    """Until the router has heard of each of `versions` and its proxy sends requests there."""
    wanted = set(versions)
    wait_until_ready(router.channel, lambda found: wanted <= found.keys())
    until = time.monotonic() + READY_TIMEOUT_S
    for model, version in wanted:
        for named in (version, ""):
            # The proxy learns a moment after the router: until then the answer is UNAVAILABLE, come again.
            while not _routed(router.channel, oip.ModelMetadataRequest(name=model, version=named)):
                assert time.monotonic() < until, f"{model}/{version} is ready and not routed:\n{router.process.log}"


def refused_by_the_router(router: Server, method: str, message: bytes, metadata: Metadata = ()) -> Refusal:
    """The error, once the proxy too has heard what the router has: until then it is UNAVAILABLE, come again."""
    until = time.monotonic() + READY_TIMEOUT_S
    while (error := refused(router.channel, method, message, metadata=metadata)).code is grpc.StatusCode.UNAVAILABLE:
        assert error.retry_after_s is not None, error
        assert time.monotonic() < until, error
    return error


def _routed(channel: grpc.Channel, request: oip.ModelMetadataRequest) -> bool:
    try:
        call(channel, MODEL_METADATA, request)
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.UNAVAILABLE:
            return False
        raise
    return True


def _ready(models: "list[model_pb2.ModelStatus]") -> dict[tuple[str, str], int]:
    return {(m.model, m.version): m.ready_endpoint_count for m in models if m.state == model_pb2.MODEL_STATE_READY}
