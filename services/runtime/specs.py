"""The tensors that a task needs, found in the manifest or the version is not served.

The manifest says which tensor is which, so nothing is guessed from names, order or shapes. What is looked up here is
looked up once, while a version loads: a request never meets a manifest that lacks something.
"""

import numpy as np

from argosy.v1.manifest_pb2 import DataType, ModelManifest, OutputRole, TensorSpec
from services.runtime.errors import ServingError, refused_load
from services.runtime.tensors import DTYPES


def bad_manifest(manifest: ModelManifest, complaint: str) -> ServingError:
    """The manifest does not say what the task needs to know, or contradicts itself."""
    return refused_load("BAD_MANIFEST", f"model '{manifest.name}' version {manifest.version}: {complaint}")


def input_spec(manifest: ModelManifest, name: str) -> TensorSpec:
    """The input of that name. Raises ServingError (REFUSED_LOAD) where there is none."""
    for spec in manifest.inputs:
        if spec.name == name:
            return spec
    raise bad_manifest(manifest, f"preprocessing feeds input '{name}', which the model does not have")


def find_output(manifest: ModelManifest, role: OutputRole.ValueType) -> TensorSpec | None:
    """The first output that holds `role`, if any does."""
    return next((spec for spec in manifest.outputs if spec.role == role), None)


def output_spec(manifest: ModelManifest, *roles: OutputRole.ValueType) -> TensorSpec:
    """The output that holds the first of `roles` that any output holds. Raises ServingError (REFUSED_LOAD) if none."""
    for role in roles:
        if (spec := find_output(manifest, role)) is not None:
            return spec
    names = " or ".join(OutputRole.Name(role).removeprefix("OUTPUT_ROLE_") for role in roles)
    raise bad_manifest(manifest, f"its task needs an output with the role {names}, and there is none")


def element_type(spec: TensorSpec) -> np.dtype[np.generic]:
    """The numpy dtype of a tensor; strings are `bytes` objects in arrays of object."""
    return DTYPES[datatype_name(spec.data_type)]


def datatype_name(data_type: DataType.ValueType) -> str:
    """As the Open Inference Protocol spells it: FP32, INT64, BYTES …"""
    return DataType.Name(data_type).removeprefix("DATA_TYPE_")
