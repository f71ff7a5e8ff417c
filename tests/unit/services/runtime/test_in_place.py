"""Batches that are answered where they lie: the same answers, and every doubt goes the long way."""

import gc
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import grpc
import numpy as np
import pytest
from structlog.testing import capture_logs

from services.runtime.batch_buffers import BatchBuffers, BufferedRows
from services.runtime.errors import invalid_input, unavailable
from services.runtime.front import Array
from services.runtime.fronts import NATIVE
from services.runtime.in_place import InPlace
from services.runtime.session import Session
from services.runtime.stages import StageCounts
from services.runtime.typed_method import TaskCode
from tests.unit.services.runtime import recurrent
from tests.unit.services.runtime.clocks import clock_of
from tests.unit.services.runtime.served import Served, code
from tests.unit.services.runtime.tiny import lookup_graph, scaling_graph, session, tensor, write_version

Serve = Callable[..., Served]

X = np.array([[1, 2, 3], [4, 5, 6]], np.float32)

UNWANTED = 7.0
ONE_ROW_Y = tensor("FP32", 1, 3, name="y") | {"role": "OUTPUT_ROLE_VALUE"}


@dataclass
class Laid:
    """A batch that lies in `rows`; `before_reply` is done before its answer, as by another thread."""

    rows: BufferedRows
    callers_wait: bool = True
    before_reply: Callable[["Laid"], None] = lambda _: None
    answered: list[dict[str, Array]] = field(default_factory=list)
    ended: bool = False

    def on_abandoned(self, callback: Callable[[], None]) -> None:
        self.end = callback
        if not self.callers_wait:
            self.leave()

    def leave(self) -> None:
        self.ended = True
        self.end()

    def reply_buffers(self) -> bool:
        self.before_reply(self)
        self.answered.append({name: array.copy() for name, array in self.rows.outputs.items()})
        return not self.ended


def rows_of(x: Array, y: Array) -> BufferedRows:
    rows = BatchBuffers({"x": x}, {"y": y}).rows(len(x), True)
    assert isinstance(rows, BufferedRows)
    return rows


def version(of: Session, **other: object) -> SimpleNamespace:
    return SimpleNamespace(**{"session": of, "in_place": True, "check": lambda _: (), "stages": StageCounts()} | other)


def doubled(own: InPlace, longest_wait_us: int = 0, **laid: object) -> bool:
    """Whether a batch was answered in place, with two times its rows."""
    batch = Laid(rows_of(X, np.zeros((2, 3), np.float32)), **laid)
    is_answered = own.answer(batch, batch.rows, 2, longest_wait_us)
    assert [answer["y"].tolist() for answer in batch.answered] == ([(2 * X).tolist()] if is_answered else [])
    return is_answered


def test_a_batch_is_answered_and_counted(tmp_path: Path) -> None:
    loaded = version(session(tmp_path, scaling_graph(2)))
    assert doubled(InPlace(lambda: loaded))
    stats = loaded.stages.read("m", "1")
    assert [sum(histogram.counts) for histogram in stats.histograms] == [2] * 4  # once for each request
    assert {rows: total.batches for rows, total in stats.by_rows.items()} == {2: 1}


def test_each_stage_is_counted_and_a_wait_from_when_there_was_nothing_to_do(tmp_path: Path) -> None:
    # Free; waited until, begun, ready, run, ended, and the same of another.
    instants_ns = [0, 10_000, 10_900, 11_000, 11_020, 11_023, 60_000, 60_900, 61_000, 61_020, 61_023]
    loaded = version(session(tmp_path, scaling_graph(2)))
    own = InPlace(lambda: loaded, clock_of(*instants_ns))
    rows = rows_of(X, np.zeros((2, 3), np.float32))
    for longest_wait_us in (50, 7):
        assert own.answer(Laid(rows), rows, 1, longest_wait_us)
    assert loaded.stages.read("m", "1").by_rows[2].spent_ns == [10_000 + 7_000, 200, 40, 6]


def test_what_was_tried_in_vain_is_no_wait_for_company(tmp_path: Path) -> None:
    loaded = version(session(tmp_path, scaling_graph(2)), in_place=False)
    # Free; waited until, begun, given up; asked again.
    own = InPlace(lambda: loaded, clock_of(0, 5_000, 5_100, 90_000, 90_001))
    assert not doubled(own, longest_wait_us=50)
    assert own.waited_ns(50) == 5_001


def test_figures_that_cannot_be_kept_cost_no_answer_and_no_worker(tmp_path: Path) -> None:
    loaded = version(session(tmp_path, scaling_graph(2)), stages=None)
    own = InPlace(lambda: loaded)
    with capture_logs() as logs:
        assert doubled(own)
    assert [log["log_level"] for log in logs] == ["error"]
    assert doubled(own)


@pytest.mark.parametrize(
    "doubt",
    [
        {"in_place": False},
        {"session": SimpleNamespace(host_runs=None)},
        {"check": lambda _: _refuse()},
    ],
    ids=["version", "session", "check"],
)
def test_every_doubt_goes_the_long_way_and_the_next_batch_does_not(doubt: dict[str, object], tmp_path: Path) -> None:
    sure = version(session(tmp_path, scaling_graph(2)))
    versions = iter([version(sure.session, **doubt), sure])
    own = InPlace(lambda: next(versions))
    assert [doubled(own), doubled(own)] == [False, True]


def test_a_version_that_cannot_be_had_is_told_the_long_way() -> None:
    def gone() -> None:
        raise unavailable("MODEL_NOT_READY", "it has left")

    assert not doubled(InPlace(gone))


def test_a_run_that_fails_is_told_the_long_way(tmp_path: Path) -> None:
    loaded = version(session(tmp_path, lookup_graph()))
    index = np.array([[7]])
    rows = rows_of(index, np.zeros((1, 1, 2), np.float32))
    own, batch = InPlace(lambda: loaded), Laid(rows)
    assert not own.answer(batch, rows, 1, 0)
    assert not batch.answered
    index[:] = 1
    assert own.answer(batch, rows, 1, 0)
    assert batch.answered[0]["y"].tolist() == [[[2, 3]]]


def test_a_batch_that_its_callers_have_left_is_not_run_and_ends_no_other(tmp_path: Path) -> None:
    loaded = version(session(tmp_path, scaling_graph(2)))
    own = InPlace(lambda: loaded)
    assert not doubled(own, callers_wait=False)
    assert doubled(own)


def test_who_leaves_as_the_answer_is_given_ends_no_later_run(tmp_path: Path) -> None:
    loaded = version(session(tmp_path, scaling_graph(2)))
    own = InPlace(lambda: loaded)
    late: list[Laid] = []

    def leaving(batch: Laid) -> None:
        batch.ended = True  # found out by the front, which has yet to call back
        late.append(batch)

    assert doubled(own, before_reply=leaving)
    assert doubled(own, before_reply=lambda _: late[0].end())
    late[0].end()
    assert doubled(own)


# ---- through a front


@pytest.fixture
def is_native(front_name: str) -> bool:
    return front_name == NATIVE


def test_the_native_front_has_them_answered_in_place_from_the_second_on(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, is_native: bool
) -> None:
    ways = _ways(monkeypatch)
    served = loaded(serve(), "instances: 1\n")
    for number in range(4):
        assert served.infer((number, 0, 1), (number, 2, 3)) == [[2 * number, 0, 2], [2 * number, 4, 6]]
    # The last answer may be here before its way has been noted.
    assert ways[:2] == ([True] * 2 if is_native else [])


def test_what_a_check_refuses_is_refused_between_others(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, is_native: bool
) -> None:
    def check(inputs: Mapping[str, Array]) -> tuple[str, ...]:
        if (inputs["x"] == UNWANTED).any():
            _refuse()
        return ()

    ways = _ways(monkeypatch)
    together = "instances: 1\nmax_batch_rows: 3\nmax_wait_us: 1000000\n"
    served = loaded(serve(task_code=TaskCode(lambda *_: (), lambda _: check)), together)
    assert served.infer((1, 2, 3), (1, 2, 3), (1, 2, 3)) == [[2, 4, 6]] * 3
    with ThreadPoolExecutor(3) as callers:
        good, bad, other = (callers.submit(served.infer, (value, 2, 3)) for value in (1, UNWANTED, 5))
    assert [good.result(), other.result()] == [[[2, 4, 6]], [[10, 4, 6]]]
    assert code(bad.result) is grpc.StatusCode.INVALID_ARGUMENT
    assert ways == ([False] if is_native else [])


def test_of_what_there_is_something_to_tell_is_told_elsewhere(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, is_native: bool
) -> None:
    def check(inputs: Mapping[str, Array]) -> tuple[str, ...]:
        return ("unwanted",) if (inputs["x"] == UNWANTED).any() else ()

    ways = _ways(monkeypatch)
    served = loaded(serve(task_code=TaskCode(lambda *_: (), lambda _: check)), "instances: 1\n")
    assert [served.infer((value, 2, 3)) for value in (1, UNWANTED, 5)] == [
        [[2 * value, 4, 6]] for value in (1, UNWANTED, 5)
    ]
    assert ways[:1] == ([False] if is_native else [])


def test_a_worker_keeps_no_version_and_no_batch_that_it_could_not_have_run(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, is_native: bool
) -> None:
    ways, now_s = _ways(monkeypatch), [0.0]
    room_for_one = {"memory_budget_bytes": len(scaling_graph()), "held": lambda: 0}
    served = loaded(serve(**room_for_one, clock=lambda: now_s[0]), "instances: 1\n")
    for _ in range(3):
        assert served.infer((1, 2, 3)) == [[2, 4, 6]]
    left = weakref.ref(served.repository.loaded("tiny").session)
    write_version(served.models, "other")
    served.repository.load("other")
    gc.collect()
    assert left() is None
    graph = served.models / "tiny" / "1" / "model.onnx"
    whole = graph.read_bytes()
    graph.write_bytes(b"changed")
    for _ in range(3):  # the first tries, the others are told what came of it
        assert code(lambda: served.infer((1, 2, 3))) is grpc.StatusCode.UNAVAILABLE
    graph.write_bytes(whole)
    now_s[0] += 60
    ways.clear()
    for _ in range(3):
        assert served.infer((1, 2, 3)) == [[2, 4, 6]]
    assert ways[:2] == ([True] * 2 if is_native else [])


@pytest.mark.parametrize(
    ("serving", "manifest", "in_place"),
    [
        ("", {}, True),
        ("preferred_batch_rows: [4]\n", {}, False),
        ("", {"graph": recurrent.summing_graph(), **recurrent.MANIFEST}, False),
        ("", {"inputs": [tensor("FP32", 1, 3)], "outputs": [ONE_ROW_Y]}, False),
    ],
    ids=["ordinary", "padded", "stateful", "row by row"],
)
def test_batches_that_have_to_be_shaped_first_are_not_run_as_they_lie(
    serving: str, manifest: dict[str, object], in_place: bool, serve: Serve
) -> None:
    served = loaded(serve(), serving, **manifest)
    assert served.repository.loaded("tiny", "").in_place == in_place


def loaded(served: Served, serving: str = "", **manifest: object) -> Served:
    write_version(served.models, **manifest)
    (served.models / "tiny" / "serving.yaml").write_text(serving)
    served.repository.load_all()
    return served


def _refuse() -> None:
    raise invalid_input("inputs: wrong")


def _ways(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of every batch that comes to be answered in place: whether it was."""
    ways: list[bool] = []
    answer = InPlace.answer

    def noted(*args: object) -> bool:
        ways.append(answer(*args))
        return ways[-1]

    monkeypatch.setattr(InPlace, "answer", noted)
    return ways
