"""Services on a CUDA card: they answer as on the CPU, and say where they ran."""

from pathlib import Path

import grpc
import pytest

from argosy.v1.text_pb2 import TextServiceEmbedResponse
from argosy.v1.vision_pb2 import VisionServiceClassifyResponse
from tests.e2e import traffic as t
from tests.e2e.calls import call, refused
from tests.e2e.disk import copy_models
from tests.e2e.harness import Processes, Server
from tests.gpu.card import NEEDS_CARD

pytestmark = NEEDS_CARD

CAPTURED = "cuda_graphs: true\npreferred_batch_rows: [1, 8, 32]\n"


def answer(server: Server, method: str, request: bytes) -> tuple[bytes, dict[str, str]]:
    reply, answered = server.channel.unary_unary(method).with_call(request, 60)
    return reply, dict(answered.trailing_metadata())


@pytest.mark.parametrize("serving", ["", CAPTURED], ids=["runs", "graphs"])
def test_an_image_is_classified_on_the_card_as_on_the_cpu(serving: str, tmp_path: Path) -> None:
    models = copy_models(tmp_path / "models", "digits")
    request = t.classify(t.seven())
    with Processes() as processes:
        on_cpu, _ = answer(processes.service("vision", models), t.VISION_CLASSIFY, request)
        (models / "digits" / "serving.yaml").write_text(serving)
        card = processes.service("vision", models, "--provider", "cuda")
        answers = [answer(card, t.VISION_CLASSIFY, request) for _ in range(4)]
    [wanted] = VisionServiceClassifyResponse.FromString(on_cpu).results[0].categories[:1]
    for reply, trailers in answers:
        [best] = VisionServiceClassifyResponse.FromString(reply).results[0].categories[:1]
        assert (best.label, best.score) == (wanted.label, pytest.approx(wanted.score, abs=1e-3))
        assert trailers["argosy-device"] == "cuda:0"


def test_texts_of_many_lengths_are_embedded_on_the_card_as_on_the_cpu() -> None:
    texts = [" ".join(["word"] * length) for length in range(1, 40)]
    flags = ("--model", "minilm")
    with Processes() as processes:
        replies = [
            answer(processes.service("text", t.MODELS, *flags, "--provider", provider), t.TEXT_EMBED, t.embed(*texts))
            for provider in ("cuda", "cpu")
        ]
    card, cpu = (TextServiceEmbedResponse.FromString(reply).results for reply, _ in replies)
    assert len(card) == len(cpu) == len(texts)
    for found, wanted in zip(card, cpu, strict=True):
        assert list(found.embedding.values) == pytest.approx(list(wanted.embedding.values), abs=1e-3)


def test_a_token_beyond_the_vocabulary_is_refused_on_the_card_as_on_the_cpu() -> None:
    beyond = t.infer_tokens("sentiment", [10**6], mask=[1])
    with Processes() as processes:
        for provider in ("cuda", "cpu"):
            service = processes.service("text", t.MODELS, "--model", "sentiment", "--provider", provider)
            error = refused(service.channel, t.MODEL_INFER, beyond)
            assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "VALUE_OUT_OF_RANGE")


def test_a_request_that_the_card_has_no_room_for_is_refused_and_the_next_answered(tmp_path: Path) -> None:
    models = copy_models(tmp_path / "models", "minilm")
    # The weights, 86 MiB, and the warm-up's few tokens fit; the products of 32 x 12 heads x 256 x 256 tokens, 96 MiB,
    # do not.
    (models / "minilm" / "serving.yaml").write_text("device_memory_mb: 160\ninstances: 1\n")
    with Processes() as processes:
        card = processes.service("text", models, "--provider", "cuda")
        error = refused(card.channel, t.TEXT_EMBED, t.embed(*[" ".join(["word"] * 300)] * 32))
        assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "DEVICE_MEMORY")
        assert TextServiceEmbedResponse.FromString(call(card.channel, t.TEXT_EMBED, t.embed("A word."))).results
