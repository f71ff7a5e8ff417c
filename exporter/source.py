"""Where a graph comes from: framework, converter, their installed versions, packages of data and weights."""

from collections.abc import Sequence
from importlib import metadata

from argosy.v1.manifest_pb2 import ModelSource, PackageSource
from exporter.signature import opset_of, parameter_count, parse


def model_source(
    graph: bytes,
    framework: str,
    framework_distribution: str,
    converter_distribution: str = "",
    *,
    packages: Sequence[PackageSource] = (),
    parameters: int | None = None,
) -> ModelSource:
    """The manifest's `source`. Distributions are named as pip names them; no converter: the graph was ONNX already.

    `parameters` counts the trainable numbers; without it the graph's floating-point weights are counted.
    """
    return ModelSource(
        framework=framework,
        framework_version=metadata.version(framework_distribution),
        converter=converter_distribution,
        converter_version=metadata.version(converter_distribution) if converter_distribution else "",
        opset=opset_of(parse(graph)),
        packages=packages,
        parameter_count=parameter_count(graph) if parameters is None else parameters,
    )
