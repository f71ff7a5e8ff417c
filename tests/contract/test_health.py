"""grpc.health.v1: the process, its services and its models."""

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from services.runtime.portable_watch import HEALTH_WATCH
from tests.contract.harness import Served, refusal_of, refused
from tests.raw_http2 import RawConnection, framed

SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING
UNKNOWN = HealthCheckResponse.SERVICE_UNKNOWN
CHECK = "/grpc.health.v1.Health/Check"


def statuses(watch: grpc.Call) -> "list[int]":
    return [HealthCheckResponse.FromString(message).status for message in watch]


def next_status(watch: grpc.Call) -> int:
    return HealthCheckResponse.FromString(next(watch)).status


def test_health_starts_not_serving(served: Served) -> None:
    assert served.health() == NOT_SERVING


@pytest.mark.parametrize("name", ["", "argosy.v1.TextService", "digits"])
def test_health_is_set_by_name(served: Served, name: str) -> None:
    served.front.set_serving(name, serving=True)
    assert served.health(name) == SERVING
    served.front.set_serving(name, serving=False)
    assert served.health(name) == NOT_SERVING


def test_names_do_not_share_their_health(served: Served) -> None:
    served.front.set_serving("digits", serving=True)
    served.front.set_serving("income", serving=False)
    assert (served.health("digits"), served.health("income"), served.health()) == (SERVING, NOT_SERVING, NOT_SERVING)


def test_a_name_that_was_never_set_is_not_found(served: Served) -> None:
    error = refused(served.send(b"\x0a\x08nonesuch", CHECK))
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_SERVICE")


def test_a_corrupt_check_is_refused(served: Served) -> None:
    error = refused(served.send(b"\x0a\xff", CHECK))
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_MESSAGE")


@pytest.mark.parametrize("method", [CHECK, HEALTH_WATCH])
def test_a_name_of_many_bytes_is_refused_unread(served: Served, method: str) -> None:
    message = HealthCheckRequest(service="x" * 100_000).SerializeToString()
    call = served.channel.unary_stream(method)(message, timeout=30)
    error = refusal_of(call.exception())
    assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE")
    assert error.message == f"a message of at most 65536 bytes is taken, got {len(message)}"


def test_a_watch_tells_the_state_now_and_each_change(served: Served) -> None:
    watch = served.watch_health("digits")
    assert next_status(watch) == UNKNOWN
    served.front.set_serving("digits", serving=True)
    assert next_status(watch) == SERVING
    served.front.set_serving("digits", serving=False)
    assert next_status(watch) == NOT_SERVING
    watch.cancel()


def test_a_watch_says_nothing_of_other_names(served: Served) -> None:
    watch = served.watch_health("digits")
    assert next_status(watch) == UNKNOWN
    served.front.set_serving("income", serving=True)
    served.front.set_serving("digits", serving=True)
    assert next_status(watch) == SERVING
    watch.cancel()


def test_every_watcher_is_told(served: Served) -> None:
    watches = [served.watch_health() for _ in range(20)]
    assert [next_status(watch) for watch in watches] == [NOT_SERVING] * 20
    served.front.set_serving("", serving=True)
    assert [next_status(watch) for watch in watches] == [SERVING] * 20
    for watch in watches:
        watch.cancel()


def test_a_watcher_that_does_not_read_holds_up_no_change(served: Served) -> None:
    with RawConnection(served.front.address) as raw:
        blocked = raw.begin(HEALTH_WATCH)
        raw.send_all(blocked, framed(b""))
        raw.await_answer(blocked)
        watch = served.watch_health()
        assert next_status(watch) == NOT_SERVING
        for serving in (True, False) * 10:
            served.front.set_serving("", serving=serving)
            assert next_status(watch) == (SERVING if serving else NOT_SERVING)
        watch.cancel()
        assert raw.received[blocked] == 0
        # Nothing has waited until its connection was given up.
        check = raw.begin(CHECK)
        raw.send_all(check, framed(b""))
        raw.await_end(check)
