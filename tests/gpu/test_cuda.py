"""A service on a CUDA card answers as on the CPU, and says where it ran. Needs a card and onnxruntime-gpu."""

import onnxruntime
import pytest

from argosy.v1.vision_pb2 import VisionServiceClassifyResponse
from tests.e2e.harness import Processes, Server
from tests.e2e.traffic import MODELS, classify, seven

CLASSIFY = "/argosy.v1.VisionService/Classify"

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        "CUDAExecutionProvider" not in onnxruntime.get_available_providers(),
        reason="needs an NVIDIA card and onnxruntime-gpu: this ONNX Runtime has no CUDA execution provider",
    ),
]


def answer(processes: Processes, service: Server) -> tuple[VisionServiceClassifyResponse, dict[str, str]]:
    send = processes.channel(service.address).unary_unary(CLASSIFY)
    reply, call = send.with_call(classify(seven()), timeout=30)
    return VisionServiceClassifyResponse.FromString(reply), dict(call.trailing_metadata())


@pytest.mark.parametrize("model", ["digits"])
def test_a_model_on_the_card_answers_as_on_the_cpu(model: str) -> None:
    with Processes() as processes:
        card = processes.service("vision", MODELS, "--model", model, "--provider", "cuda")
        cpu = processes.service("vision", MODELS, "--model", model)
        on_card, trailers = answer(processes, card)
        on_cpu, _ = answer(processes, cpu)
    assert trailers["argosy-device"].startswith("cuda:")
    [best], [wanted] = on_card.results[0].categories[:1], on_cpu.results[0].categories[:1]
    assert (best.label, best.score) == (wanted.label, pytest.approx(wanted.score, abs=1e-3))
