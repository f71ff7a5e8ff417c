import asyncio
from dataclasses import replace

import grpc
import grpc.aio
import pytest

from argosy.v1.model_pb2 import MODEL_STATE_LOADING as LOADING
from argosy.v1.model_pb2 import MODEL_STATE_READY as READY
from argosy.v1.model_pb2 import MODEL_STATE_UNLOADED as UNLOADED
from argosy.v1.model_pb2 import ModelState
from inference.grpc_service_pb2 import InferBatchStatistics, InferStatistics, ModelStatistics, StatisticDuration
from services.router.fan_out import Outcome, heard_of, owners, raise_failure, replies, with_model
from services.router.fleet import Fleet
from services.router.inventory import Endpoint, Link
from services.router.statistics import added_up
from services.runtime.errors import Cause, ServingError, refused_load
from services.runtime.status import DETAILS_TRAILER, grpc_code, status_details
from tests.unit.services.router.builders import endpoint, inventory, version

TEXT, OTHER_TEXT = endpoint("h:1", "small:1"), endpoint("h:2", link=Link.UP)
VISION = endpoint("h:3", "cat:1", service="vision")


def failed(where: Endpoint, code: grpc.StatusCode) -> Outcome:
    """As grpcio says it, of an endpoint that does not."""
    none = grpc.aio.Metadata()
    return Outcome(where, failure=grpc.aio.AioRpcError(code, none, none, "ipv4:10.1.2.3:8520: refused"))


def refused(where: Endpoint, error: ServingError) -> Outcome:
    """As an endpoint says it."""
    none, trailers = grpc.aio.Metadata(), grpc.aio.Metadata((DETAILS_TRAILER, status_details(error)))
    code = next(code for code in grpc.StatusCode if code.value[0] == grpc_code(error))
    return Outcome(where, failure=grpc.aio.AioRpcError(code, none, trailers, error.message))


def test_a_model_is_owned_by_all_endpoints_of_the_services_that_report_it() -> None:
    assert owners(inventory(TEXT, OTHER_TEXT, VISION), "small") == [TEXT, OTHER_TEXT]


def test_a_model_that_nobody_reports_may_be_anybodys() -> None:
    assert owners(inventory(TEXT, VISION), "new") == [TEXT, VISION]


def test_only_endpoints_that_have_the_model_ready_are_asked_for_its_statistics() -> None:
    here = inventory(TEXT, OTHER_TEXT, VISION)
    assert with_model(here, "small", "") == [TEXT]
    assert with_model(here, "small", "2") == []
    assert with_model(here, "", "") == [TEXT, OTHER_TEXT, VISION]


def test_a_service_without_the_model_is_no_failure_where_another_has_it() -> None:
    raise_failure([Outcome(TEXT), failed(VISION, grpc.StatusCode.NOT_FOUND)], "small")


def test_a_model_that_no_service_has_is_not_found() -> None:
    with pytest.raises(ServingError) as caught:
        raise_failure([failed(TEXT, grpc.StatusCode.NOT_FOUND), failed(VISION, grpc.StatusCode.NOT_FOUND)], "new")
    assert caught.value.cause is Cause.NOT_FOUND


@pytest.mark.parametrize(
    ("loaded", "before", "after"),
    [
        (True, [], [READY]),
        (True, [UNLOADED], [READY]),
        (True, [LOADING, READY], [READY, READY]),
        (False, [READY, READY], [UNLOADED, UNLOADED]),
    ],
    ids=["new", "again", "another version", "gone"],
)
def test_who_asked_for_it_is_answered_once_every_endpoint_that_did_it_reports_it(
    loaded: bool, before: list[ModelState.ValueType], after: list[ModelState.ValueType]
) -> None:
    def reports(address: str, states: list[ModelState.ValueType]) -> Endpoint:
        models = [version(f"small:{number}", state) for number, state in enumerate(states)]
        return endpoint(address, *models)

    async def answered_after_each_report() -> list[bool]:
        fleet = Fleet()
        for one in (reports("h:1", before), reports("h:2", before), VISION):
            fleet.put(one)
        outcomes = [Outcome(TEXT), Outcome(OTHER_TEXT), failed(VISION, grpc.StatusCode.NOT_FOUND)]
        waiting = asyncio.create_task(heard_of(fleet, outcomes, "small", loaded=loaded))
        found = []
        for address in ("", "h:1", "h:2"):
            if address:
                fleet.put(reports(address, after))
            await asyncio.sleep(0.01)
            found.append(waiting.done())
        return found

    assert asyncio.run(answered_after_each_report()) == [False, False, True]


def test_an_endpoint_that_is_lost_is_not_waited_for() -> None:
    async def wait() -> None:
        fleet = Fleet()
        fleet.put(replace(TEXT, link=Link.LOST, models=()))
        await asyncio.wait_for(heard_of(fleet, [Outcome(TEXT)], "small", loaded=True), 1)

    asyncio.run(wait())


def test_one_endpoint_that_fails_fails_the_load_and_says_why() -> None:
    outcomes = [Outcome(TEXT), refused(OTHER_TEXT, refused_load("DIGEST_MISMATCH", "a digest differs"))]
    with pytest.raises(ServingError) as caught:
        raise_failure(outcomes, "small")
    assert (caught.value.cause, caught.value.reason) == (Cause.REFUSED_LOAD, "DIGEST_MISMATCH")
    assert caught.value.message == "1 of 2 endpoints of text failed: a digest differs"


def test_a_load_that_an_endpoint_did_not_answer_says_when_to_try_again_and_shows_no_address() -> None:
    with pytest.raises(ServingError) as caught:
        raise_failure([Outcome(TEXT), failed(OTHER_TEXT, grpc.StatusCode.UNAVAILABLE)], "small")
    assert (caught.value.cause, caught.value.reason) == (Cause.UNAVAILABLE, "LOAD_FAILED")
    assert caught.value.message == "1 of 2 endpoints of text failed"
    assert caught.value.retry_after_s


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED])
def test_statistics_without_those_of_one_endpoint_are_not_told(code: grpc.StatusCode) -> None:
    with pytest.raises(ServingError) as caught:
        replies([Outcome(TEXT), failed(OTHER_TEXT, code)], "small", "")
    assert (caught.value.cause, caught.value.reason) == (Cause.UNAVAILABLE, "STATISTICS_INCOMPLETE")
    assert caught.value.message == "1 of 2 endpoints did not answer: try again"
    assert caught.value.retry_after_s


def test_an_endpoint_that_has_just_unloaded_the_model_has_no_statistics_of_it() -> None:
    gone = failed(OTHER_TEXT, grpc.StatusCode.NOT_FOUND)
    assert replies([Outcome(TEXT, reply=b"its own"), gone], "small", "") == [b"its own"]
    with pytest.raises(ServingError) as caught:
        replies([gone], "small", "")
    assert caught.value.cause is Cause.NOT_FOUND


def test_statistics_are_sums_and_the_last_inference_is_the_latest() -> None:
    def one(count: int, last: int, size: int) -> ModelStatistics:
        took = StatisticDuration(count=count, ns=10 * count)
        return ModelStatistics(
            name="small",
            version="1",
            last_inference=last,
            inference_count=count,
            execution_count=1,
            inference_stats=InferStatistics(success=took),
            batch_stats=[InferBatchStatistics(batch_size=size, compute_infer=took)],
        )

    (total,) = added_up([one(3, 100, 4), one(5, 90, 4), one(1, 80, 2)])
    assert (total.inference_count, total.execution_count, total.last_inference) == (9, 3, 100)
    assert total.inference_stats.success == StatisticDuration(count=9, ns=90)
    assert [(b.batch_size, b.compute_infer.count) for b in total.batch_stats] == [(2, 1), (4, 8)]
