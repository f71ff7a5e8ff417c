"""A PyTorch model: a module, as package.module:name. A file of weights is no model: they belong to a module."""

from pathlib import Path

import torch

from exporter import pytorch as torch_export
from exporter.arrays import Rows
from exporter.conversion import Request
from exporter.errors import SourceError
from exporter.sources.source import Naming, Source


def from_file(path: Path, request: Request, samples: Rows) -> Source:  # noqa: ARG001 - a framework's module
    raise SourceError(f"{path.name}: give the module that the weights belong to, as package.module:name")


def from_object(model: object, request: Request, samples: Rows) -> Source:  # noqa: ARG001 - a framework's module
    """The samples are the arguments of forward, in their order."""
    if not isinstance(model, torch.nn.Module):
        raise SourceError(f"a {type(model).__name__} is no torch.nn.Module")
    network = model

    def to_graph(naming: Naming) -> bytes:
        return torch_export.convert(network, naming.example, naming.outputs, naming.dynamic_axes)

    return Source(
        framework=torch_export.FRAMEWORK,
        distribution=torch_export.FRAMEWORK_DISTRIBUTION,
        converter=torch_export.CONVERTER,
        input_count=None,
        answer=lambda rows: torch_export.predict(network, rows),
        to_graph=to_graph,
        parameter_count=torch_export.parameter_count(network),
    )
