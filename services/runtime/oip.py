"""The Open Inference Protocol's calls about a server and its models; ModelInfer itself is the front's.

Extensions (`extensions.py`), states (`index.py`) and what an empty name or version means are Triton's, so that its own
clients work unchanged.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

from google.protobuf.message import Message

from inference import grpc_service_pb2 as pb
from inference.model_config_pb2 import (
    DataType,
    ModelConfig,
    ModelDynamicBatching,
    ModelInput,
    ModelInstanceGroup,
    ModelOutput,
    ModelResponseCache,
    ModelSequenceBatching,
)
from services.runtime.errors import ServingError, unnamed_model
from services.runtime.extensions import EXTENSIONS
from services.runtime.front import TensorSignature, UnaryAnswer
from services.runtime.front_stats import CacheStats, FrontStats, Histogram, QueueStats
from services.runtime.index import repository_index
from services.runtime.messages import parse
from services.runtime.repository import ModelRepository
from services.runtime.repository_calls import check_index, check_load, check_unload
from services.runtime.sequences import Sequences
from services.runtime.serving_config import ServingConfig
from services.runtime.stages import COMPUTE, POSTPROCESS, PREPROCESS, BatchTotals, StageStats
from services.runtime.version import LoadedVersion

OIP_SERVICE = "inference.GRPCInferenceService"
PLATFORM = "onnxruntime_onnx"

Request = TypeVar("Request", bound=Message)


class InferenceProtocol:
    """The answers of one service: `name` and `version` are its own, `ready` says whether it may be sent traffic."""

    def __init__(
        self,
        *,
        name: str,
        version: str,
        repository: ModelRepository,
        stats: Callable[[], FrontStats],
        ready: Callable[[], bool],
    ) -> None:
        self._name, self._version = name, version
        self._repository = repository
        self._stats = stats
        self._ready = ready

    def answers(self) -> Mapping[str, UnaryAnswer]:
        """Full method name -> what answers it."""
        methods = {
            "ServerLive": _answer(pb.ServerLiveRequest, lambda _: pb.ServerLiveResponse(live=True)),
            "ServerReady": _answer(pb.ServerReadyRequest, lambda _: pb.ServerReadyResponse(ready=self._ready())),
            "ServerMetadata": _answer(pb.ServerMetadataRequest, self._server_metadata),
            "ModelReady": _answer(pb.ModelReadyRequest, self._model_ready),
            "ModelMetadata": _answer(pb.ModelMetadataRequest, self._model_metadata),
            "ModelConfig": _answer(pb.ModelConfigRequest, self._model_config),
            "ModelStatistics": _answer(pb.ModelStatisticsRequest, self._model_statistics),
            "RepositoryIndex": _answer(pb.RepositoryIndexRequest, self._index),
            "RepositoryModelLoad": _answer(pb.RepositoryModelLoadRequest, self._load),
            "RepositoryModelUnload": _answer(pb.RepositoryModelUnloadRequest, self._unload),
        }
        return {f"/{OIP_SERVICE}/{method}": answer for method, answer in methods.items()}

    def _server_metadata(self, _: pb.ServerMetadataRequest) -> pb.ServerMetadataResponse:
        return pb.ServerMetadataResponse(name=self._name, version=self._version, extensions=EXTENSIONS)

    def _model_ready(self, request: pb.ModelReadyRequest) -> pb.ModelReadyResponse:
        try:
            self._repository.manifest(request.name, request.version)
        except ServingError:
            return pb.ModelReadyResponse(ready=False)
        return pb.ModelReadyResponse(ready=True)

    def _model_metadata(self, request: pb.ModelMetadataRequest) -> pb.ModelMetadataResponse:
        loaded = self._loaded(request.name, request.version)
        return pb.ModelMetadataResponse(
            name=request.name,
            versions=self._repository.ready_versions(request.name),
            platform=PLATFORM,
            inputs=map(_metadata, loaded.signature.inputs),
            outputs=map(_metadata, loaded.signature.outputs),
        )

    def _model_config(self, request: pb.ModelConfigRequest) -> pb.ModelConfigResponse:
        return pb.ModelConfigResponse(config=_config(self._loaded(request.name, request.version)))

    def _loaded(self, model: str, version: str) -> LoadedVersion:
        if not model:
            raise unnamed_model()
        return self._repository.loaded(model, version)

    def _model_statistics(self, request: pb.ModelStatisticsRequest) -> pb.ModelStatisticsResponse:
        if request.name:
            self._repository.manifest(request.name, request.version)  # NOT_FOUND for one that is not there
        chosen = [
            queue
            for queue in self._stats().queues
            if request.name in ("", queue.model) and request.version in ("", queue.version)
        ]
        stages = {(found.model, found.version): found for found in self._repository.stages()}
        pairs = [(queue, stages.get((queue.model, queue.version))) for queue in chosen]
        return pb.ModelStatisticsResponse(model_stats=[_statistics(queue, found) for queue, found in pairs if found])

    def _index(self, request: pb.RepositoryIndexRequest) -> pb.RepositoryIndexResponse:
        check_index(request)
        return repository_index(self._repository.statuses(), ready_only=request.ready)

    def _load(self, request: pb.RepositoryModelLoadRequest) -> pb.RepositoryModelLoadResponse:
        check_load(request)
        self._repository.load(request.model_name)
        return pb.RepositoryModelLoadResponse()

    def _unload(self, request: pb.RepositoryModelUnloadRequest) -> pb.RepositoryModelUnloadResponse:
        check_unload(request)
        self._repository.unload(request.model_name)
        return pb.RepositoryModelUnloadResponse()


def _answer(request_type: type[Request], answer: Callable[[Request], Message]) -> UnaryAnswer:
    return lambda message: answer(parse(request_type, message)).SerializeToString()


def _metadata(tensor: TensorSignature) -> pb.ModelMetadataResponse.TensorMetadata:
    return pb.ModelMetadataResponse.TensorMetadata(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)


def _config(loaded: LoadedVersion) -> ModelConfig:
    kind = ModelInstanceGroup.KIND_CPU if loaded.device == "cpu" else ModelInstanceGroup.KIND_GPU
    config = ModelConfig(
        name=loaded.manifest.name,
        platform=PLATFORM,
        backend="onnxruntime",
        max_batch_size=loaded.config.max_batch_rows,
        input=[ModelInput(name=t.name, data_type=_data_type(t), dims=t.shape[1:]) for t in loaded.signature.inputs],
        output=[ModelOutput(name=t.name, data_type=_data_type(t), dims=t.shape[1:]) for t in loaded.signature.outputs],
        instance_group=[ModelInstanceGroup(name=loaded.manifest.name, kind=kind, count=loaded.instances)],
        default_model_filename="model.onnx",
        response_cache=ModelResponseCache(enable=loaded.config.cache_bytes > 0),
    )
    if loaded.sequences is None:
        config.dynamic_batching.CopyFrom(_dynamic_batching(loaded.config))
    else:
        config.sequence_batching.CopyFrom(_sequence_batching(loaded.config, loaded.sequences))
    return config


def _dynamic_batching(config: ServingConfig) -> ModelDynamicBatching:
    return ModelDynamicBatching(
        preferred_batch_size=config.preferred_batch_rows,
        max_queue_delay_microseconds=config.max_wait_us,
        priority_levels=config.priority_levels,
        default_priority_level=config.default_priority_level,
    )


def _sequence_batching(config: ServingConfig, sequences: Sequences) -> ModelSequenceBatching:
    return ModelSequenceBatching(
        max_sequence_idle_microseconds=int(config.sequence_idle_s * 1e6),
        oldest=ModelSequenceBatching.StrategyOldest(
            max_candidate_sequences=config.max_sequences,
            preferred_batch_size=config.preferred_batch_rows,
            max_queue_delay_microseconds=config.max_wait_us,
        ),
        state=[
            ModelSequenceBatching.State(
                input_name=state.input.name,
                output_name=state.output,
                data_type=_data_type(state.input),
                dims=state.input.shape[1:],
            )
            for state in sequences.states
        ],
    )


def _data_type(tensor: TensorSignature) -> DataType.ValueType:
    return DataType.Value("TYPE_STRING" if tensor.datatype == "BYTES" else f"TYPE_{tensor.datatype}")


def _statistics(queue: QueueStats, stages: StageStats) -> pb.ModelStatistics:
    cache = queue.cache or CacheStats(0, 0, 0, 0, 0)
    whole_us = queue.queue_time.sum_us + queue.compute_time.sum_us + cache.hit_us
    return pb.ModelStatistics(
        name=queue.model,
        version=queue.version,
        last_inference=queue.last_request_unix_ms,
        inference_count=queue.answered_rows,
        execution_count=sum(queue.batches_by_rows.values()),
        inference_stats=pb.InferStatistics(
            # As Triton counts: a hit succeeds, and is neither an inference nor an execution.
            success=pb.StatisticDuration(count=queue.succeeded_requests + cache.hits, ns=whole_us * 1000),
            fail=pb.StatisticDuration(count=queue.failed_requests),
            queue=_duration(queue.queue_time),
            compute_input=_duration(stages.histograms[PREPROCESS]),
            compute_infer=_duration(stages.histograms[COMPUTE]),
            compute_output=_duration(stages.histograms[POSTPROCESS]),
            cache_hit=pb.StatisticDuration(count=cache.hits, ns=cache.hit_us * 1000),
            cache_miss=pb.StatisticDuration(count=cache.misses),
        ),
        batch_stats=[_batch_statistics(rows, stages.by_rows[rows]) for rows in sorted(stages.by_rows)],
    )


def _duration(times: Histogram) -> pb.StatisticDuration:
    return pb.StatisticDuration(count=sum(times.counts), ns=times.sum_us * 1000)


def _batch_statistics(rows: int, totals: BatchTotals) -> pb.InferBatchStatistics:
    spent = [pb.StatisticDuration(count=totals.batches, ns=ns) for ns in totals.spent_ns]
    return pb.InferBatchStatistics(
        batch_size=rows,
        compute_input=spent[PREPROCESS],
        compute_infer=spent[COMPUTE],
        compute_output=spent[POSTPROCESS],
    )
