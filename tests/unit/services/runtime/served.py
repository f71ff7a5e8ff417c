"""A repository behind a real front, and calls to it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np

from argosy.v1.model_pb2 import ModelState
from inference.grpc_service_pb2 import ModelInferRequest, ModelInferResponse
from services.runtime.devices import Execution
from services.runtime.errors import ServingError
from services.runtime.front import Front
from services.runtime.repository import ModelRepository
from tests.unit.services.runtime.tiny import REGRESSION, TENSORS_ONLY

MODEL_INFER = "/inference.GRPCInferenceService/ModelInfer"


@dataclass(frozen=True, slots=True)
class Served:
    """`models` is the folder that the repository reads."""

    models: Path
    front: Front
    repository: ModelRepository
    channel: grpc.Channel

    def infer(self, *rows: tuple[float, float, float], model: str = "tiny", version: str = "") -> list[list[float]]:
        """The rows of y. Raises grpc.RpcError."""
        request = ModelInferRequest(model_name=model, model_version=version)
        request.inputs.add(name="x", datatype="FP32", shape=(len(rows), 3))
        request.raw_input_contents.append(np.array(rows, "<f4").tobytes())
        message = self.channel.unary_unary(MODEL_INFER)(request.SerializeToString(), 20)
        raw = ModelInferResponse.FromString(message).raw_output_contents[0]
        rows_out: list[list[float]] = np.frombuffer(raw, "<f4").reshape(-1, 3).tolist()
        return rows_out

    def states(self) -> dict[str, str]:
        """'model/version' -> READY …; '*' marks the default version."""
        return {
            f"{s.model}/{s.version}": ModelState.Name(s.state).removeprefix("MODEL_STATE_") + "*" * s.default_version
            for s in self.repository.statuses()
        }


def repository(models: Path, front: Front, **settings: object) -> ModelRepository:
    """One that serves tensors alone, on one thread."""
    defaults: dict[str, object] = {
        "tasks": [REGRESSION],
        "task_code": TENSORS_ONLY,
        "executions": lambda _model, config: (Execution(config.provider or "cpu"),),
    }
    return ModelRepository(models, front=front, **{**defaults, **settings})


def refusal(call: Callable[[], object]) -> str:
    """The reason of the ServingError that `call` raises."""
    try:
        call()
    except ServingError as error:
        return error.reason
    raise AssertionError("it was not refused")


def code(call: Callable[[], object]) -> grpc.StatusCode:
    """The status that `call` fails with."""
    try:
        call()
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK
