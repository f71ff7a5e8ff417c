"""How long a connection lasts: its age, and a caller who is not there any more."""

import grpc
import pytest

from services.runtime.front import Limits
from tests.contract.conftest import MakeFront
from tests.contract.harness import EMBED, Served, answer, embed
from tests.raw_http2 import RawConnection, framed

IMPATIENT = Limits(keepalive_interval_s=0.5, keepalive_timeout_s=2)


def begun(raw: RawConnection) -> int:
    call = raw.begin(EMBED.method)
    raw.send_all(call, framed(embed("text")))
    return call


def test_a_connection_of_the_greatest_age_is_told_to_go_once_it_is_answered(make_front: MakeFront) -> None:
    front = make_front(limits=Limits(max_connection_age_s=2))
    with grpc.insecure_channel(front.address) as channel, RawConnection(front.address) as raw:
        queue = Served(front, channel).open()
        call = begun(raw)
        batch = queue.take()
        assert raw.await_goaway() == call
        answer(batch)
        raw.await_end(call)
        assert raw.answers[call]["grpc-status"] == "0"
        with pytest.raises(ConnectionError):
            raw.await_end(raw.begin(EMBED.method))


def test_a_call_whose_caller_answers_no_ping_is_withdrawn(make_front: MakeFront) -> None:
    front = make_front(limits=IMPATIENT)
    with grpc.insecure_channel(front.address) as channel, RawConnection(front.address) as frozen:
        served = Served(front, channel)
        served.open()
        begun(frozen)
        served.until_waiting(rows=1)
        served.until_waiting(rows=0)


def test_a_connection_that_asks_nothing_and_answers_no_ping_is_closed(make_front: MakeFront) -> None:
    with RawConnection(make_front(limits=IMPATIENT).address) as frozen:
        frozen.await_close()
