"""A row of numbers as the Open Inference Protocol carries it: the tensors that the model itself reads.

The manifest says which tensor and which place each column has. Only tables of numbers: the demo and a curious person
need no more, and other models' tensors come from their tokenizer or their image preprocessing.
"""

from collections.abc import Mapping

import numpy as np

from argosy.v1 import manifest_pb2
from argosy_cli.errors import misuse
from argosy_cli.inputs import Cell
from inference import grpc_service_pb2 as oip

_DTYPES = {manifest_pb2.DATA_TYPE_FP32: ("FP32", "<f4"), manifest_pb2.DATA_TYPE_FP64: ("FP64", "<f8")}


def infer_request(manifest: manifest_pb2.ModelManifest, row: Mapping[str, Cell]) -> oip.ModelInferRequest:
    """One row as ModelInfer reads it, raw. Raises CliError where the model reads anything but numbers."""
    request = oip.ModelInferRequest(model_name=manifest.name, model_version=manifest.version)
    for spec in manifest.inputs:
        if spec.data_type not in _DTYPES:
            raise misuse(f"input '{spec.name}' of model '{manifest.name}' is no tensor of floating-point numbers")
        name, dtype = _DTYPES[spec.data_type]
        columns = sorted((c for c in manifest.table.columns if c.input == spec.name), key=lambda column: column.index)
        values = np.array([[row[column.name] for column in columns]], dtype=dtype)
        request.inputs.add(name=spec.name, datatype=name, shape=values.shape)
        request.raw_input_contents.append(values.tobytes())
    return request


def first_number(response: oip.ModelInferResponse) -> float:
    """The first element of the first output. Raises CliError where it is no floating-point number."""
    output = response.outputs[0]
    dtype = next((dtype for name, dtype in _DTYPES.values() if name == output.datatype), None)
    if dtype is None:
        raise misuse(f"output '{output.name}' is {output.datatype}, no floating-point number")
    return float(np.frombuffer(response.raw_output_contents[0], dtype)[0])
