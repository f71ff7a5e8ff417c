"""Which queue answers: models, versions, what is not ready, what a router said."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from argosy.v1.text_pb2 import TextServiceEmbedRequest
from services.runtime.errors import refused_load, unavailable
from services.runtime.front import Queue, TypedRoute
from tests.contract.harness import EMBED, INFER, OWN, TAG, Served, answer, embed, raw_infer, refused, spec


def test_a_request_without_a_version_gets_the_default_one(served: Served) -> None:
    first, second = (served.front.open_queue(spec(version=version)) for version in ("1", "2"))
    served.front.set_default_version("m", "2")
    call = served.send(embed("text"))
    answer(second.take(), b"second")
    assert call.result() == b"second" + embed("text")
    served.front.set_default_version("m", "1")
    call = served.send(embed("text"))
    answer(first.take(), b"first")
    assert call.result() == b"first" + embed("text")


def test_a_request_that_names_a_version_gets_it(served: Served) -> None:
    served.open(spec(version="2"))
    first = served.front.open_queue(spec(version="1"))
    call = served.send(embed("text", version="1"))
    answer(first.take())
    assert call.result()


def test_an_unknown_model_is_not_found_and_no_other_is_named(served: Served) -> None:
    served.open(spec(model="secret"))
    error = refused(served.send(embed("text", model="nonesuch")))
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_MODEL")
    assert error.message == "no model 'nonesuch'"


def test_an_unknown_version_is_not_found(served: Served) -> None:
    served.open()
    error = refused(served.send(embed("text", version="99")))
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_VERSION")
    assert error.message == "model 'm' has no version '99'"


def test_infer_of_an_unknown_model_is_not_found_too(served: Served) -> None:
    assert refused(served.infer(raw_infer(model="nonesuch"))).reason == "UNKNOWN_MODEL"


def test_a_model_without_a_default_version_says_that_one_must_be_named(served: Served) -> None:
    served.front.open_queue(spec())
    error = refused(served.send(embed("text")))
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_VERSION")
    assert "default" in error.message


def test_a_request_without_a_model_is_invalid(served: Served) -> None:
    error = refused(served.send(embed("text", model="")))
    assert (error.code, error.field) == (grpc.StatusCode.INVALID_ARGUMENT, "model")


def test_a_name_that_is_long_and_unprintable_is_shown_short_and_printable(served: Served) -> None:
    error = refused(served.send(embed("text", model="\x00\n" * 5000)))
    assert error.message == f"no model '{'?' * 64}…'"


def test_a_version_that_loads_is_unavailable_and_comes_back(served: Served) -> None:
    served.front.set_unready("m", "1", unavailable("LOADING", "model 'm' version '1' is loading", 2.0))
    for message in (embed("text", version="1"), embed("text")):
        error = refused(served.send(message))
        assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "LOADING")
        assert error.retry_after_s == 2.0
    assert refused(served.send(embed("text", version="2"))).reason == "UNKNOWN_VERSION"


def test_a_version_with_a_queue_answers_whatever_was_said_before(served: Served) -> None:
    served.front.set_unready("m", "1", unavailable("LOADING", "loading"))
    queue = served.open()
    call = served.send(embed("text"))
    answer(queue.take())
    assert call.result()


def test_a_refused_version_says_what_it_was_told_to(served: Served) -> None:
    served.front.set_unready("m", "2", refused_load("BAD_DIGEST", "model.onnx: the digest differs"))
    served.open()
    error = refused(served.send(embed("text", version="2")))
    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "BAD_DIGEST")


def test_what_is_no_longer_unready_is_unknown(served: Served) -> None:
    served.front.set_unready("m", "1", unavailable("LOADING", "loading"))
    served.front.set_unready("m", "1", None)
    assert refused(served.send(embed("text"))).reason == "UNKNOWN_MODEL"


def test_a_closed_queue_hands_out_what_waits_and_admits_no_more(served: Served) -> None:
    queue = served.open()
    waiting = served.send(embed("waits"))
    served.until_waiting(rows=1)
    served.front.close_queue("m", "1")
    late = refused(served.send(embed("late")))
    assert late.code is grpc.StatusCode.NOT_FOUND
    answer(queue.take())
    assert waiting.result()
    assert queue.take() is None


def test_a_queue_that_was_closed_by_its_worker_is_unavailable(served: Served) -> None:
    queue = served.open()
    queue.close()
    error = refused(served.send(embed("late")))
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "VERSION_CLOSED")
    assert error.retry_after_s


def test_a_queue_is_replaced_and_what_waited_in_the_old_one_is_answered(served: Served) -> None:
    old = served.open()
    waiting = [served.send(embed("old")) for _ in range(3)]
    served.until_waiting(rows=3)
    new = served.open()
    late = served.send(embed("new"))
    answer(new.take(), b"by the new")
    answer(old.take(), b"by the old")
    assert {call.result() for call in waiting} == {b"by the old" + embed("old")}
    assert late.result() == b"by the new" + embed("new")
    assert old.take() is None


def test_closing_what_was_never_open_is_harmless(served: Served) -> None:
    served.front.close_queue("nonesuch", "1")
    served.front.set_default_version("nonesuch", None)
    served.front.set_unready("nonesuch", "1", None)


def test_a_task_that_the_model_does_not_offer_is_told_what_it_does(served: Served) -> None:
    served.open()
    error = refused(served.send(embed("text"), TAG.method))
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "TASK_NOT_OFFERED")
    assert error.message == "model 'm' does not answer TextService/Tag; it answers TextService/Embed"


def test_a_method_that_nobody_answers_is_unimplemented(served: Served) -> None:
    call = served.send(embed("text"), "/argosy.v1.TextService/Sing")
    error = refused(call)
    assert (error.code, error.reason) == (grpc.StatusCode.UNIMPLEMENTED, "UNKNOWN_METHOD")


def test_what_begins_as_an_open_method_is_answered_once_a_queue_names_it(served: Served) -> None:
    assert refused(served.send(embed("text"), OWN.method)).reason == "UNKNOWN_MODEL"
    queue = served.open(spec(routes=(EMBED, OWN)))
    call = served.send(embed("text"), OWN.method)
    batch = queue.take()
    assert batch.method == OWN.method
    answer(batch)
    assert call.result()


def test_an_open_method_of_a_model_that_loads_is_unavailable(served: Served) -> None:
    served.front.set_unready("m", "", unavailable("LOADING", "loading"))
    assert refused(served.send(embed("text"), OWN.method)).code is grpc.StatusCode.UNAVAILABLE


def test_an_open_method_that_the_model_does_not_offer_is_told_what_it_does(served: Served) -> None:
    served.open(spec(routes=(EMBED, OWN, TypedRoute(OWN.method.replace("Ask", "Embed"), 3, "texts"))))
    error = refused(served.send(embed("text"), OWN.method.replace("Ask", "Sing")))
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "TASK_NOT_OFFERED")
    answered = "TextService/Embed, MService/Ask, MService/Embed"
    assert error.message == f"model 'm' does not answer MService/Sing; it answers {answered}"


def test_an_open_method_ends_with_its_queue(served: Served) -> None:
    served.open(spec(routes=(OWN,)))
    served.front.close_queue("m", "1")
    served.front.set_default_version("m", None)
    assert refused(served.send(embed("text"), OWN.method)).code is grpc.StatusCode.NOT_FOUND


def test_an_empty_request_by_an_open_method_names_its_rows(served: Served) -> None:
    served.open(spec(routes=(OWN,)))
    assert refused(served.send(TextServiceEmbedRequest(model="m").SerializeToString(), OWN.method)).field == "texts"


def test_rows_of_a_method_that_only_its_queue_names_run_in_parts(served: Served) -> None:
    queue = served.open(spec(routes=(EMBED, OWN), max_batch_rows=2))
    call = served.send(embed("a", "b", "c"), OWN.method)
    batches = [queue.take(), queue.take()]
    assert [TextServiceEmbedRequest.FromString(batch.messages[0]).texts for batch in batches] == [["a", "b"], ["c"]]
    for batch in batches:
        answer(batch)
    assert call.result()


@pytest.mark.parametrize("method", [EMBED.method, INFER])
def test_a_message_for_another_model_than_it_was_routed_for_is_refused(served: Served, method: str) -> None:
    served.open()
    message = embed("text") if method == EMBED.method else raw_infer()
    error = refused(served.send(message, method, metadata=[("argosy-model", "other")]))
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "MODEL_MISMATCH")
    assert error.message == "the header argosy-model says 'other', the message says 'm'"


def test_one_of_two_routing_headers_that_differs_is_enough_to_refuse(served: Served) -> None:
    served.open()
    headers = [("argosy-model", "other"), ("argosy-model", "m")]
    assert refused(served.send(embed("text"), metadata=headers)).reason == "MODEL_MISMATCH"


def test_a_message_for_another_version_than_it_was_routed_for_is_refused(served: Served) -> None:
    served.open()
    error = refused(served.send(embed("text", version="1"), metadata=[("argosy-version", "2")]))
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "MODEL_MISMATCH")


def test_a_message_without_a_version_gets_the_one_it_was_routed_to(served: Served) -> None:
    served.open(spec(version="1"))
    second = served.front.open_queue(spec(version="2"))
    call = served.send(embed("text"), metadata=[("argosy-model", "m"), ("argosy-version", "2")])
    answer(second.take())
    assert call.result()


def test_of_a_model_that_is_named_twice_the_last_counts(served: Served) -> None:
    queue = served.open()
    twice = embed("text", model="other") + embed("text", model="m")
    assert refused(served.send(twice, metadata=[("argosy-model", "other")])).reason == "MODEL_MISMATCH"
    call = served.send(twice, metadata=[("argosy-model", "m")])
    answer(queue.take())
    assert call.result() == twice


def test_no_request_falls_between_queues_that_are_replaced_under_load(served: Served) -> None:
    def work(queue: Queue) -> None:
        while batch := queue.take():
            answer(batch)

    with ThreadPoolExecutor(21) as threads:
        workers = [threads.submit(work, served.open(spec(capacity_rows=10_000)))]
        calls = []
        for _ in range(20):
            calls += [served.send(embed("text")) for _ in range(20)]
            workers.append(threads.submit(work, served.open(spec(capacity_rows=10_000))))
        assert [call.exception() for call in calls] == [None] * 400
        served.front.close_queue("m", "1")
        for worker in workers:
            worker.result(timeout=10)
