"""OpenTelemetry's trace context, put into a call's metadata where the application uses OpenTelemetry at all.

The propagators are the application's (W3C trace context by default). No span is made here: an instrumentation of gRPC
does that, and two would say the same thing twice.
"""

from collections.abc import Callable

Inject = Callable[[dict[str, str | bytes]], None]


def trace_injector() -> Inject:
    """What adds the current context's headers to a dictionary; nothing where OpenTelemetry is not installed."""
    try:
        from opentelemetry import propagate  # noqa: PLC0415  an optional extra
    except ImportError:
        return lambda _: None
    inject: Inject = propagate.inject
    return inject
