"""What only the portable front can get wrong: a fault of its own."""

from collections.abc import Iterator

import grpc
import pytest

from inference.grpc_service_pb2 import ModelInferRequest
from services.runtime.front import QueuePolicy, QueueSpec, Signature, TensorSignature
from services.runtime.portable_front import PortableFront

INFER = "/inference.GRPCInferenceService/ModelInfer"


@pytest.fixture
def front() -> Iterator[PortableFront]:
    made = PortableFront("127.0.0.1:0", ())
    yield made
    made.drain(grace_s=0, notice_s=0)


def test_a_fault_of_the_front_itself_is_internal_and_says_nothing(
    front: PortableFront, capfd: pytest.CaptureFixture[str]
) -> None:
    no_such_datatype = Signature((TensorSignature("x", "FP7", (-1,)),), ())  # the front's code does not foresee it
    front.open_queue(QueueSpec("m", "1", (), no_such_datatype, QueuePolicy(1, 1), "cpu"))
    request = ModelInferRequest(model_name="m", model_version="1", raw_input_contents=[b"x"])
    request.inputs.add(name="x", datatype="FP7", shape=[1])
    with grpc.insecure_channel(front.address) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(INFER)(request.SerializeToString(), timeout=20)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "FP7" not in caught.value.details()
    logged = "".join(capfd.readouterr())
    assert caught.value.details().split()[2].rstrip(":") in logged
    assert "FP7" in logged
    assert front.stats().refusals == {"INTERNAL": 1}
