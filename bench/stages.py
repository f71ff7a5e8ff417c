"""Where a service's time goes, by its own account: `ModelStatistics` has the time of each stage by size of the batch.

A stage's time is the clock's, of the whole batch; divided by the requests it is what one request cost in that stage.
"""

from dataclasses import dataclass

import grpc

from inference.grpc_service_pb2 import ModelStatisticsRequest, ModelStatisticsResponse
from tests.e2e.calls import call

MODEL_STATISTICS = "/inference.GRPCInferenceService/ModelStatistics"


@dataclass(frozen=True, slots=True)
class Stages:
    """Nanoseconds since the service began, of all batches, and how many there were."""

    preprocess_ns: int = 0
    compute_ns: int = 0
    postprocess_ns: int = 0
    batches: int = 0

    def since(self, before: "Stages") -> "Stages":
        return Stages(
            self.preprocess_ns - before.preprocess_ns,
            self.compute_ns - before.compute_ns,
            self.postprocess_ns - before.postprocess_ns,
            self.batches - before.batches,
        )

    def plus(self, more: "Stages") -> "Stages":
        return self.since(Stages().since(more))


def read(channel: grpc.Channel, model: str) -> Stages:
    """What the service says of the model so far. Raises grpc.RpcError."""
    reply = call(channel, MODEL_STATISTICS, ModelStatisticsRequest(name=model))
    (statistics,) = ModelStatisticsResponse.FromString(reply).model_stats
    batches = statistics.batch_stats
    return Stages(
        sum(batch.compute_input.ns for batch in batches),
        sum(batch.compute_infer.ns for batch in batches),
        sum(batch.compute_output.ns for batch in batches),
        sum(batch.compute_infer.count for batch in batches),
    )
