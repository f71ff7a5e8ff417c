"""Every way a request or a load can fail, told apart by cause.

A caller acts on the cause (mend the request, retry elsewhere, give up), so the cause alone decides the gRPC status, in
one table. The text of a foreign exception never goes into a `ServingError`: what nobody foresaw becomes INTERNAL with a
fixed text and an id, and the details go to the log. This module deliberately imports nothing of Argosy and no gRPC.
"""

from dataclasses import dataclass, replace
from enum import Enum


class Cause(Enum):
    """Why a request was not answered or a version not loaded."""

    INVALID_INPUT = "invalid input"
    NOT_FOUND = "not found"
    EXHAUSTED = "exhausted"
    UNAVAILABLE = "unavailable"
    DEADLINE = "deadline"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    REFUSED_LOAD = "refused load"
    UNIMPLEMENTED = "unimplemented"
    INTERNAL = "internal"


# gRPC status code numbers: https://grpc.io/docs/guides/status-codes/
GRPC_STATUS: dict[Cause, int] = {
    Cause.INVALID_INPUT: 3,  # INVALID_ARGUMENT
    Cause.DEADLINE: 4,  # DEADLINE_EXCEEDED
    Cause.NOT_FOUND: 5,  # NOT_FOUND
    Cause.FORBIDDEN: 7,  # PERMISSION_DENIED
    Cause.EXHAUSTED: 8,  # RESOURCE_EXHAUSTED
    Cause.REFUSED_LOAD: 9,  # FAILED_PRECONDITION
    Cause.UNIMPLEMENTED: 12,  # UNIMPLEMENTED
    Cause.INTERNAL: 13,  # INTERNAL
    Cause.UNAVAILABLE: 14,  # UNAVAILABLE
    Cause.UNAUTHENTICATED: 16,  # UNAUTHENTICATED
}

MAX_MESSAGE_BYTES = 512


# Not frozen: contextlib sets __traceback__ on the exceptions that pass through it.
@dataclass(slots=True, eq=False)
class ServingError(Exception):
    """A failure whose text may be shown to the caller.

    `reason` is ErrorInfo's UPPER_SNAKE word; `field` names the part of the request at fault; `retry_after_s` becomes
    RetryInfo and is set where the same request can succeed later.
    """

    cause: Cause
    reason: str
    message: str
    field: str = ""
    retry_after_s: float | None = None

    def __str__(self) -> str:
        return self.message


class DeviceFaultError(Exception):
    """The device is lost to this process: no session on it answers any more. Only a new process helps."""


def without_frames(error: ServingError) -> ServingError:
    """The same error without the frames that it came through: they would hold a request's data, in a circle with
    whatever keeps the error, until the garbage collector comes by.
    """
    return replace(error)


def invalid_input(message: str, field: str = "", reason: str = "INVALID_INPUT") -> ServingError:
    """The request itself is wrong: `message` says what was expected and what came."""
    return ServingError(Cause.INVALID_INPUT, reason, message, field)


def empty_request(field: str, called: str = "") -> ServingError:
    """A request without a single row: the one answer to it in all services. `called` is the field in words."""
    return invalid_input(f"{called or field}: at least one is needed, got 0", field, "EMPTY_REQUEST")


def unnamed_model() -> ServingError:
    """A request that has to name a model, and names none."""
    return invalid_input("model: a model's name is needed, got none", "model")


def unknown_model(model: str, version: str = "") -> ServingError:
    """No such model, or no such version of it. Says nothing of the models that there are."""
    if version:
        return ServingError(
            Cause.NOT_FOUND, "UNKNOWN_VERSION", f"model '{shown(model)}' has no version '{shown(version)}'"
        )
    return ServingError(Cause.NOT_FOUND, "UNKNOWN_MODEL", f"no model '{shown(model)}'")


def unknown_method(path: str) -> ServingError:
    """Nobody here answers a method of that path."""
    return ServingError(Cause.UNIMPLEMENTED, "UNKNOWN_METHOD", f"no method '{shown(path)}'")


def unavailable(reason: str, message: str, retry_after_s: float = 1.0) -> ServingError:
    """Nothing is wrong with the request: it can be answered elsewhere now or here later."""
    return ServingError(Cause.UNAVAILABLE, reason, message, retry_after_s=retry_after_s)


def device_lost() -> ServingError:
    """No session on the device answers any more; whoever asks again is answered by another process."""
    return unavailable("DEVICE_FAULT", "the device has failed; this process ends")


def exhausted(reason: str, message: str, retry_after_s: float | None = None) -> ServingError:
    """A bound was reached: the queue's, the tenant's, the message's."""
    return ServingError(Cause.EXHAUSTED, reason, message, retry_after_s=retry_after_s)


def deadline_exceeded(message: str, retry_after_s: float | None = None) -> ServingError:
    """The deadline has passed or cannot be met: the model did not run."""
    return ServingError(Cause.DEADLINE, "DEADLINE_EXCEEDED", message, retry_after_s=retry_after_s)


def too_late() -> ServingError:
    """The deadline had passed before anything could be done."""
    return deadline_exceeded("the deadline had passed when the request arrived")


def refused_load(reason: str, message: str) -> ServingError:
    """A version must not be served: a digest, the parity report or the execution provider is not as it should be."""
    return ServingError(Cause.REFUSED_LOAD, reason, message)


def internal(error_id: str) -> ServingError:
    """Something that nobody foresaw; `error_id` finds it in the log."""
    return ServingError(Cause.INTERNAL, "INTERNAL", f"internal error {error_id}: the service's log has the details")


def shown(text: str, max_characters: int = 64) -> str:
    """`text` as an error message may quote it: printable and short."""
    printable = "".join(c if c.isprintable() else "?" for c in text[: max_characters + 1])
    return printable if len(printable) <= max_characters else printable[:max_characters] + "…"
