"""A model of Triton's Python backend: all rows of a batch in one run of ONNX Runtime, as its users are told to do.

Runs in Triton's own interpreter, with nothing of this project but ONNX Runtime. Which graph and which outputs are
parameters of the model's configuration.
"""

from __future__ import annotations

import json

import numpy as np
import onnxruntime as ort
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """What the backend calls."""

    def initialize(self, arguments: dict[str, str]) -> None:
        config = json.loads(arguments["model_config"])
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        graph = config["parameters"]["graph"]["string_value"]
        self._session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._inputs = [tensor["name"] for tensor in config["input"]]
        self._outputs = [tensor["name"] for tensor in config["output"]]

    def execute(self, requests: list[pb_utils.InferenceRequest]) -> list[pb_utils.InferenceResponse]:
        per_request = [
            [pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in self._inputs]
            for request in requests
        ]
        ends = np.cumsum([arrays[0].shape[0] for arrays in per_request])[:-1]
        columns = zip(self._inputs, zip(*per_request, strict=True), strict=True)
        feeds = {name: _whole(arrays) for name, arrays in columns}
        answers = [np.split(values, ends) for values in self._session.run(self._outputs, feeds)]
        return [
            pb_utils.InferenceResponse(
                [pb_utils.Tensor(name, part) for name, part in zip(self._outputs, parts, strict=True)]
            )
            for parts in zip(*answers, strict=True)
        ]


def _whole(arrays: tuple[np.ndarray, ...]) -> np.ndarray:
    """The rows of a batch as one array. Triton hands texts over as bytes, ONNX Runtime takes them as str."""
    whole = np.concatenate(arrays) if len(arrays) > 1 else arrays[0]
    if whole.dtype.kind == "O":
        return np.array([text.decode() for text in whole.ravel()], object).reshape(whole.shape)
    return whole
