"""Texts of one batch and of different lengths: what the graph is told of the padding decides how they are run."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf import json_format
from onnx import TensorProto, helper

from argosy.v1 import manifest_pb2 as pb
from argosy.v1.text_pb2 import TextServiceEmbedRequest, TextServiceEmbedResponse
from services.runtime.fronts import FRONTS, PORTABLE
from services.text.__main__ import TEXT
from services.text.embed import ROUTE
from tests.unit.services.runtime.served import repository
from tests.unit.services.runtime.tiny import model_of, tensor, write_version


def mean_graph() -> bytes:
    """vector = the mean of the ids, INT64 [N, tokens] -> FP32 [N, 1]: padding changes it."""
    return model_of(
        [
            helper.make_node("Cast", ["ids"], ["numbers"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["numbers", "axes"], ["vector"], keepdims=1),
        ],
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["rows", "tokens"])],
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["rows", 1])],
        [helper.make_tensor("axes", TensorProto.INT64, [1], [1])],
    )


@pytest.fixture
def channel(tmp_path: Path, directory: Path) -> Iterator[grpc.Channel]:
    """To a text service with a model `tiny` that has no mask."""
    tokens = pb.TokenReading(tokenizer_file="tokenizer.json", ids_input="ids", max_tokens=8)
    folder = write_version(
        tmp_path,
        graph=mean_graph(),
        tasks=["TASK_TEXT_EMBEDDING"],
        inputs=[tensor("INT64", -1, -1, name="ids")],
        outputs=[tensor("FP32", -1, 1, name="vector") | {"role": "OUTPUT_ROLE_EMBEDDING"}],
        text={"tokens": json_format.MessageToDict(tokens, preserving_proto_field_name=True)},
    )
    shutil.copy(directory / "tokenizer.json", folder)
    front = FRONTS[PORTABLE]("127.0.0.1:0", (ROUTE,))
    repository(tmp_path, front, tasks=TEXT.tasks, task_code=TEXT.task_code).load_all()
    with grpc.insecure_channel(front.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        yield channel
    front.drain(grace_s=0, notice_s=0)


def vectors(channel: grpc.Channel, *texts: str) -> list[float]:
    request = TextServiceEmbedRequest(model="tiny", texts=texts)
    embed: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(ROUTE.method)
    reply = TextServiceEmbedResponse.FromString(embed(request.SerializeToString(), 20))
    return [result.embedding.values[0] for result in reply.results]


def test_a_graph_without_a_mask_answers_a_text_as_it_does_alone(channel: grpc.Channel) -> None:
    neighbours = ["good", "good bad day bad", "good bad day", "bad good"]
    assert vectors(channel, *neighbours) == [vectors(channel, text)[0] for text in neighbours]
