"""A service process from its settings to its end: the composition that vision, text and tabular share.

Only here are front, repository, methods and metrics put together. Health says SERVING once every model of the service
has been loaded or refused and one is ready, or there was none; of the ModelService, which tells of models whatever they
are like, it says so from the start. SIGTERM and SIGINT drain.
"""

import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version as installed_version

import structlog
from google.protobuf.descriptor import FieldDescriptor, ServiceDescriptor

from argosy.v1.manifest_pb2 import Task
from services.runtime.device_memory import DeviceMemoryError
from services.runtime.front import MEBIBYTE, Limits, Tls, TypedRoute
from services.runtime.fronts import choose_front
from services.runtime.logs import Log, configure_logs
from services.runtime.metrics import ServiceMetrics, serve_metrics
from services.runtime.model_executions import ModelExecutions
from services.runtime.model_service import MODEL_SERVICE, WATCH_MODELS, ModelAnswers
from services.runtime.oip import OIP_SERVICE, InferenceProtocol
from services.runtime.own_method import OPEN_ROUTE
from services.runtime.readiness import Readiness
from services.runtime.reflection import REFLECTION_METHODS, own_names, reflection_answer
from services.runtime.repository import ModelRepository
from services.runtime.session import device_memory_mb
from services.runtime.settings import ServiceSettings, SettingsError, read_settings
from services.runtime.trusted_keys import UnusableKeyError, trusted_keys
from services.runtime.typed_method import TaskCode
from services.runtime.workers import OnFault

_log = structlog.get_logger()

# The exit code of a process whose device is lost; EX_IOERR of sysexits.h.
DEVICE_FAULT = 74


@dataclass(frozen=True, slots=True)
class ServiceKind:
    """What makes a vision, text or tabular service of the runtime."""

    name: str
    descriptor: ServiceDescriptor
    tasks: tuple["Task.ValueType", ...]
    task_code: TaskCode
    port: int
    metrics_port: int


def main(kind: ServiceKind, arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a service until it is told to stop; the process's exit code."""
    defaults: dict[str, object] = {
        "address": f"127.0.0.1:{kind.port}",
        "metrics_address": f"127.0.0.1:{kind.metrics_port}",
    }
    try:
        settings = read_settings(kind.name, arguments, environment, defaults)
    except SettingsError as error:
        print(f"argosy {kind.name}: {error}", file=sys.stderr)
        return 2
    log = configure_logs(kind.name)
    stop, faulted = threading.Event(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        service = Service(kind, settings, log, on_fault=lambda text: _end(text, faulted, stop))
    except (OSError, UnusableKeyError, DeviceMemoryError) as error:
        print(f"argosy {kind.name}: {error}", file=sys.stderr)
        return 2 if isinstance(error, DeviceMemoryError) else 1
    # On a thread of its own: who is told to stop while a large model loads, stops.
    broken = threading.Event()
    threading.Thread(target=_load, args=(service, broken, stop), name="load", daemon=True).start()
    stop.wait()
    service.drain()
    return DEVICE_FAULT if faulted.is_set() else int(broken.is_set())


def _end(text: str, faulted: threading.Event, stop: threading.Event) -> None:
    """Without its device the process answers nothing: a new one may."""
    _log.error("device fault", detail=text)
    faulted.set()
    stop.set()


def _load(service: "Service", broken: threading.Event, stop: threading.Event) -> None:
    """A process that can serve nothing, for a reason that nobody foresaw, ends rather than be NOT_SERVING for ever."""
    try:
        service.load()
    except BaseException:  # a panic of a library in Rust is no Exception
        broken.set()
        stop.set()
        raise


class Service:
    """A running service. Raises OSError where an address cannot be bound, UnusableKeyError for a key that is none,
    DeviceMemoryError where the models' shares of a card do not fit.
    """

    def __init__(self, kind: ServiceKind, settings: ServiceSettings, log: Log, on_fault: OnFault) -> None:
        trusted = trusted_keys(settings.require_signature)
        self._settings = settings
        inference_names = (kind.descriptor.full_name, OIP_SERVICE)
        names = (*inference_names, MODEL_SERVICE)
        self._draining = False
        self._loaded = False
        make_front, front_name = choose_front(settings.front)
        self._front = make_front(
            settings.address,
            (*typed_routes(kind.descriptor), OPEN_ROUTE),
            limits=Limits(max_message_bytes=settings.max_message_bytes),
            tls=_tls(settings),
        )
        self._readiness = Readiness(("", *inference_names), self._ready, self._front.set_serving)
        sessions = ModelExecutions(settings, self._models, device_memory_mb)
        self._repository = ModelRepository(
            settings.models_dir,
            tasks=kind.tasks,
            task_code=kind.task_code,
            front=self._front,
            executions=sessions.of,
            only=settings.model,
            trusted=trusted,
            memory_budget_bytes=settings.memory_budget_mb * MEBIBYTE or None,
            hand_over_s=settings.drain_notice_s,
            on_change=self._changed,
            on_fault=on_fault,
        )
        self._notify = self._answer_rare_methods(kind.name, names, front_name)
        self._front.set_serving(MODEL_SERVICE, True)
        self._repository.announce()
        sessions.check()
        metrics = ServiceMetrics(self._front.stats, self._repository, front_name)
        metrics_address = serve_metrics(settings.metrics_address, metrics, log)
        _log.info("serving", address=self._front.address, metrics_address=metrics_address, front=front_name)

    def load(self) -> None:
        """Load the service's models, one after the other; health follows."""
        self._repository.load_all()
        self._loaded = True
        self._changed()
        _log.info("loaded", models=[f"{s.model}/{s.version}" for s in self._repository.statuses()], ready=self._ready())

    def drain(self) -> None:
        """Take nothing new, finish what was accepted, and stop serving."""
        _log.info("draining")
        self._draining = True
        self._notify()
        self._front.drain(self._settings.drain_grace_s, self._settings.drain_notice_s)
        _log.info("drained")

    def _answer_rare_methods(self, name: str, services: Sequence[str], front: str) -> Callable[[], None]:
        """Register what is answered outside the queues; what tells watchers of a change."""
        protocol = InferenceProtocol(
            name=f"argosy-{name}",
            version=installed_version("argosy"),
            repository=self._repository,
            stats=self._front.stats,
            ready=self._ready,
        )
        own_files = self._repository.own_files
        models = ModelAnswers(
            self._repository, lambda: (*services, *own_names(own_files())), front, lambda: self._draining
        )
        for method, answer in (*protocol.answers().items(), *models.answers().items()):
            self._front.answer_unary(method, answer)
        for method in REFLECTION_METHODS if self._settings.reflection else ():
            self._front.answer_stream(method, reflection_answer(services, own_files))
        return self._front.answer_watch(WATCH_MODELS, models.watch)

    def _models(self) -> set[str]:
        return {status.model for status in self._repository.statuses()}

    def _changed(self) -> None:
        self._readiness.changed()
        self._notify()

    def _ready(self) -> bool:
        """Everything was tried, and something is ready or nothing was there to be loaded."""
        statuses = self._repository.statuses()
        return self._loaded and not self._draining and (not statuses or any(s.ready_endpoint_count for s in statuses))


def typed_routes(service: ServiceDescriptor) -> tuple[TypedRoute, ...]:
    """Each method of a typed service with the repeated field that holds its rows."""
    routes: list[TypedRoute] = []
    for method in service.methods:
        rows: FieldDescriptor = next(field for field in method.input_type.fields if field.is_repeated)
        routes.append(TypedRoute(f"/{service.full_name}/{method.name}", rows.number, rows.name))
    return tuple(routes)


def _tls(settings: ServiceSettings) -> Tls | None:
    if settings.tls_certificate is None or settings.tls_private_key is None:
        return None
    return Tls(settings.tls_certificate, settings.tls_private_key, settings.tls_client_ca)
