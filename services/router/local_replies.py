"""What Envoy itself answers, put into the fleet's own form: status, message and google.rpc details.

Only requests that failed come here. The details are constant for each cause, so they are encoded once, in a header.
"""

import base64

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLogFilter, ExtensionFilter, ResponseFlagFilter
from envoy.config.core.v3.base_pb2 import DataSource
from envoy.extensions.access_loggers.filters.cel.v3.cel_pb2 import ExpressionFilter
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    LocalReplyConfig,
    ResponseMapper,
)

from services.router.xds_types import MAX_MESSAGE_BYTES, overwritten, packed
from services.runtime.errors import ServingError, deadline_exceeded, exhausted, invalid_input, unavailable
from services.runtime.status import DETAILS_TRAILER, grpc_code, status_details

TOO_LARGE = exhausted(
    "MESSAGE_TOO_LARGE", f"the message is larger than the limit of {MAX_MESSAGE_BYTES} bytes (64 MiB)"
)
_OVERLOADED = exhausted("OVERLOADED", "too many requests are in flight", 1.0)
DEADLINE = deadline_exceeded("the deadline passed before there was an answer")


def local_replies() -> LocalReplyConfig:
    """First match wins."""
    return LocalReplyConfig(
        mappers=[
            _mapper(_details_contain("REQUEST_BUFFER_CONVERSION_FAIL"), TOO_LARGE),
            _mapper(_details_contain("request_payload_too_large"), TOO_LARGE),
            _mapper(_details_contain("grpc_field_extraction"), invalid_input("the message is no valid protobuf")),
            _mapper(_details_contain("duration_timeout"), DEADLINE),
            _mapper(_flags("DT", "UT", "SI", "UMSDR"), DEADLINE),
            _mapper(_details_contain("overload"), _OVERLOADED),
            _mapper(_flags("UO", "OM"), _OVERLOADED),
            _mapper(_flags("UH", "NC", "NR"), unavailable("NO_READY_ENDPOINT", "no endpoint is ready for the model")),
            _mapper(
                _flags("URX", "UF", "UC", "UR", "LR", "UPE", "LH", "DPE"),
                unavailable("ENDPOINT_LOST", "the endpoint was lost before it had answered"),
            ),
        ]
    )


def _mapper(where: AccessLogFilter, error: ServingError) -> ResponseMapper:
    # Envoy prints a header's %…% as a command: base64 has none.
    details = base64.b64encode(status_details(error)).decode()
    return ResponseMapper(
        filter=where,
        body=DataSource(inline_string=error.message),
        headers_to_add=[overwritten("grpc-status", str(grpc_code(error))), overwritten(DETAILS_TRAILER, details)],
    )


def _flags(*flags: str) -> AccessLogFilter:
    """https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/observability/access_log/usage, %RESPONSE_FLAGS%."""
    return AccessLogFilter(response_flag_filter=ResponseFlagFilter(flags=flags))


def _details_contain(text: str) -> AccessLogFilter:
    expression = ExpressionFilter(expression=f"response.code_details.contains('{text}')")
    return AccessLogFilter(
        extension_filter=ExtensionFilter(
            name="envoy.access_loggers.extension_filters.cel", typed_config=packed(expression)
        )
    )
