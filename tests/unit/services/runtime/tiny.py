"""Models on disk for unit tests: graphs of one or two nodes, built here, with manifests that are right."""

import hashlib
from pathlib import Path

import numpy as np
import yaml
from google.protobuf import json_format
from onnx import TensorProto, helper, numpy_helper

from argosy.v1 import manifest_pb2 as pb
from services.runtime.devices import Execution
from services.runtime.session import Session
from services.runtime.typed_method import TaskCode

REGRESSION = pb.TASK_TABULAR_REGRESSION
TENSORS_ONLY = TaskCode(lambda _manifest, _folder: ())


def session(folder: Path, graph: bytes, row_limit: int = 32, **execution: object) -> Session:
    """The graph on disk, loaded."""
    path = folder / "model.onnx"
    path.write_bytes(graph)
    return Session(path, Execution(**execution), row_limit)


def scaling_graph(factor: float = 2.0) -> bytes:
    """y = factor * x, FP32 [N, 3]."""
    return model_of(
        [helper.make_node("Mul", ["x", "factor"], ["y"])],
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 3])],
        [numpy_helper.from_array(np.array([factor], np.float32), "factor")],
    )


def lookup_graph() -> bytes:
    """y = one of three vectors by its index, INT64 [N, 1] -> FP32 [N, 1, 2]; another index is an error."""
    table = np.arange(6, dtype=np.float32).reshape(3, 2)
    return model_of(
        [helper.make_node("Gather", ["table", "x"], ["y"])],
        [helper.make_tensor_value_info("x", TensorProto.INT64, ["rows", 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 1, 2])],
        [numpy_helper.from_array(table, "table")],
    )


def echo_graph() -> bytes:
    """y = x, strings [N, 1]."""
    return model_of(
        [helper.make_node("Identity", ["x"], ["y"])],
        [helper.make_tensor_value_info("x", TensorProto.STRING, ["rows", 1])],
        [helper.make_tensor_value_info("y", TensorProto.STRING, ["rows", 1])],
        [],
    )


def one_hot_graph() -> bytes:
    """y = x as one of the texts a and b, strings [N, 1] -> FP32 [N, 1, 2]; another text is an error."""
    return model_of(
        [helper.make_node("OneHotEncoder", ["x"], ["y"], domain="ai.onnx.ml", cats_strings=["a", "b"], zeros=0)],
        [helper.make_tensor_value_info("x", TensorProto.STRING, ["rows", 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 1, 2])],
        [],
    )


def slow_graph() -> bytes:
    """y = x after 200 products of 512 x 512 matrices, FP32 [N, 3]: long enough to be ended in the middle."""
    nodes = [helper.make_node("MatMul", ["m0" if i == 0 else f"m{i}", "weights"], [f"m{i + 1}"]) for i in range(200)]
    nodes += [
        helper.make_node("ReduceSum", ["m200"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "zero"], ["nothing"]),
        helper.make_node("Add", ["x", "nothing"], ["y"]),
    ]
    seed = [
        helper.make_node("Mul", ["weights", "scale"], ["m0"]),
        helper.make_node("ReduceMax", ["x"], ["scale"], keepdims=0),
    ]
    weights = np.full((512, 512), 1 / 512, np.float32)
    return model_of(
        [*reversed(seed), *nodes],
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 3])],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(np.float32(0), "zero")],
    )


def write_version(
    models_dir: Path, model: str = "tiny", version: str = "1", graph: bytes | None = None, **changes: object
) -> Path:
    """A version that may be served, but for `changes` of its manifest; its folder."""
    folder = models_dir / model / version
    folder.mkdir(parents=True)
    contents = scaling_graph() if graph is None else graph
    (folder / "model.onnx").write_bytes(contents)
    manifest = pb.ModelManifest(
        name=model,
        version=version,
        tasks=[REGRESSION],
        inputs=[pb.TensorSpec(name="x", data_type=pb.DATA_TYPE_FP32, shape=[-1, 3])],
        outputs=[pb.TensorSpec(name="y", data_type=pb.DATA_TYPE_FP32, shape=[-1, 3], role=pb.OUTPUT_ROLE_VALUE)],
        parity=pb.ParityReport(passed=True),
        files=[digest(folder / "model.onnx")],
    )
    fields = {**json_format.MessageToDict(manifest, preserving_proto_field_name=True), **changes}
    (folder / "model.yaml").write_text(yaml.safe_dump(fields), encoding="utf-8")
    return folder


def tensor(data_type: str, *shape: int, name: str = "x") -> dict[str, object]:
    """A TensorSpec as the manifest writes it."""
    return {"name": name, "data_type": f"DATA_TYPE_{data_type}", "shape": list(shape)}


def digest(path: Path) -> pb.FileDigest:
    contents = path.read_bytes()
    return pb.FileDigest(path=path.name, sha256=hashlib.sha256(contents).hexdigest(), size_bytes=len(contents))


def model_of(nodes: list[object], inputs: list[object], outputs: list[object], initializers: list[object]) -> bytes:
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, initializers)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)], ir_version=9
    )
    return bytes(model.SerializeToString())
