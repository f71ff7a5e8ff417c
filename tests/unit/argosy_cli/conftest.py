"""A small fleet behind a real gRPC server: models simple enough that a test can say what they must answer."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health import HealthServicer
from grpc_status import rpc_status

from argosy.v1 import manifest_pb2 as manifests
from argosy.v1 import (
    model_pb2,
    model_pb2_grpc,
    tabular_pb2,
    tabular_pb2_grpc,
    text_pb2,
    text_pb2_grpc,
    vision_pb2,
    vision_pb2_grpc,
)
from argosy.v1.prediction_pb2 import Category, Embedding

SUM = manifests.ModelManifest(
    name="sum",
    version="3",
    description="The sum of two columns.",
    tasks=[manifests.TASK_TABULAR_REGRESSION],
    inputs=[manifests.TensorSpec(name="x", data_type=manifests.DATA_TYPE_FP32, shape=[-1, 2])],
    outputs=[manifests.TensorSpec(name="total", role=manifests.OUTPUT_ROLE_VALUE)],
    table=manifests.TablePreprocessing(
        columns=[
            manifests.TableColumn(name="a", kind=manifests.COLUMN_KIND_NUMBER, input="x", unit="kg"),
            manifests.TableColumn(name="b", kind=manifests.COLUMN_KIND_NUMBER, input="x", index=1),
            manifests.TableColumn(name="note", kind=manifests.COLUMN_KIND_TEXT, input="note"),
        ]
    ),
    metrics=[manifests.Metric(name="mse", value=0.5, split="test", row_count=10)],
)
BRIGHTNESS = manifests.ModelManifest(
    name="brightness",
    version="1",
    tasks=[manifests.TASK_IMAGE_CLASSIFICATION, manifests.TASK_IMAGE_EMBEDDING],
)
LENGTH = manifests.ModelManifest(name="length", version="1", tasks=[manifests.TASK_TEXT_CLASSIFICATION])
# As LENGTH, with its classes named.
NAMED_LENGTH = manifests.ModelManifest(
    name="named-length", version="1", tasks=[manifests.TASK_TEXT_CLASSIFICATION], labels=["[short]", "[long]"]
)
VECTORS = manifests.ModelManifest(name="vectors", version="1", tasks=[manifests.TASK_TEXT_EMBEDDING])
MANIFESTS = {manifest.name: manifest for manifest in (SUM, BRIGHTNESS, LENGTH)}
# Asked for by name, and not listed.
UNLISTED = {manifest.name: manifest for manifest in (NAMED_LENGTH, VECTORS)}


class SmallFleet(
    model_pb2_grpc.ModelServiceServicer,
    tabular_pb2_grpc.TabularServiceServicer,
    text_pb2_grpc.TextServiceServicer,
    vision_pb2_grpc.VisionServiceServicer,
):
    """Three models. `model_headers` keeps what each request said in the header argosy-model."""

    def __init__(self):
        self.model_headers = []

    def ListModels(self, request, context):
        models = [_status(manifest) for manifest in MANIFESTS.values()]
        return model_pb2.ListModelsResponse(models=models, front="native")

    def WatchModels(self, request, context):
        yield model_pb2.WatchModelsResponse(models=[_status(manifest) for manifest in MANIFESTS.values()])

    def GetModel(self, request, context):
        known = MANIFESTS | UNLISTED
        if request.model not in known:
            _refuse(context, grpc.StatusCode.NOT_FOUND, "UNKNOWN_MODEL", f"no model '{request.model}'")
        return model_pb2.GetModelResponse(manifest=known[request.model])

    def Predict(self, request, context):
        self._answer(context, len(request.rows))
        results = []
        for row in request.rows:
            total = row["a"] + row["b"]
            results.append(tabular_pb2.RowPrediction(quantities=[tabular_pb2.Quantity(name="total", value=total)]))
        return tabular_pb2.TabularServicePredictResponse(model="sum", version="3", results=results)

    def Classify(self, request, context):
        if isinstance(request, text_pb2.TextServiceClassifyRequest):
            return self._classify_texts(request, context)
        if request.images[0] == b"broken":
            _refuse(context, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT", "image 0 is no image:\nno header")
        self._answer(context, len(request.images))
        label = "bright" if max(request.images[0]) > 127 else "dark"
        result = vision_pb2.ImageClassification(categories=[Category(label=label, score=1)])
        return vision_pb2.VisionServiceClassifyResponse(version="1", results=[result] * len(request.images))

    def Embed(self, request, context):
        embeddings = [Embedding(values=[len(image), 0.5, 0.25, 0.125]) for image in request.images]
        return vision_pb2.VisionServiceEmbedResponse(version="1", results=embeddings)

    def Detect(self, request, context):
        raise NotImplementedError

    def Tag(self, request, context):
        raise NotImplementedError

    def _classify_texts(self, request, context):
        if request.texts[0] == "slow":
            # Until the caller has gone.
            gone = threading.Event()
            context.add_callback(gone.set)
            gone.wait(5)
        self._answer(context, len(request.texts))
        results = [
            text_pb2.TextClassification(
                categories=[
                    Category(label="[long]" if len(text) > 9 else "[short]", index=int(len(text) > 9), score=0.9)
                ]
            )
            for text in request.texts
        ]
        return text_pb2.TextServiceClassifyResponse(version="1", results=results)

    def _answer(self, context, row_count):
        self.model_headers += [value for key, value in context.invocation_metadata() if key == "argosy-model"]
        context.set_trailing_metadata(
            (
                ("argosy-queue-us", "11"),
                ("argosy-compute-us", "22"),
                ("argosy-batch-rows", str(row_count)),
                ("argosy-device", "cpu"),
            )
        )


def _status(manifest):
    return model_pb2.ModelStatus(
        model=manifest.name,
        version=manifest.version,
        state=model_pb2.MODEL_STATE_READY,
        default_version=True,
        tasks=manifest.tasks,
        execution_provider="CPUExecutionProvider",
        ready_endpoint_count=1,
    )


def _refuse(context, code, reason, message):
    detail = AnyMessage()
    detail.Pack(ErrorInfo(reason=reason, domain="argosy"))
    context.abort_with_status(rpc_status.to_status(Status(code=code.value[0], message=message, details=[detail])))


@pytest.fixture
def small_fleet() -> Iterator[tuple[str, SmallFleet]]:
    """(address, the fleet that serves there)."""
    fleet = SmallFleet()
    server = grpc.server(ThreadPoolExecutor(4))
    model_pb2_grpc.add_ModelServiceServicer_to_server(fleet, server)
    tabular_pb2_grpc.add_TabularServiceServicer_to_server(fleet, server)
    text_pb2_grpc.add_TextServiceServicer_to_server(fleet, server)
    vision_pb2_grpc.add_VisionServiceServicer_to_server(fleet, server)
    health_pb2_grpc.add_HealthServicer_to_server(HealthServicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}", fleet
    server.stop(None).wait()


@pytest.fixture
def silent_address() -> Iterator[str]:
    """An address that nothing listens on for as long as the test runs."""
    import socket

    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"
