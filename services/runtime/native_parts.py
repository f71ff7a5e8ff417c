"""How routes, tensors and errors cross to the native front: as tuples of plain values."""

from collections.abc import Callable
from typing import TypeAlias

from services.runtime.errors import GRPC_STATUS, ServingError
from services.runtime.faults import foreseen
from services.runtime.front import TensorSignature, TypedRoute, UnaryAnswer

# Status code, reason, message, field, seconds until a retry.
ErrorParts: TypeAlias = tuple[int, str, str, str, float | None]


def route_parts(route: TypedRoute) -> tuple[str, int, str]:
    return route.method, route.rows_field, route.rows_name


def tensor_parts(tensor: TensorSignature) -> tuple[str, str, list[int]]:
    return tensor.name, tensor.datatype, list(tensor.shape)


def error_parts(error: ServingError) -> ErrorParts:
    return GRPC_STATUS[error.cause], error.reason, error.message, error.field, error.retry_after_s


def crossing(answer: UnaryAnswer) -> Callable[[bytes], bytes | ErrorParts]:
    """`answer` as Rust calls it: nothing is raised."""

    def crossed(message: bytes) -> bytes | ErrorParts:
        try:
            with foreseen("a rare method failed"):
                return answer(message)
        except ServingError as error:
            return error_parts(error)

    return crossed
