"""Steps of sequences: one endpoint keeps the state of each, and all of its steps must get there.

Envoy sends a step to an endpoint by a hash of the header `argosy-sequence`, so whoever sends the same header for all
steps of a sequence is served by one endpoint for as long as the endpoints stay the same. Of a step without the header
the brain makes it from the message. Nothing here keeps a state.
"""

from google.protobuf.message import DecodeError

from inference.grpc_service_pb2 import ModelInferRequest
from services.router.methods import ModelMethod
from services.runtime.sequence_header import step_header

# What a call is hashed by that is no step of any sequence.
_NO_SEQUENCE = "-"


def sequence_header(method: ModelMethod, message: bytes) -> str:
    """The header's value for a call whose first message is this. Never empty."""
    if method.request is not ModelInferRequest:
        return _NO_SEQUENCE
    try:
        return step_header(ModelInferRequest.FromString(message)) or _NO_SEQUENCE
    except DecodeError:
        return _NO_SEQUENCE
