"""The response cache: equal requests of a model that has one are answered without the model."""

import grpc
import numpy as np
import pytest

from inference.grpc_service_pb2 import ModelInferRequest, ModelInferResponse
from services.runtime.errors import invalid_input
from services.runtime.front import Queue, Signature, TensorSignature
from services.runtime.front_stats import CacheStats
from tests.contract.conftest import MAX_MESSAGE_BYTES
from tests.contract.harness import (
    STREAM_INFER,
    TAG,
    X_TO_Y,
    Served,
    answer,
    answer_infer,
    embed,
    raw_infer,
    raw_y,
    refused,
    spec,
    tensor,
    trailers_of,
)

CACHE_BYTES = 1 << 20


@pytest.fixture
def queue(served: Served) -> Queue:
    return served.open(spec(cache_bytes=CACHE_BYTES, version="7"))


def cache_of(served: Served) -> CacheStats:
    found = served.stats().cache
    assert found is not None
    return found


def told(call: grpc.Future) -> str:
    """What the trailers say once the call is answered."""
    call.exception()
    return trailers_of(call).get("argosy-cache", "")


def infer_once(served: Served, queue: Queue, request: ModelInferRequest | bytes) -> ModelInferResponse:
    """A request that the worker answers."""
    call = served.infer(request)
    answer_infer(queue.take())
    return ModelInferResponse.FromString(call.result())


def test_an_equal_request_is_answered_without_a_worker(served: Served, queue: Queue) -> None:
    first = served.send(embed("text"))
    answer(queue.take(), b"answered ")
    assert first.result() == b"answered " + embed("text")
    again = served.send(embed("text"))
    assert again.result() == first.result()
    assert (told(first), told(again)) == ("miss", "hit")


def test_an_equal_model_infer_has_the_same_answer_with_its_own_id(served: Served, queue: Queue) -> None:
    infer_once(served, queue, raw_infer([[1, 2]], request_id="first"))
    for request_id in ("", "first", "second"):
        response = ModelInferResponse.FromString(served.infer(raw_infer([[1, 2]], request_id=request_id)).result())
        assert (response.id, response.model_name, response.model_version) == (request_id, "m", "7")
        assert response.raw_output_contents[0] == np.array([2, 4], np.float32).tobytes()


def test_a_hit_tells_its_trailers_and_no_batch(served: Served, queue: Queue) -> None:
    infer_once(served, queue, raw_infer())
    call = served.infer(raw_infer())
    call.result()
    names = ("argosy-batch-rows", "argosy-compute-us", "argosy-model-version", "argosy-device")
    assert [trailers_of(call)[name] for name in names] == ["0", "0", "7", "cpu"]


def test_a_model_without_a_cache_says_nothing_of_one(served: Served) -> None:
    queue = served.open(spec())
    call = served.send(embed("text"))
    answer(queue.take())
    assert told(call) == ""
    assert served.stats().cache is None


def test_a_hit_waits_behind_nobody_and_takes_no_room(served: Served) -> None:
    queue = served.open(spec(cache_bytes=CACHE_BYTES, capacity_rows=1))
    infer_once(served, queue, raw_infer())
    running = served.send(embed("running"))
    batch = queue.take()
    waiting = served.send(embed("waiting"))
    served.until_waiting(rows=1)
    assert raw_y(served.infer(raw_infer()).result()) == [[2, 4]]
    answer(batch)
    answer(queue.take())
    assert (running.result(), waiting.result()) == (embed("running"), embed("waiting"))


def test_parameters_are_no_part_of_what_is_compared(served: Served, queue: Queue) -> None:
    infer_once(served, queue, raw_infer())
    request = ModelInferRequest.FromString(raw_infer())
    request.parameters["priority"].uint64_param = 1
    request.parameters["timeout"].int64_param = 1_000_000
    assert told(served.infer(request)) == "hit"


def test_contents_form_and_shape_are_part_of_what_is_compared(served: Served, queue: Queue) -> None:
    infer_once(served, queue, raw_infer([[1, 2]]))
    typed = ModelInferRequest(model_name="m", inputs=[tensor("x", "FP32", [1, 2], fp32_contents=[1, 2])])
    others = [raw_infer([[1, 3]]), raw_infer([[1], [2]]), typed.SerializeToString()]
    for request in others:
        infer_once(served, queue, request)
    assert [told(served.infer(request)) for request in others] == ["hit"] * 3
    assert list(ModelInferResponse.FromString(served.infer(typed).result()).outputs[0].contents.fp32_contents) == [2, 4]
    assert (cache_of(served).hits, cache_of(served).misses, cache_of(served).entries) == (4, 4, 4)


def test_the_outputs_that_are_asked_for_are_part_of_what_is_compared(served: Served) -> None:
    outputs = tuple(TensorSignature(name, "FP32", (-1, -1)) for name in ("y", "z"))
    queue = served.open(spec(cache_bytes=CACHE_BYTES, signature=Signature(X_TO_Y.inputs, outputs)))
    for wanted in (["y"], ["z"], ["z", "y"]):
        request = ModelInferRequest.FromString(raw_infer([[1, 2]]))
        for name in wanted:
            request.outputs.add(name=name)
        call = served.infer(request)
        batch = queue.take()
        assert batch is not None
        batch.reply_tensors({"y": batch.tensors()["x"], "z": batch.tensors()["x"]})
        call.result()
        again = ModelInferResponse.FromString(served.infer(request).result())
        assert [output.name for output in again.outputs] == wanted


def test_two_methods_do_not_share_answers(served: Served) -> None:
    queue = served.open(spec(cache_bytes=CACHE_BYTES, routes=(TAG,), model="tags"))
    call = served.send(embed("text", model="tags"), TAG.method)
    answer(queue.take(), b"tagged ")
    assert call.result() == b"tagged " + embed("text", model="tags")
    assert refused(served.send(embed("text", model="tags"))).reason == "TASK_NOT_OFFERED"


def test_an_error_is_not_kept(served: Served, queue: Queue) -> None:
    failed = served.send(embed("text"))
    batch = queue.take()
    assert batch is not None
    batch.fail(0, invalid_input("not today"))
    assert (refused(failed).message, told(failed)) == ("not today", "miss")
    again = served.send(embed("text"))
    answer(queue.take())
    assert again.result() == embed("text")


def test_an_answer_over_the_message_limit_is_not_kept(served: Served) -> None:
    queue = served.open(spec(cache_bytes=4 * MAX_MESSAGE_BYTES))
    call = served.send(embed("text"))
    batch = queue.take()
    assert batch is not None
    batch.reply(0, bytes(MAX_MESSAGE_BYTES + 1))
    assert refused(call).reason == "ANSWER_TOO_LARGE"
    assert cache_of(served).entries == 0


def test_an_answer_to_model_infer_that_is_no_message_is_not_kept(served: Served, queue: Queue) -> None:
    call = served.infer(raw_infer())
    batch = queue.take()
    assert batch is not None
    batch.reply(0, b"\xff")
    call.result()
    assert cache_of(served).entries == 0


def test_equal_requests_that_come_while_one_runs_run_too(served: Served, queue: Queue) -> None:
    first = served.send(embed("text"))
    batch = queue.take()
    second = served.send(embed("text"))
    served.until_waiting(rows=1)
    answer(batch, b"one ")
    answer(queue.take(), b"two ")
    assert (first.result()[:3], second.result()[:3]) == (b"one", b"two")
    assert served.send(embed("text")).result()[:3] == b"one"


def test_the_least_recently_used_goes_when_there_is_no_room(served: Served) -> None:
    queue = served.open(spec(cache_bytes=25_000))
    texts = {name: embed(name * 5_000) for name in "abc"}  # 10 kB each with their answers
    for name in "ab":
        call = served.send(texts[name])
        answer(queue.take())
        call.result()
    assert told(served.send(texts["a"])) == "hit"
    third = served.send(texts["c"])
    answer(queue.take())
    third.result()
    assert [told(served.send(texts[name])) for name in "ac"] == ["hit", "hit"]
    gone = served.send(texts["b"])
    answer(queue.take())
    assert told(gone) == "miss"


def test_keys_and_answers_stay_within_the_bound(served: Served) -> None:
    queue = served.open(spec(cache_bytes=20_000))
    for number in range(50):
        call = served.send(embed(f"{number:04}" * 250))
        answer(queue.take())
        call.result()
        assert cache_of(served).size_bytes <= 20_000
    assert 4 <= cache_of(served).entries <= 9


def test_what_is_larger_than_the_cache_is_answered_and_not_kept(served: Served) -> None:
    queue = served.open(spec(cache_bytes=1_000))
    call = served.send(embed("x" * 2_000))
    answer(queue.take())
    assert call.result() == embed("x" * 2_000)
    assert (cache_of(served).entries, cache_of(served).size_bytes) == (0, 0)


def test_a_version_that_is_put_in_the_place_of_another_begins_empty(served: Served, queue: Queue) -> None:
    infer_once(served, queue, raw_infer())
    newer = served.open(spec(cache_bytes=CACHE_BYTES, version="7"))
    call = served.infer(raw_infer([[1, 2]]))
    batch = newer.take()
    assert batch is not None
    batch.reply_tensors({"y": batch.tensors()["x"] * 3})
    assert raw_y(call.result()) == [[3, 6]]
    assert cache_of(served) == CacheStats(0, 1, 0, 1, cache_of(served).size_bytes)


def test_a_closed_version_answers_nothing_from_its_cache(served: Served, queue: Queue) -> None:
    infer_once(served, queue, raw_infer())
    served.front.close_queue("m", "7")
    assert refused(served.infer(raw_infer())).code is grpc.StatusCode.NOT_FOUND


def test_elements_of_a_stream_use_the_cache_and_keep_their_order(served: Served) -> None:
    queue = served.open(spec(cache_bytes=CACHE_BYTES, max_batch_rows=1))
    infer_once(served, queue, raw_infer([[1]]))
    requests = [raw_infer([[2]], request_id="ran"), raw_infer([[1]], request_id="kept")]
    stream = served.channel.stream_stream(STREAM_INFER)(iter(requests), timeout=30)
    answer_infer(queue.take())
    assert [message.count(b"ran") + 2 * message.count(b"kept") for message in stream] == [1, 2]
    assert cache_of(served).hits == 1


def test_a_hit_is_no_batch_in_the_counts(served: Served, queue: Queue) -> None:
    infer_once(served, queue, raw_infer())
    served.infer(raw_infer()).result()
    stats = served.stats()
    assert (stats.succeeded_requests, stats.answered_rows, stats.batches_by_rows) == (1, 1, {1: 1})
    assert (cache_of(served).hits, cache_of(served).misses) == (1, 1)
