"""A graph small enough to see through: probabilities = softmax(features · weights), and everything around it."""

from dataclasses import dataclass

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from argosy.v1 import manifest_pb2 as pb
from exporter.signature import Meaning, finish, tensor_specs
from exporter.source import model_source
from exporter.verify import compare

Numbers = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Tiny:
    """A linear classifier of four numbers and three classes, as a converter would leave it."""

    weights: Numbers
    rows: Numbers

    def converted(self, batch: int | str = "unk__36", output: str = "Identity:0") -> onnx.ModelProto:
        nodes = [
            helper.make_node("MatMul", ["input_1", "weights"], ["scores"], doc_string="/home/someone/train.py:7"),
            helper.make_node("Softmax", ["scores"], [output], axis=-1),
        ]
        graph = helper.make_graph(
            nodes,
            "tiny",
            [helper.make_tensor_value_info("input_1", TensorProto.FLOAT, [batch, 4])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, [batch, 3])],
            [numpy_helper.from_array(self.weights, "weights")],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)

    def answering_scores(self) -> onnx.ModelProto:
        """The same without its softmax."""
        model = self.converted()
        del model.graph.node[1]
        model.graph.output[0].CopyFrom(
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["unk__36", self.weights.shape[1]])
        )
        return model

    def graph(self) -> bytes:
        return finish(self.converted(), ["features"], ["probabilities"])

    def reference(self) -> Numbers:
        scores = self.rows @ self.weights
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        answers: Numbers = powers / powers.sum(axis=1, keepdims=True)
        return answers

    def parity(self) -> pb.ParityReport:
        return compare(self.graph(), {"features": self.rows}, {"probabilities": self.reference()}, described="numpy")

    def draft(self) -> pb.ModelManifest:
        graph = self.graph()
        meanings = {
            "features": Meaning("four numbers"),
            "probabilities": Meaning("probability of each class", role=pb.OUTPUT_ROLE_PROBABILITIES),
        }
        inputs, outputs = tensor_specs(graph, meanings)
        columns = [
            pb.TableColumn(name=f"c{index}", kind=pb.COLUMN_KIND_NUMBER, input="features", index=index)
            for index in range(4)
        ]
        return pb.ModelManifest(
            name="tiny",
            version="1",
            tasks=[pb.TASK_TABULAR_CLASSIFICATION],
            inputs=inputs,
            outputs=outputs,
            table=pb.TablePreprocessing(columns=columns),
            labels=["a", "b", "c"],
            source=model_source(graph, "onnx", "onnx"),
            parity=self.parity(),
        )


@pytest.fixture
def tiny() -> Tiny:
    random = np.random.default_rng(0)
    return Tiny(random.normal(size=(4, 3)).astype(np.float32), random.normal(size=(40, 4)).astype(np.float32))
