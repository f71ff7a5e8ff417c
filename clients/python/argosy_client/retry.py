"""When a refused call is tried again: only if the fleet says so, when it says so, and if there is time left.

The decision is pure; the sync and the asyncio calls carry it out.
"""

import grpc

from argosy_client.errors import ArgosyError

_RETRYABLE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)


def pause_before_retry(error: ArgosyError, left_s: float) -> float | None:
    """Seconds to wait before the next attempt; None: give up with `error`. `left_s` is what the deadline leaves."""
    if error.status not in _RETRYABLE or error.retry_after_s is None or error.retry_after_s >= left_s:
        return None
    return error.retry_after_s
