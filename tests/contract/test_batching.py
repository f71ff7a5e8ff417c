"""How requests become batches."""

from tests.contract.harness import EMBED, INFER, TAG, Served, answer, answer_infer, embed, raw_infer, raw_y, spec


def test_a_batch_leaves_when_a_worker_is_free(served: Served) -> None:
    queue = served.open()
    call = served.send(embed("alone"))
    batch = answer(queue.take())
    assert list(batch.messages) == [embed("alone")]
    assert call.result() == embed("alone")


def test_what_waited_while_the_worker_was_busy_leaves_as_one_batch(served: Served) -> None:
    queue = served.open()
    calls = [served.send(embed("first"))]
    busy = queue.take()
    calls += [served.send(embed(f"text {number}")) for number in range(5)]
    served.until_waiting(rows=5)
    answer(busy)
    together = answer(queue.take())
    assert sorted(together.messages) == sorted(embed(f"text {number}") for number in range(5))
    assert [call.result() for call in calls] == [embed("first"), *(embed(f"text {number}") for number in range(5))]


def test_a_batch_has_at_most_max_batch_rows(served: Served) -> None:
    queue = served.open(spec(max_batch_rows=4))
    calls = [served.send(embed("one", "two")) for _ in range(5)]
    served.until_waiting(rows=10)
    batches = [answer(queue.take()) for _ in range(3)]
    assert [list(batch.row_counts) for batch in batches] == [[2, 2], [2, 2], [2]]
    assert all(call.result() for call in calls)


def test_row_counts_are_those_of_the_messages(served: Served) -> None:
    queue = served.open()
    calls = [served.send(embed(*["text"] * count)) for count in (1, 2, 3)]
    served.until_waiting(rows=6)
    batch = answer(queue.take())
    assert sorted(batch.row_counts) == [1, 2, 3]
    assert [len(message) for message in batch.messages] == [len(embed(*["text"] * n)) for n in batch.row_counts]
    assert all(call.result() for call in calls)


def test_max_wait_keeps_a_batch_until_it_is_full(served: Served) -> None:
    queue = served.open(spec(max_batch_rows=3, max_wait_us=60_000_000))
    calls = [served.send(embed("text")) for _ in range(3)]
    batch = answer(queue.take())
    assert len(batch.messages) == 3
    assert all(call.result() for call in calls)


def test_max_wait_ends_without_company(served: Served) -> None:
    queue = served.open(spec(max_wait_us=20_000))
    call = served.send(embed("alone"))
    batch = answer(queue.take())
    assert len(batch.messages) == 1
    call.result()
    assert int(dict(call.trailing_metadata())["argosy-queue-us"]) >= 19_000


def test_max_wait_ends_in_time_for_the_first_deadline(served: Served) -> None:
    queue = served.open(spec(max_batch_rows=2, max_wait_us=60_000_000))
    measured = served.send(embed("measured", "in company"))
    answer(queue.take())
    assert measured.result()
    call = served.send(embed("in a hurry"), timeout_s=4)
    assert len(answer(queue.take()).messages) == 1
    assert call.result()


def test_typed_and_infer_requests_of_a_model_leave_oldest_first(served: Served) -> None:
    queue = served.open()
    calls = []
    for number, (method, message) in enumerate(
        [(EMBED.method, embed("old")), (INFER, raw_infer()), (EMBED.method, embed("new")), (INFER, raw_infer())]
    ):
        calls.append(served.send(message, method))
        served.until_waiting(rows=number + 1)
    first, second = queue.take(), queue.take()
    assert first is not None
    assert second is not None
    assert (first.method, list(first.messages)) == (EMBED.method, [embed("old"), embed("new")])
    assert (second.method, len(second.messages)) == (INFER, 2)
    answer(first)
    answer_infer(second)
    assert all(call.result() for call in calls)


def test_two_typed_methods_never_share_a_batch(served: Served) -> None:
    queue = served.open(spec(routes=(EMBED, TAG)))
    calls = [served.send(embed("text"), method) for method in (EMBED.method, TAG.method)]
    served.until_waiting(rows=2)
    assert sorted(answer(queue.take()).method for _ in range(2)) == [EMBED.method, TAG.method]
    assert all(call.result() for call in calls)


def test_tensors_of_different_trailing_shapes_never_share_a_batch(served: Served) -> None:
    queue = served.open()
    narrow = [served.infer(raw_infer([[1, 2]])), served.infer(raw_infer([[3, 4]]))]
    wide = [served.infer(raw_infer([[1, 2, 3]])), served.infer(raw_infer([[4, 5, 6]]))]
    served.until_waiting(rows=4)
    shapes = sorted(answer_infer(queue.take()).tensors()["x"].shape for _ in range(2))
    assert shapes == [(2, 2), (2, 3)]
    assert [raw_y(call.result()) for call in narrow + wide] == [[[2, 4]], [[6, 8]], [[2, 4, 6]], [[8, 10, 12]]]


def test_where_the_order_matters_nobody_passes_one_of_another_shape(served: Served) -> None:
    queue = served.open(spec(in_order=True))
    calls = []
    for place, width in enumerate([1, 2, 1]):
        calls.append(served.infer(raw_infer([[1.0] * width])))
        served.until_waiting(rows=place + 1)
    widths = [answer_infer(queue.take()).tensors()["x"].shape[1] for _ in calls]
    assert widths == [1, 2, 1]


def test_the_rows_of_a_batch_come_in_the_order_of_its_requests(served: Served) -> None:
    queue = served.open()
    calls = [served.infer(raw_infer([[10 * n], [10 * n + 1]])) for n in range(3)]
    served.until_waiting(rows=6)
    batch = answer_infer(queue.take())
    assert batch.tensors()["x"].shape == (6, 1)
    assert batch.tensors()["x"].flags.c_contiguous
    assert [raw_y(call.result()) for call in calls] == [[[20 * n], [20 * n + 2]] for n in range(3)]


def test_two_workers_take_from_one_queue(served: Served) -> None:
    queue = served.open(spec(max_batch_rows=1, instances=2))
    calls = [served.send(embed("a")), served.send(embed("b"))]
    first, second = queue.take(), queue.take()
    answer(second)
    answer(first)
    assert sorted(call.result() for call in calls) == [embed("a"), embed("b")]
