"""fleet.yaml: which services there should be and where the router listens.

```yaml
address: 0.0.0.0:8500
metrics_address: 127.0.0.1:8501
services:
  text: [10.0.0.4:8520, 10.0.0.5:8520]   # static addresses
  vision: {dns: "vision.argosy:8510"}    # every address that the name has: a headless Service
```
What is served, and in which versions, is deliberately not here: the services report it.
"""

from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, TypeAlias

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from services.runtime.addresses import Address, join_address, split_address
from services.runtime.yaml_text import read_yaml

DEFAULT_ADDRESS = "127.0.0.1:8500"
DEFAULT_METRICS_ADDRESS = "127.0.0.1:8501"
# Several times what an idle one holds.
LEAST_ENVOY_HEAP_MB = 128


class ConfigError(Exception):
    """fleet.yaml cannot be used; the text is one line that says why."""


def _no_name(address: str) -> str:
    """Envoy takes no name where an IP address belongs: it would refuse the whole listener or cluster."""
    host, port = split_address(address)
    try:
        ip_address(host)
    except ValueError:
        raise ValueError(f"'{address}' is no IP:port; a service with a name is written {{dns: …}}") from None
    if address != join_address(host, port):
        raise ValueError(f"'{address}' is no IP:port: write it as {join_address(host, port)}")
    return address


IpAddress: TypeAlias = Annotated[Address, AfterValidator(_no_name)]


class Dns(BaseModel):
    """A service whose endpoints are all the addresses that a name has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dns: Address


class FleetConfig(BaseModel):
    """What should be. Port 0 in `address` and `metrics_address` takes any free port."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    address: IpAddress = DEFAULT_ADDRESS
    metrics_address: Address = DEFAULT_METRICS_ADDRESS
    services: dict[str, tuple[IpAddress, ...] | Dns] = Field(min_length=1)
    # Lists every method to whoever asks; off in production.
    reflection: bool = False
    # How long requests in flight may take to end once the router is told to stop.
    grace_s: float = Field(default=10.0, ge=0)
    # How often a DNS name is resolved again while its endpoints stay up.
    resolve_interval_s: float = Field(default=5.0, gt=0)
    # Envoy's worker threads; unset, one a CPU that the process may use.
    worker_threads: int | None = Field(default=None, ge=1)
    # What Envoy may hold; unset, half of the memory that the process may use.
    envoy_heap_mb: int | None = Field(default=None, ge=LEAST_ENVOY_HEAP_MB)

    @property
    def envoy_heap_bytes(self) -> int | None:
        return None if self.envoy_heap_mb is None else self.envoy_heap_mb << 20


def load_config(path: Path) -> FleetConfig:
    """Read and check `path`. Raises ConfigError."""
    try:
        return _checked(read_yaml(path.read_bytes()), str(path))
    except FileNotFoundError:
        raise ConfigError(f"there is no {path}") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is no YAML: {' '.join(str(error).split())}") from None


def with_flags(config: FleetConfig, flags: Mapping[str, str]) -> FleetConfig:
    """What the command line says goes over what the file says. Raises ConfigError."""
    return _checked({**config.model_dump(), **flags}, "command line")


def _checked(settings: Mapping[str, object], where: str) -> FleetConfig:
    try:
        return FleetConfig.model_validate(settings)
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise ConfigError(f"{where}: {'; '.join(faults)}") from None
