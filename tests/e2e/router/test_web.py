"""gRPC-Web, as a browser speaks it: over HTTP/1.1, the trailers at the end of the body."""

from http.client import HTTPConnection
from uuid import uuid4

import pytest

from inference import grpc_service_pb2 as oip
from tests.e2e.router.processes import SteadyFleet, infer
from tests.e2e.router.test_refusals import MODEL_INFER
from tests.raw_http2 import framed

_TRAILERS = 0x80


def asked(fleet: SteadyFleet, path: str, message: bytes, **headers: str) -> bytes:
    """The body of the answer."""
    connection = HTTPConnection(fleet.router.address, timeout=10)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("POST", path, framed(message), {"content-type": "application/grpc-web+proto", **headers})
    body = connection.getresponse().read()
    connection.close()
    return body


def envoys_figures(fleet: SteadyFleet) -> str:
    connection = HTTPConnection(fleet.router.metrics_address, timeout=10)
    connection.request("GET", "/envoy")
    return connection.getresponse().read().decode()


def test_a_call_is_answered(fleet: SteadyFleet) -> None:
    body = asked(fleet, MODEL_INFER, infer("big").SerializeToString())
    length = int.from_bytes(body[1:5], "big")
    assert oip.ModelInferResponse.FromString(body[5 : 5 + length]).id == "a"
    trailers = body[5 + length :]
    assert trailers[0] == _TRAILERS
    assert b"grpc-status:0" in trailers


@pytest.mark.parametrize("headers", [{}, {"argosy_model": "big"}], ids=["to the brain", "to a model"])
@pytest.mark.parametrize("service", ["made.up.Service", "argosy.models.m.v1.MService"])
def test_methods_that_a_caller_makes_up_leave_no_figures(
    fleet: SteadyFleet, service: str, headers: dict[str, str]
) -> None:
    made_up = f"Method{uuid4().hex}"
    for _ in range(3):
        asked(fleet, f"/{service}/{made_up}", b"", **headers)
    assert made_up not in envoys_figures(fleet)
