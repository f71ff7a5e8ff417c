"""From the process's settings and a model's serving.yaml to the sessions that the model is run by.

The memory of a card is divided among all models of the process, so each load looks at every other model's serving.yaml
as it is then. On the CPU nothing is divided and nothing else is read.
"""

from collections.abc import Callable, Iterable

from services.runtime.capture_gate import CaptureGate
from services.runtime.cpus import usable_cpus
from services.runtime.device_memory import Demand, DeviceMemoryError, shares
from services.runtime.devices import Execution, Wanted, executions
from services.runtime.errors import ServingError, refused_load
from services.runtime.serving_config import ServingConfig, read_serving_config
from services.runtime.settings import ServiceSettings


class ModelExecutions:
    """Of one process. `models` tells the names of its models, `free_mb` what is free on a card where that is known."""

    def __init__(
        self, settings: ServiceSettings, models: Callable[[], Iterable[str]], free_mb: Callable[[int], int | None]
    ) -> None:
        self._settings = settings
        self._models = models
        self._free_mb = free_mb
        self._gate = CaptureGate()

    def check(self) -> None:
        """Raise DeviceMemoryError where the models' shares of a card do not fit it."""
        demands = self._demands()
        if demands:
            shares(demands, self._settings.device_id, self._settings.device_memory_mb, self._free_mb)

    def of(self, model: str, config: ServingConfig) -> tuple[Execution, ...]:
        """The model's sessions. Raises ServingError (REFUSED_LOAD) for what cannot be had."""
        settings, provider = self._settings, self._provider(config)
        wanted = Wanted(
            provider,
            settings.threads or max(1, usable_cpus() // config.instances),
            config.instances,
            settings.device_id,
            0 if provider == "cpu" else self._share_mb(model, config),
            config.provider_options,
            config.graph_rows,
            settings.engine_cache_dir,
        )
        return executions(wanted, self._gate)

    def _share_mb(self, model: str, config: ServingConfig) -> int:
        """What is free now has had loads before it, so it is not asked again. The model itself is served by `config`,
        whatever its serving.yaml says since.
        """
        others = [demand for demand in self._demands() if demand.model != model]
        limit_mb = self._settings.device_memory_mb
        try:
            return shares([*others, _demand(model, config)], self._settings.device_id, limit_mb, lambda _: None)[model]
        except DeviceMemoryError as error:
            raise refused_load("DEVICE_MEMORY", str(error)) from None

    def _demands(self) -> list[Demand]:
        """Of the models that run on a card; who has no readable serving.yaml is refused when it loads."""
        found: list[Demand] = []
        for model in self._models():
            try:
                config = read_serving_config(self._settings.models_dir, model)
            except ServingError:
                continue
            if self._provider(config) != "cpu":
                found.append(_demand(model, config))
        return found

    def _provider(self, config: ServingConfig) -> str:
        return config.provider or self._settings.provider


def _demand(model: str, config: ServingConfig) -> Demand:
    return Demand(model, config.device_memory_mb, config.instances, max(1, len(config.versions)))
