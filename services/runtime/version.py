"""A model-version that is loaded: its session, its typed methods, and what the wire is told of it.

Loading is everything that must be done before the version may be called ready: believe its files, make the session on
the provider that was asked for, compare the graph with the manifest, and run the batch sizes once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from argosy.v1.manifest_pb2 import ModelManifest, TensorSpec
from services.runtime.blank_rows import blank_rows
from services.runtime.cpus import usable_cpus
from services.runtime.devices import Execution, device_name
from services.runtime.disk import GRAPH, check_version, graph_bytes
from services.runtime.errors import DeviceFaultError, ServingError, refused_load
from services.runtime.faults import ENDINGS
from services.runtime.front import MEBIBYTE, QueuePolicy, QueueSpec, Signature, TensorSignature
from services.runtime.sequences import Sequences
from services.runtime.serving_config import ServingConfig
from services.runtime.session import Session
from services.runtime.specs import bad_manifest, datatype_name
from services.runtime.stages import StageCounts
from services.runtime.stateful import check_stateful, state_signatures, without_states
from services.runtime.table_indices import both, index_check
from services.runtime.tensorrt import EngineRange, with_engine
from services.runtime.tensors import DTYPES
from services.runtime.typed_method import TaskCode, TensorCheck, TypedMethod


@dataclass(frozen=True, slots=True)
class LoadedVersion:
    """Ready to run. `device` is what the trailers say: cpu, cuda:0; `stages` counts where its workers' time went.

    `check` is for tensors that a caller made, `check_indices` for those that task code did, of which at most
    the share `max_padding` is padding.
    """

    manifest: ModelManifest
    config: ServingConfig
    session: Session
    methods: tuple[TypedMethod[object], ...]
    signature: Signature
    device: str
    check: TensorCheck
    check_indices: TensorCheck
    max_padding: float
    stages: StageCounts = field(default_factory=StageCounts)
    others: tuple[Session, ...] = ()  # of further instances, where they do not share `session`
    sequences: Sequences | None = None  # of a model that keeps a state
    in_place: bool = False  # whether a batch may be run as it lies, all of it at once

    @property
    def instances(self) -> int:
        """Workers."""
        return self.config.workers(self.device, usable_cpus())

    def of_instance(self, index: int) -> "LoadedVersion":
        """The version with the session that this instance runs."""
        if not self.others:
            return self
        sessions = (self.session, *self.others)
        return replace(self, session=sessions[index % len(sessions)])

    def warm_worker(self) -> None:
        """What an instance does before its first batch: a thread captures the CUDA graphs that it is to replay."""
        _warm_up(self.session, self.manifest, self.signature, self.config.graph_rows)


# The version to run a batch with, brought back to memory where it has left. Raises ServingError where that fails.
Acquire: TypeAlias = Callable[[], LoadedVersion]


def load_version(
    folder: Path, manifest: ModelManifest, config: ServingConfig, wanted: Sequence[Execution], task_code: TaskCode
) -> LoadedVersion:
    """Load and warm up the version in `folder`. Raises ServingError (REFUSED_LOAD) that says what is wrong with it."""
    check_version(folder, manifest)
    _check_types(manifest)
    _check_share(folder, wanted)
    graph = Signature(_signatures(manifest.inputs), _signatures(manifest.outputs))
    states = state_signatures(manifest, graph)
    check_stateful(config, states)
    row_limit = _row_limit(manifest, config)
    engine = EngineRange(graph.inputs, row_limit, manifest.text.tokens.max_tokens)
    digest = next((file.sha256 for file in manifest.files if file.path == GRAPH), "")
    sessions = [Session(folder / GRAPH, with_engine(each, engine, digest), row_limit) for each in wanted]
    _check_graph(sessions[0], graph)
    methods, check = _made(task_code, manifest, folder)
    check_indices = index_check(manifest)
    for session in sessions:
        with session.without_graphs():
            _warm_up(session, manifest, graph, (1, config.max_batch_rows, *config.preferred_batch_rows))
    return LoadedVersion(
        manifest,
        config,
        sessions[0],
        methods,
        without_states(graph, states),
        device_name(wanted),
        both(check_indices, check),
        check_indices,
        task_code.padding_limits(manifest),
        others=tuple(sessions[1:]),
        sequences=Sequences(states, config.max_sequences, config.sequence_idle_s) if states else None,
        in_place=(
            sessions[0].host_runs is not None
            and not (states or config.preferred_batch_rows)
            and row_limit == config.max_batch_rows
        ),
    )


def _made(
    task_code: TaskCode, manifest: ModelManifest, folder: Path
) -> tuple[tuple[TypedMethod[object], ...], TensorCheck]:
    try:
        # A typed request has no sequence to be a step of.
        methods = () if manifest.states else tuple(task_code.typed_methods(manifest, folder))
        return methods, task_code.tensor_checks(manifest)
    except (ServingError, *ENDINGS):
        raise
    except BaseException as error:
        raise refused_load(
            "MODEL_UNLOADABLE", f"the manifest's preprocessing cannot be set up: {type(error).__name__}"
        ) from error


def queue_spec(loaded: LoadedVersion, batch_rows: int) -> QueueSpec:
    """What the front is told of the version, of which at most `batch_rows` rows run together."""
    config, manifest = loaded.config, loaded.manifest
    policy = QueuePolicy(
        max_batch_rows=batch_rows,
        capacity_rows=config.capacity_rows,
        max_wait_us=config.max_wait_us,
        instances=loaded.instances,
        # A step is one row.
        max_request_rows=1 if loaded.sequences is not None else config.max_request_rows,
        cache_bytes=config.cache_bytes,
        priority_levels=config.priority_levels,
        default_priority_level=config.default_priority_level,
        in_order=loaded.sequences is not None,
    )
    routes = tuple(method.route for method in loaded.methods)
    return QueueSpec(manifest.name, manifest.version, routes, loaded.signature, policy, loaded.device)


def _check_types(manifest: ModelManifest) -> None:
    for tensor in (*manifest.inputs, *manifest.outputs):
        if datatype_name(tensor.data_type) not in DTYPES:
            raise bad_manifest(manifest, f"tensor '{tensor.name}' has no type that can be served")


def _check_share(folder: Path, wanted: Sequence[Execution]) -> None:
    """Weights take what they need whatever the limit, and ONNX Runtime's count of what is left then passes below zero,
    which is without limit.
    """
    limit_bytes = min((each.memory_limit_bytes for each in wanted if each.memory_limit_bytes), default=0)
    if limit_bytes and (needed_bytes := graph_bytes(folder)) > limit_bytes:
        needed, limit = needed_bytes / MEBIBYTE, limit_bytes // MEBIBYTE
        raise refused_load(
            "DEVICE_MEMORY", f"device_memory_mb: model.onnx alone needs {needed:.1f} MiB, an instance has {limit}"
        )


def _signatures(tensors: Sequence[TensorSpec]) -> tuple[TensorSignature, ...]:
    return tuple(
        TensorSignature(
            tensor.name,
            datatype_name(tensor.data_type),
            # The session runs a graph that takes one row at a time as often as there are rows.
            (-1, *tensor.shape[1:]),
        )
        for tensor in tensors
    )


def _row_limit(manifest: ModelManifest, config: ServingConfig) -> int:
    fixed = [tensor.shape[0] for tensor in manifest.inputs if tensor.shape and tensor.shape[0] > 0]
    return min([config.max_batch_rows, *fixed])


def _check_graph(session: Session, signature: Signature) -> None:
    for kind, told, found in (
        ("inputs", signature.inputs, session.input_names),
        ("outputs", signature.outputs, session.output_names),
    ):
        if {tensor.name for tensor in told} != set(found):
            raise refused_load("SIGNATURE_MISMATCH", f"model.onnx: its {kind} are not those of the manifest")


def _warm_up(session: Session, manifest: ModelManifest, signature: Signature, sizes: Sequence[int]) -> None:
    """The first run of a shape allocates and plans; callers shall not wait for that. The largest is first: on a card
    what it has taken serves the smaller ones too, what they take serves no larger one.
    """
    for rows in sorted({min(size, session.row_limit) for size in sizes}, reverse=True):
        inputs = blank_rows(manifest, signature, rows)
        try:
            session.start().outputs(inputs)
        except DeviceFaultError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the version does not run
            why = f": {error.message}" if isinstance(error, ServingError) else ""
        else:
            continue
        # Not from the error, whose frames hold buffers on a card.
        raise refused_load("WARM_UP_FAILED", f"model.onnx: it does not run on {rows} blank rows{why}")
