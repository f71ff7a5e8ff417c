"""What the header `argosy-sequence` is for a step: the sequence's id, percent-encoded as RFC 3986 has it.

Routers send a step by this header, and the fronts refuse a step whose message says another sequence. Nothing here knows
of states or endpoints.
"""

from urllib.parse import quote

from inference.grpc_service_pb2 import InferParameter, ModelInferRequest

SEQUENCE = "argosy-sequence"

# Of a longer one only the beginning: headers are bounded.
_LONGEST = 512


def step_header(request: ModelInferRequest) -> str:
    """The header's value for a step, '' for a request whose parameters have no sequence's id."""
    if "sequence_id" not in request.parameters:
        return ""
    return quote(_text(request.parameters["sequence_id"]), safe="")[:_LONGEST]


def _text(parameter: InferParameter) -> str:
    number = max(parameter.int64_param, parameter.uint64_param)
    return str(number) if number > 0 else parameter.string_param
