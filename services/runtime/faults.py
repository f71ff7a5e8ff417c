"""What nobody foresaw: the log has all of it under an id, the caller gets the id alone.

This is the seam where a foreign exception becomes ours; its text never goes further. It deliberately decides nothing:
what to do with the ServingError is the business of whoever holds the request.
"""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from services.runtime.errors import ServingError, internal

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

_log: "FilteringBoundLogger" = structlog.get_logger("argosy")

# What ends a thread, a generator or a task on purpose. Whatever else is raised is a fault; a panic of a library in Rust
# is one too, though it is no Exception.
ENDINGS = (SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError)


def unforeseen(event: str, error: BaseException | None = None) -> ServingError:
    """Log `event` with the error's traceback under a new id; INTERNAL with that id is what the caller is told."""
    error_id = secrets.token_hex(6)
    _log.error(event, error_id=error_id, exc_info=error)
    return internal(error_id)


@contextmanager
def foreseen(event: str) -> Iterator[None]:
    """Let nothing but a ServingError (or one of ENDINGS) out of the block."""
    try:
        yield
    except (ServingError, *ENDINGS):
        raise
    except BaseException as error:  # noqa: BLE001  the seam: whatever it is, it is logged and becomes INTERNAL
        raise unforeseen(event, error) from None
