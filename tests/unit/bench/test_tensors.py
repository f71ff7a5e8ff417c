"""ModelInfer messages as the benchmark writes and reads them."""

import numpy as np

from bench.tensors import answer, as_feeds, inputs_of, outputs_of, request
from inference.grpc_service_pb2 import ModelInferResponse


def test_a_request_is_read_as_it_was_written() -> None:
    texts = np.array([[b"a", b""]], np.object_)
    read = inputs_of(request("m", {"x": np.array([[1.5, 2.5]], np.float32), "t": texts}))
    assert read["x"].tolist() == [[1.5, 2.5]]
    assert read["t"].tolist() == [[b"a", b""]]


def test_an_answer_is_read_as_it_was_written() -> None:
    assert outputs_of(answer("m", {"y": np.array([[7]], np.int64)}))["y"].tolist() == [[7]]


def test_an_answer_with_typed_contents_is_read_too() -> None:
    reply = ModelInferResponse()
    reply.outputs.add(name="y", datatype="FP32", shape=[1, 2]).contents.fp32_contents.extend([1.0, 2.0])
    assert outputs_of(reply.SerializeToString())["y"].tolist() == [[1.0, 2.0]]


def test_onnx_runtime_is_fed_texts_as_str() -> None:
    assert as_feeds({"t": np.array([["é".encode()]], np.object_)})["t"].tolist() == [["é"]]
