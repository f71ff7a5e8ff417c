"""A model of MLServer: whatever its adaptive batching has merged in one run of ONNX Runtime.

Runs in MLServer's own interpreter, with nothing of this project but ONNX Runtime. The graph is the model's `uri`.
"""

import numpy as np
import onnxruntime as ort
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse, RequestInput


class OnnxModel(MLModel):
    """What MLServer loads and calls."""

    async def load(self) -> bool:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        graph = self.settings.parameters.uri
        self._session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._outputs = [output.name for output in self._session.get_outputs()]
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        feeds = {tensor.name: _array(tensor) for tensor in payload.inputs}
        answers = self._session.run(self._outputs, feeds)
        outputs = [
            (StringCodec if values.dtype.kind == "O" else NumpyCodec).encode_output(name, values)
            for name, values in zip(self._outputs, answers, strict=True)
        ]
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)


def _array(tensor: RequestInput) -> np.ndarray:
    if tensor.datatype == "BYTES":
        return np.array(StringCodec.decode_input(tensor), object).reshape(tensor.shape)
    return NumpyCodec.decode_input(tensor)
