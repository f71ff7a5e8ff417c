"""Who passes the gate with whom."""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import count
from types import FrameType

import pytest

from services.runtime import capture_gate
from services.runtime.capture_gate import CaptureGate


def enter(way: AbstractContextManager[None]) -> None:
    with way:
        pass


def leave(way: AbstractContextManager[None], act: Callable[[], object], number: int) -> bool:
    """Enter, and on the way out act before the line of that number. Whether there were so many lines."""
    lines, has_acted = count(), False

    def trace(frame: FrameType, event: str, _: object) -> object:
        nonlocal has_acted
        if frame.f_code.co_filename != capture_gate.__file__:
            return None
        if event == "line" and next(lines) == number:
            act()
            has_acted = True
        return trace

    before = sys.gettrace()
    try:
        with way:
            sys.settrace(trace)
    finally:
        sys.settrace(before)
    return has_acted


@contextmanager
def discarding(gate: CaptureGate, way: str) -> Iterator[None]:
    with getattr(gate, way)():
        gate.discard([object()])
        yield


@pytest.mark.parametrize(
    ("inside", "comes", "waits"),
    [
        ("together", "together", False),
        ("together", "loading", False),
        ("loading", "together", False),
        ("loading", "loading", False),
        ("loading", "alone", True),
        ("alone", "loading", True),
        ("together", "alone", True),
        ("alone", "together", True),
        ("alone", "alone", True),
    ],
)
def test_whoever_is_alone_is_alone(inside: str, comes: str, waits: bool) -> None:
    gate = CaptureGate()
    ways = {"together": gate.together, "loading": gate.loading, "alone": gate.alone}
    with ThreadPoolExecutor(1) as thread:
        with ways[inside]():
            other = thread.submit(enter, ways[comes]())
            assert not waits or wait([other], timeout=0.2).not_done
            if not waits:
                other.result(10)
        other.result(10)


@pytest.mark.parametrize("way", ["together", "loading", "alone"])
def test_whoever_fails_inside_leaves_the_gate_open(way: str) -> None:
    gate = CaptureGate()
    with pytest.raises(ZeroDivisionError), getattr(gate, way)():
        raise ZeroDivisionError
    with gate.alone():
        pass


def test_a_capture_that_waits_for_a_load_keeps_no_run_waiting() -> None:
    gate = CaptureGate()
    with ThreadPoolExecutor(2) as threads:
        with gate.loading():
            capture = threads.submit(enter, gate.alone())
            assert wait([capture], timeout=0.2).not_done
            threads.submit(enter, gate.together()).result(10)
        capture.result(10)


def test_what_is_discarded_goes_once_nothing_is_captured() -> None:
    gate, held = CaptureGate(), [object()]
    with ThreadPoolExecutor(1) as thread:
        with gate.alone():
            gone = thread.submit(gate.discard, held)
            assert wait([gone], timeout=0.2).not_done
            assert held
        gone.result(10)
    assert not held


@pytest.mark.parametrize("way", ["together", "loading", "alone"])
def test_who_discards_inside_does_not_wait_for_itself_and_lets_go_as_it_leaves(way: str) -> None:
    gate, held = CaptureGate(), [object()]
    with getattr(gate, way)():
        gate.discard(held)
        assert held
    assert not held


@pytest.mark.parametrize("way", ["together", "loading"])
def test_a_capture_is_not_kept_out_by_those_who_go_on_coming(way: str) -> None:
    gate = CaptureGate()
    with ThreadPoolExecutor(2) as threads:
        with getattr(gate, way)():
            capture = threads.submit(enter, gate.alone())
            assert wait([capture], timeout=0.2).not_done
            late = threads.submit(enter, getattr(gate, way)())
            assert wait([late], timeout=0.2).not_done
        capture.result(10)
        late.result(10)


class Stuck(list[object]):
    def clear(self) -> None:
        raise ZeroDivisionError


@pytest.mark.parametrize("way", ["together", "loading", "alone"])
def test_what_cannot_be_let_go_of_leaves_the_gate_open(way: str) -> None:
    gate = CaptureGate()
    with pytest.raises(ZeroDivisionError), getattr(gate, way)():
        gate.discard(Stuck())
    with gate.alone():
        pass


@pytest.mark.parametrize("way", ["together", "loading"])
def test_who_leaves_while_another_lets_go_of_the_same_leaves_the_gate_open(way: str) -> None:
    # The other one passes before one line of the way out after another: some hold the lock, and it passes later.
    for number in count():
        gate = CaptureGate()
        with ThreadPoolExecutor(2) as threads:

            def other_passes(gate: CaptureGate = gate, threads: ThreadPoolExecutor = threads) -> None:
                wait([threads.submit(enter, gate.together())], timeout=0.1)

            had_line = threads.submit(leave, discarding(gate, way), other_passes, number).result(10)
            threads.submit(enter, gate.alone()).result(10)
        if not had_line:
            break
    assert number


@pytest.mark.parametrize("way", ["together", "loading", "alone"])
def test_what_is_discarded_anywhere_on_the_way_out_goes(way: str) -> None:
    # As garbage collection does, which comes wherever it likes.
    for number in count():
        gate, held = CaptureGate(), [object()]
        with ThreadPoolExecutor(1) as thread:
            had_line = thread.submit(leave, getattr(gate, way)(), partial(gate.discard, held), number).result(10)
        if not had_line:
            break
        assert not held
    assert number
