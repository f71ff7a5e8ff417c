"""A gRPC server that answers TextService.Classify as a test scripts it, on a real socket."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import grpc
import pytest

from argosy.v1.prediction_pb2 import Category
from argosy.v1.text_pb2 import TextClassification, TextServiceClassifyRequest, TextServiceClassifyResponse
from argosy.v1.text_pb2_grpc import TextServiceServicer, add_TextServiceServicer_to_server
from services.runtime.errors import ServingError
from services.runtime.status import DETAILS_TRAILER, bounded_message, grpc_code, status_details

CODES = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(slots=True)
class Script:
    """The errors to answer with, first to last, before there are answers; and what came."""

    errors: list[ServingError] = field(default_factory=list)
    before_answer: Callable[[], object] = lambda: None
    requests: list[TextServiceClassifyRequest] = field(default_factory=list)
    metadata: list[dict[str, str | bytes]] = field(default_factory=list)


class ScriptedText(TextServiceServicer):
    """Labels each text with itself."""

    def __init__(self, script: Script) -> None:
        self._script = script

    def Classify(
        self, request: TextServiceClassifyRequest, context: grpc.ServicerContext
    ) -> TextServiceClassifyResponse:
        self._script.requests.append(request)
        self._script.metadata.append(dict(context.invocation_metadata()))
        if self._script.errors:
            error = self._script.errors.pop(0)
            context.set_trailing_metadata(((DETAILS_TRAILER, status_details(error)),))
            context.abort(CODES[grpc_code(error)], bounded_message(error))
        self._script.before_answer()
        context.set_trailing_metadata((("argosy-queue-us", "12"), ("argosy-device", "cpu")))
        results = [TextClassification(categories=[Category(label=text, score=0.5)]) for text in request.texts]
        return TextServiceClassifyResponse(model=request.model, version="1", results=results)


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def address(script: Script) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
    add_TextServiceServicer_to_server(ScriptedText(script), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()
