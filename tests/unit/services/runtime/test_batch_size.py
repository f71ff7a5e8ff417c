"""The rows of a batch are as many as cost least, where the operator has not said how many."""

from collections.abc import Callable

import pytest
from onnx import TensorProto, helper

from services.runtime import loader
from services.runtime.batch_size import batch_rows, is_measured, largest_cheap, row_costs
from services.runtime.version import LoadedVersion, queue_spec
from tests.unit.services.runtime.served import Served, refusal
from tests.unit.services.runtime.tiny import model_of, scaling_graph, tensor, write_version

Serve = Callable[..., Served]


class Machine:
    """Runs that take what they are said to, by its own clock; disturbed, four of five take ten times as long."""

    def __init__(self, batch_s: Callable[[int], float], disturbed: bool = False) -> None:
        self._batch_s, self._disturbed = batch_s, disturbed
        self.now_s = 0.0
        self.ran: list[int] = []

    def run(self, rows: int) -> None:
        self.now_s += self._batch_s(rows) * (10 if self._disturbed and len(self.ran) % 5 != 2 else 1)
        self.ran.append(rows)

    def costs(self, most: int = 32) -> dict[int, float]:
        return row_costs(self.run, most, lambda: self.now_s)


def table(rows: int) -> float:
    """One that costs the less a row the more there are."""
    return 1e-3 * (1.0 + 0.1 * rows)


def convolutions(rows: int) -> float:
    """One whose rows cost more again in large batches: 5.4, 5.2, 5.3, 5.7, 6.6, … ms"""
    return 1e-3 * (0.6 + 4.7 * rows + 0.115 * rows**2)


def wide_echo_graph() -> bytes:
    """y = x, strings [N, any]."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.STRING, ["rows", "width"]) for name in "xy")
    return model_of([helper.make_node("Identity", ["x"], ["y"])], [x], [y], [])


def test_the_largest_size_is_taken_where_a_row_costs_least_there() -> None:
    assert largest_cheap(Machine(table).costs(), 32) == 32


def test_a_network_that_large_batches_slow_down_runs_in_small_ones() -> None:
    costs = Machine(convolutions).costs()
    assert largest_cheap(costs, 32) == 8
    assert costs[8] == pytest.approx(convolutions(8) / 8)


def test_sizes_beyond_one_that_is_far_dearer_are_not_tried() -> None:
    machine = Machine(convolutions)
    machine.costs()
    assert max(machine.ran) == 16


def test_what_else_ran_meanwhile_changes_nothing() -> None:
    alone = Machine(table).costs()
    assert Machine(table, disturbed=True).costs() == pytest.approx(alone)


def test_of_a_slow_model_only_as_many_sizes_are_tried_as_there_is_time_for() -> None:
    slow = Machine(lambda rows: 6 * convolutions(rows))
    assert largest_cheap(slow.costs(), 32) == 4
    assert max(slow.ran) == 4


def test_what_is_cheapest_at_the_largest_size_that_there_was_time_for_is_cheaper_still_at_a_larger_one() -> None:
    constant = Machine(lambda _: 0.12)
    assert list(constant.costs()) == [1, 2]
    assert largest_cheap(constant.costs(), 32) == 32


def test_a_short_run_is_timed_many_times() -> None:
    machine = Machine(lambda rows: 1e-5 * rows)
    assert machine.costs(most=1) == {1: pytest.approx(1e-5)}
    assert len(machine.ran) >= 300


@pytest.mark.parametrize(("most", "sizes"), [(1, [1]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])])
def test_sizes_double_up_to_the_most(most: int, sizes: list[int]) -> None:
    assert list(Machine(table).costs(most)) == sizes


def test_the_queue_has_the_measured_size_and_as_much_room_as_before(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader, "batch_rows", lambda _: 4)  # what is measured is another at each load
    served = serve()
    write_version(served.models, graph=scaling_graph(2))
    served.repository.load_all()
    assert served.infer(*[(row, 0, 0) for row in range(10)]) == [[2 * row, 0, 0] for row in range(10)]
    [stats] = served.front.stats().queues
    assert max(stats.batches_by_rows) == 4
    loaded = served.repository.loaded("tiny")
    policy = queue_spec(loaded, 4).policy
    assert (policy.max_batch_rows, policy.capacity_rows) == (4, loaded.config.capacity_rows)


def test_a_version_that_cannot_be_measured_is_charged_no_more(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: LoadedVersion) -> int:
        raise MemoryError

    monkeypatch.setattr(loader, "batch_rows", fails)
    served = serve()
    write_version(served.models, graph=scaling_graph(2))
    assert refusal(lambda: served.repository.load("tiny")) == "INTERNAL"
    assert served.repository.memory() == []
    monkeypatch.undo()
    served.repository.load("tiny")
    assert served.infer((1, 2, 3)) == [[2, 4, 6]]


@pytest.mark.parametrize(
    ("serving", "open_shape", "expected"),
    [
        ("instances: 1\n", False, True),
        ("max_batch_rows: 32\n", False, False),
        ("preferred_batch_rows: [4]\n", False, False),
        ("", True, False),
    ],
    ids=["nothing said of it", "the operator's size", "the device's sizes", "rows of any length"],
)
def test_it_is_measured_where_nothing_is_said_of_it_and_all_rows_are_alike(
    serving: str, open_shape: bool, expected: bool, serve: Serve
) -> None:
    served = serve()
    if open_shape:
        shape = tensor("BYTES", -1, -1), tensor("BYTES", -1, -1, name="y") | {"role": "OUTPUT_ROLE_VALUE"}
        write_version(served.models, graph=wide_echo_graph(), inputs=[shape[0]], outputs=[shape[1]])
    else:
        write_version(served.models, graph=scaling_graph(2))
    (served.models / "tiny" / "serving.yaml").write_text(serving)
    served.repository.load_all()
    loaded = served.repository.loaded("tiny")
    assert is_measured(loaded) is expected
    assert 1 <= batch_rows(loaded) <= loaded.config.max_batch_rows
