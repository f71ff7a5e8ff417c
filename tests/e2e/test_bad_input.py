"""The table of bad inputs through real models: each is refused as it should be, straight and through the router.

What is too large, nested too deep or has too much metadata is in `test_bad_sizes.py`.
"""

import math
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

from argosy.v1 import manifest_pb2 as pb
from argosy.v1 import model_pb2, text_pb2
from argosy.v1.tabular_pb2 import TabularServicePredictResponse
from argosy.v1.vision_pb2 import VisionServiceClassifyResponse
from inference.grpc_service_pb2 import ModelInferResponse
from services.runtime.fronts import FRONTS
from tests.e2e import traffic as t
from tests.e2e.bad_requests import BadRequest, bad_requests
from tests.e2e.calls import call, refused
from tests.e2e.conftest import LIST_MODELS, ROUTED, WAYS, Target, front_of
from tests.e2e.disk import copy_models, hold_up
from tests.e2e.harness import Processes, Server
from tests.e2e.metrics import read_metrics, wait_until

CASES = bad_requests()


@pytest.mark.parametrize("bad", CASES, ids=lambda bad: bad.name)
def test_a_bad_request_is_refused_with_its_cause(bad: BadRequest, target: Target) -> None:
    error = refused(target.channel(bad.kind), bad.method, bad.message())

    assert error.code == bad.code, error
    assert error.reason == bad.reasons[target.router is not None], error
    assert bad.says in error.message, error


def test_what_follows_bad_requests_is_answered(target: Target) -> None:
    before = likeliest(target)
    for bad in CASES:
        refused(target.channel(bad.kind), bad.method, bad.message())

    assert likeliest(target) == before
    assert [label for label, _ in before] == ["7", "positive", "<=50K"]


@pytest.mark.parametrize("front", sorted(FRONTS))
def test_malformed_messages_are_counted_by_reason(front: str, services_on: Callable[[str], dict[str, Server]]) -> None:
    service = services_on(front)["vision"]

    def count() -> float:
        return read_metrics(service.metrics_address).get('argosy_errors_total{reason="MALFORMED_MESSAGE"}', 0.0)

    before = count()
    refused(service.channel, t.VISION_CLASSIFY, b"\xff\xff")
    assert count() == before + 1


def test_nul_in_a_text_neither_cuts_nor_fails_where_the_tokenizer_drops_it(target: Target) -> None:
    message = call(target.channel("text"), t.TEXT_EMBED, t.embed("I love it.", "I lo\0ve\0 it.\0", "I lo"))
    whole, with_nul, cut = (
        list(each.embedding.values) for each in text_pb2.TextServiceEmbedResponse.FromString(message).results
    )
    assert with_nul == pytest.approx(whole, abs=1e-6)
    assert cut != pytest.approx(whole, abs=1e-2)


def test_nul_in_a_text_is_one_token_more_where_the_tokenizer_does_not_know_it(target: Target) -> None:
    message = call(target.channel("text"), t.TEXT_CLASSIFY, t.read("I love it.", "I love\0 it."))
    without, with_nul = text_pb2.TextServiceClassifyResponse.FromString(message).results
    assert with_nul.reading.token_count == without.reading.token_count + 1


def test_a_missing_number_that_the_model_imputes_is_answered_and_named(target: Target) -> None:
    imputed = next(
        column.name
        for column in t.manifest("income").table.columns
        if column.missing == pb.MISSING_POLICY_IMPUTE and column.kind == pb.COLUMN_KIND_NUMBER
    )
    message = t.predict(t.row("income", **{imputed: float("nan")}))
    reply = TabularServicePredictResponse.FromString(call(target.channel("tabular"), t.PREDICT, message))
    assert list(reply.results[0].imputed_columns) == [imputed]


def test_what_the_model_imputes_of_a_callers_own_tensors_is_told_in_the_answers_parameters(target: Target) -> None:
    text, number = (
        next(
            column
            for column in t.manifest("income").table.columns
            if column.missing == pb.MISSING_POLICY_IMPUTE and column.kind == kind
        ).name
        for kind in (pb.COLUMN_KIND_TEXT, pb.COLUMN_KIND_NUMBER)
    )
    for change, told in ((None, []), ((text, b""), [text]), ((number, math.nan), [number])):
        answered = call(target.channel("tabular"), t.MODEL_INFER, t.infer_row("income", change=change))
        assert [*ModelInferResponse.FromString(answered).parameters] == [f"imputed.{name}" for name in told]


@pytest.mark.parametrize("way", WAYS)
def test_a_model_that_still_loads_is_unavailable_with_a_time_to_come_back(
    way: str, processes: Processes, tmp_path: Path
) -> None:
    models = copy_models(tmp_path / "models", "digits")
    go_on = hold_up(models / "digits" / "1")
    service = processes.service("vision", models, "--front", front_of(way), loaded=False)
    server = processes.router(tmp_path, {"vision": [service.address]}) if way == ROUTED else service
    wait_until(lambda: states(server) == {"digits": model_pb2.MODEL_STATE_LOADING})

    by_default = refused(server.channel, t.VISION_CLASSIFY, t.classify(t.seven()))
    by_version = refused(server.channel, t.VISION_CLASSIFY, t.classify(t.seven(), version="1"))
    go_on()

    for error in (by_default, by_version):
        assert error.code == grpc.StatusCode.UNAVAILABLE
        assert error.reason == ("NO_READY_ENDPOINT" if way == ROUTED else "MODEL_LOADING")
        assert error.retry_after_s is not None
    service.process.wait_for("loaded")


def states(server: Server) -> dict[str, int]:
    """The models that are listed, each with the state of its one version."""
    reply = model_pb2.ListModelsResponse.FromString(call(server.channel, LIST_MODELS, b""))
    return {status.model: status.state for status in reply.models}


def likeliest(target: Target) -> list[tuple[str, float]]:
    """The class of a picture, a text and a row, each with its score."""
    picture = VisionServiceClassifyResponse.FromString(
        call(target.channel("vision"), t.VISION_CLASSIFY, t.classify(t.seven()))
    )
    text = text_pb2.TextServiceClassifyResponse.FromString(
        call(target.channel("text"), t.TEXT_CLASSIFY, t.read("I love it."))
    )
    row = TabularServicePredictResponse.FromString(
        call(target.channel("tabular"), t.PREDICT, t.predict(t.row("income")))
    )
    found = (reply.results[0].categories[0] for reply in (picture, text, row))
    return [(category.label, category.score) for category in found]
