"""A PyTorch module of the user's own. A file of weights is no model: the module comes as an object."""

from pathlib import Path

import torch

from exporter import pytorch as torch_export
from exporter.errors import SourceError
from exporter.own_model import Converted, Order


def from_file(path: Path, order: Order) -> Converted:  # noqa: ARG001 - the shape of a reader
    raise SourceError(f"{path.name}: give the module that the weights belong to, as package.module:name")


def from_object(model: object, order: Order) -> Converted:
    """The samples are the arguments of forward, in their order."""
    if not isinstance(model, torch.nn.Module):
        raise SourceError(f"a {type(model).__name__} is no torch.nn.Module")
    answers = torch_export.predict(model, list(order.samples.values()))
    example = {name: values[:3] for name, values in order.samples.items()}
    return Converted(
        graph=torch_export.convert(model, example, order.output_names, order.dynamic_axes),
        reference=dict(zip(order.output_names, answers, strict=True)),
        framework=torch_export.FRAMEWORK,
        distribution=torch_export.FRAMEWORK_DISTRIBUTION,
        converter=torch_export.CONVERTER,
        parameters=torch_export.parameter_count(model),
    )
