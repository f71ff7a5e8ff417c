"""Both load generators against a real gRPC server that sends each message back."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from bench.generator import Generator, Load, Requests, generator, python_generator

REQUESTS = Requests("/a.B/C", (b"one", b"two"))


@pytest.fixture
def address() -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(2))
    echo = grpc.unary_unary_rpc_method_handler(lambda message, _: message)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("a.B", {"C": echo}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0)


@pytest.fixture(params=["program", "Python"])
def sender(request: pytest.FixtureRequest) -> Generator:
    if request.param == "Python":
        return python_generator("asked for")
    if shutil.which("cargo") is None:
        pytest.skip("the program needs cargo to be built")
    return generator()


def test_every_request_is_answered_and_every_answer_is_kept_once(sender: Generator, address: str) -> None:
    answered = sender.run(address, REQUESTS, Load(in_flight=8, connections=2), 100)
    assert (len(answered.latencies_s), answered.errors) == (100, 0)
    assert sum(often for _, _, often in answered.ways) == 100
    assert {(message, answer) for message, answer, _ in answered.ways} <= {(0, b"one"), (1, b"two")}


def test_a_method_that_is_not_there_is_an_error_each(sender: Generator, address: str) -> None:
    answered = sender.run(address, Requests("/a.B/None", (b"one",)), Load(1, 1), 3)
    assert (len(answered.latencies_s), answered.errors) == (0, 3)


def test_a_server_that_is_not_there_is_an_os_error(sender: Generator) -> None:
    with pytest.raises(OSError, match="refused"):
        sender.run("127.0.0.1:1", REQUESTS, Load(1, 1), 1)


def test_an_open_loop_is_sent_by_the_program_only() -> None:
    assert not python_generator("asked for").can_send(REQUESTS, Load(1, 1, rate_per_s=10.0))


def test_what_does_not_fit_into_a_window_is_sent_by_the_program_only() -> None:
    assert not python_generator("asked for").can_send(Requests("/a.B/C", (bytes(70_000),)), Load(1, 1))
