"""What is: the endpoints of the fleet and the model-versions that each of them reports.

An inventory is a value. Watchers make a new one of what they hear, and everything else (routes, health, answers for
the whole fleet) is computed from it. A lost endpoint stays in it with its last report, so that a model that nobody
can serve just now is told apart from one that nobody has. Nothing here does I/O.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from argosy.v1.manifest_pb2 import Task
from argosy.v1.model_pb2 import MODEL_STATE_READY, ModelState, ModelStatus


class Link(Enum):
    """What the router knows of an endpoint's life."""

    CONNECTING = "connecting"  # it has not reported yet
    UP = "up"
    DRAINING = "draining"  # it finishes what it has
    LOST = "lost"  # its last report stands for what it had


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of one model, as one endpoint reports it."""

    model: str
    version: str
    state: ModelState.ValueType
    default: bool = False
    reason: str = ""
    tasks: tuple[Task.ValueType, ...] = ()
    execution_provider: str = ""
    stateful: bool = False

    @property
    def ready(self) -> bool:
        return self.state == MODEL_STATE_READY

    @classmethod
    def of(cls, status: ModelStatus) -> "ModelVersion":
        return cls(
            model=status.model,
            version=status.version,
            state=status.state,
            default=status.default_version,
            reason=status.reason,
            tasks=tuple(status.tasks),
            execution_provider=status.execution_provider,
            stateful=status.stateful,
        )


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One replica of a service; `services` are the full names of the gRPC services that it answers."""

    service: str
    address: str
    link: Link = Link.CONNECTING
    models: tuple[ModelVersion, ...] = ()
    services: tuple[str, ...] = ()

    @property
    def up(self) -> bool:
        return self.link is Link.UP


@dataclass(frozen=True, slots=True)
class Inventory:
    """Every endpoint by service and address."""

    endpoints: Mapping[tuple[str, str], Endpoint] = field(default_factory=dict)

    def with_endpoint(self, endpoint: Endpoint) -> "Inventory":
        return replace(self, endpoints={**self.endpoints, (endpoint.service, endpoint.address): endpoint})

    def without(self, service: str, address: str) -> "Inventory":
        """Forget an endpoint, but for the last of its service: it alone knows which models there were."""
        rest = {key: endpoint for key, endpoint in self.endpoints.items() if key != (service, address)}
        if any(endpoint.service == service for endpoint in rest.values()):
            return replace(self, endpoints=rest)
        return self

    def of_service(self, service: str) -> Iterator[Endpoint]:
        return (endpoint for endpoint in self.endpoints.values() if endpoint.service == service)

    def up(self) -> Iterator[Endpoint]:
        return (endpoint for endpoint in self.endpoints.values() if endpoint.up)

    def heard_from(self, services: Mapping[str, object]) -> bool:
        """Whether every one of `services` has reported at least once: only then is an unknown model unknown."""
        heard = {endpoint.service for endpoint in self.endpoints.values() if endpoint.link is not Link.CONNECTING}
        return heard >= set(services)

    def reported(self, model: str, version: str = "") -> Iterator[tuple[Endpoint, ModelVersion]]:
        """Who reports, or last reported, `model`; all of its versions where `version` is empty."""
        for endpoint in self._in_order():
            for reported in endpoint.models:
                if reported.model == model and version in ("", reported.version):
                    yield endpoint, reported

    def ready_addresses(self) -> dict[tuple[str, str], tuple[str, ...]]:
        """(model, version) -> the addresses that have it ready now, sorted."""
        ready: dict[tuple[str, str], list[str]] = {}
        for endpoint in self._in_order():
            for reported in endpoint.models if endpoint.up else ():
                if reported.ready:
                    ready.setdefault((reported.model, reported.version), []).append(endpoint.address)
        return {key: tuple(sorted(set(addresses))) for key, addresses in sorted(ready.items())}

    def stateful_versions(self) -> frozenset[tuple[str, str]]:
        """(model, version) of those that keep a state between requests."""
        return frozenset(
            (reported.model, reported.version)
            for endpoint in self.endpoints.values()
            for reported in endpoint.models
            if reported.stateful
        )

    def default_versions(self) -> dict[str, str]:
        """Model -> the version for requests that name none: that of most endpoints, the higher one of equals.

        While a new version rolls out the replicas disagree; so the load moves over once most of them have it.
        """
        votes: dict[str, dict[str, int]] = {}
        for endpoint in self._in_order():
            for reported in endpoint.models if endpoint.up else ():
                if reported.default and reported.ready:
                    of_model = votes.setdefault(reported.model, {})
                    of_model[reported.version] = of_model.get(reported.version, 0) + 1
        return {
            model: max(of_model, key=lambda v: (of_model[v], version_order(v))) for model, of_model in votes.items()
        }

    def _in_order(self) -> Iterator[Endpoint]:
        return (self.endpoints[key] for key in sorted(self.endpoints))


def version_order(version: str) -> tuple[int, str]:
    """Sort key of versions: by number where it is one, '10' above '9'."""
    return (int(version), version) if version.isdecimal() else (-1, version)
