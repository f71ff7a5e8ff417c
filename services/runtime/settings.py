"""What a service process is told from outside, in one validated object.

Flags win over the environment (ARGOSY_MODELS_DIR …), the environment over the file given with --config, the file over
the defaults. In the file, [service] holds for every service and [vision], [text], [tabular] for one. A value that is
not understood ends the process, and so does a name that is no setting's: none is without effect in silence.
"""

import argparse
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from services.runtime.addresses import Address
from services.runtime.front import MEBIBYTE

ENVIRONMENT_PREFIX = "ARGOSY_"
SECTIONS = ("service", "vision", "text", "tabular")
# What `argosy` itself reads.
_ROUTER = "ARGOSY_ROUTER"
# What Kubernetes tells pods of a Service whose name begins so, all of it together: the name, then one of these.
_HOST = "_SERVICE_HOST"
_OF_SERVICE = re.compile(r"(\w+?)(_SERVICE_HOST|_SERVICE_PORT(_\w+)?|_PORT(_\d+_\w+)?)")


class SettingsError(Exception):
    """The settings cannot be used; the text is one line that says which and why."""


class ServiceSettings(BaseModel):
    """Settings of one service process."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    address: Address = Field(description="where gRPC listens; port 0 takes a free one")
    metrics_address: Address = Field(description="where /metrics listens, over HTTP")
    models_dir: Path = Field(Path("models"), description="the folder that holds <model>/<version>/model.yaml")
    model: tuple[str, ...] = Field((), description="serve only this model; may be given several times")
    provider: Literal["cpu", "cuda", "tensorrt"] = Field("cpu", description="execution provider; no other will do")
    device_id: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        (0,), min_length=1, description="a card to run on; with several, a model's instances take them in turn"
    )
    device_memory_mb: int = Field(
        0,
        ge=0,
        description="of each card, for this process's models; 0: what is free, and only named shares are limits",
    )
    engine_cache_dir: Path | None = Field(
        None, description="where TensorRT keeps the engines it has built; without it every load builds anew"
    )
    threads: int = Field(0, ge=0, description="ONNX Runtime threads a run; 0: the usable CPUs / the model's instances")
    front: Literal["auto", "native", "portable"] = Field(
        "auto", description="auto: the native one where it is installed"
    )
    max_message_bytes: int = Field(64 * MEBIBYTE, ge=1024, description="of one message, in and out")
    memory_budget_mb: int = Field(
        0, ge=0, description="for models; what was used least recently leaves and loads when asked. 0: all stay"
    )
    reflection: bool = Field(False, description="let clients list the methods; off in production")
    require_signature: tuple[Path, ...] = Field(
        (), description="PEM file of an ed25519 public key; only versions that one of these has signed are served"
    )
    tls_certificate: Path | None = Field(None, description="PEM; with tls_private_key the port speaks TLS")
    tls_private_key: Path | None = Field(None, description="PEM")
    tls_client_ca: Path | None = Field(None, description="PEM; clients must show a certificate that it signed")
    drain_notice_s: float = Field(1.0, ge=0, description="how long to go on after saying NOT_SERVING")
    drain_grace_s: float = Field(20.0, ge=0, description="how long accepted requests may take at the end")

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        """Half a TLS setting would leave the port open without it."""
        if (self.tls_certificate is None) != (self.tls_private_key is None):
            raise ValueError("tls_certificate and tls_private_key need each other")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError("tls_client_ca needs tls_certificate and tls_private_key")
        return self


def read_settings(
    kind: str, arguments: Sequence[str], environment: Mapping[str, str], defaults: Mapping[str, object]
) -> ServiceSettings:
    """The settings of the service `kind`. Raises SettingsError; --help and unknown flags raise SystemExit."""
    flags = vars(_parser(kind).parse_args(arguments))
    path = flags.pop("config")
    layers = (
        defaults,
        _read_file(path, kind) if path is not None else {},
        _from_environment(environment),
        {name: value for name, value in flags.items() if value is not None},
    )
    merged = {name: value for layer in layers for name, value in layer.items()}
    try:
        return ServiceSettings.model_validate(merged)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise SettingsError(f"{where}: {first['msg']}" if where else first["msg"]) from None


def _parser(kind: str) -> argparse.ArgumentParser:
    """A flag for every field, with the field's own description."""
    parser = argparse.ArgumentParser(prog=f"python -m services.{kind}", description=f"Serve {kind} models over gRPC.")
    parser.add_argument("--config", type=Path, metavar="FILE.toml", help="settings; flags and environment win over it")
    for name, field in ServiceSettings.model_fields.items():
        flag = f"--{name.replace('_', '-')}"
        if field.annotation is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, help=field.description, default=None)
        else:
            action = "append" if get_origin(field.annotation) is tuple else "store"
            parser.add_argument(flag, action=action, help=field.description)
    return parser


def _from_environment(environment: Mapping[str, str]) -> dict[str, object]:
    known = {ENVIRONMENT_PREFIX + name.upper() for name in ServiceSettings.model_fields}
    for name in environment:
        if name.startswith(ENVIRONMENT_PREFIX) and name not in known and not _is_others(name, environment):
            raise SettingsError(f"{name}: there is no such setting")
    found: dict[str, object] = {}
    for name, field in ServiceSettings.model_fields.items():
        value = environment.get(ENVIRONMENT_PREFIX + name.upper())
        if value is not None:
            found[name] = value.split(",") if get_origin(field.annotation) is tuple else value
    return found


def _is_others(name: str, environment: Mapping[str, str]) -> bool:
    found = _OF_SERVICE.fullmatch(name)
    return name == _ROUTER or (found is not None and found[1] + _HOST in environment)


def _read_file(path: Path, kind: str) -> dict[str, object]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"{path}: cannot be read") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: {error}") from None
    for name, section in content.items():
        if name not in SECTIONS or not isinstance(section, dict):
            raise SettingsError(f"{path}: {name}: a setting stands in a section, one of [{'], ['.join(SECTIONS)}]")
    return {**content.get("service", {}), **content.get(kind, {})}
