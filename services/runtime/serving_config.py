"""`models/<name>/serving.yaml`: what the operator decides about one model. Every key is optional."""

from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from services.runtime.errors import refused_load
from services.runtime.yaml_text import read_yaml

SERVING = "serving.yaml"


class ServingConfig(BaseModel):
    """How a model is served. Unknown keys are refused, so that a misspelt one is not silently without effect."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # The versions to serve, the first of which answers where none is named; empty: the newest that loads.
    versions: tuple[Annotated[str, Field(pattern=r"^[1-9][0-9]{0,17}$", coerce_numbers_to_str=True)], ...] = ()
    # Workers: one decodes the next batch while another's runs.
    instances: Annotated[int, Field(ge=1, le=64)] = 2
    max_batch_rows: Annotated[int, Field(ge=1, le=4096)] = 32
    max_request_rows: Annotated[int, Field(ge=1, le=1_000_000)] = 4096
    # Numbers of rows, ascending, that a batch is padded up to, for a device that is slow at a new shape; empty: none.
    preferred_batch_rows: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = ()
    max_wait_us: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    # What answers that are kept for equal requests may take, with their keys; 0: none is kept.
    cache_bytes: Annotated[int, Field(ge=0, le=1 << 40)] = 0
    # Of a model that keeps a state: how many sequences, and how long one may be idle before it is dropped.
    max_sequences: Annotated[int, Field(ge=1, le=1_000_000)] = 1024
    sequence_idle_s: Annotated[float, Field(gt=0, le=86_400)] = 60.0
    # How many priorities there are, 1 first, and which one a request has that asks for none; as Triton has them.
    priority_levels: Annotated[int, Field(ge=1, le=100)] = 1
    default_priority_level: Annotated[int, Field(ge=1, le=100)] = 1
    # None: the provider of the process's settings.
    provider: Literal["cpu", "cuda", "tensorrt"] | None = None
    # Of each card's memory, divided among the instances that run there; 0: what --device-memory-mb leaves, if given.
    device_memory_mb: Annotated[int, Field(ge=0)] = 0
    # Capture a CUDA graph for each of preferred_batch_rows, in each instance.
    cuda_graphs: bool = False
    provider_options: dict[str, str] = {}

    @model_validator(mode="after")
    def _default_is_a_level(self) -> Self:
        if self.default_priority_level > self.priority_levels:
            raise ValueError(f"default_priority_level: at most priority_levels, {self.priority_levels}")
        return self

    @model_validator(mode="after")
    def _sizes_ascend(self) -> Self:
        sizes = self.preferred_batch_rows
        if list(sizes) != sorted(set(sizes)) or max(sizes, default=0) > self.max_batch_rows:
            raise ValueError(f"preferred_batch_rows: must ascend, at most to max_batch_rows, {self.max_batch_rows}")
        return self

    @model_validator(mode="after")
    def _graphs_have_sizes(self) -> Self:
        if self.cuda_graphs and not self.preferred_batch_rows:
            raise ValueError("cuda_graphs: needs preferred_batch_rows, the sizes to capture")
        return self

    @property
    def graph_rows(self) -> tuple[int, ...]:
        """The numbers of rows that CUDA graphs are captured for."""
        return self.preferred_batch_rows if self.cuda_graphs else ()

    def workers(self, device: str, cpus: int) -> int:
        """As many as there are instances; but where one CPU does everything and the file names no number, a second
        worker would only take turns with the first, and both batches would be late.
        """
        chosen = "instances" in self.model_fields_set
        return 1 if device == "cpu" and cpus == 1 and not chosen else self.instances

    def for_states(self) -> "ServingConfig":
        """Of a model that keeps a state: one instance, for its steps must not overtake each other. What the file names
        stays, to be refused.
        """
        return self if "instances" in self.model_fields_set else self.model_copy(update={"instances": 1})

    @property
    def capacity_rows(self) -> int:
        """Rows that may wait: four batches an instance."""
        return 4 * self.max_batch_rows * self.instances


def read_serving_config(models_dir: Path, model: str) -> ServingConfig:
    """The operator's settings of a model. Raises ServingError (REFUSED_LOAD) that names the key at fault."""
    path = models_dir / model / SERVING
    try:
        return ServingConfig.model_validate(read_yaml(path.read_bytes()))
    except FileNotFoundError:
        return ServingConfig()
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise refused_load("SERVING_CONFIG_WRONG", f"{SERVING}: {key}: {first['msg']}") from None
    except (OSError, yaml.YAMLError):
        raise refused_load("SERVING_CONFIG_WRONG", f"{SERVING}: cannot be read as a YAML mapping") from None
