"""Which fronts are installed here, and which of them a service uses: the native one where it is, else the portable."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Protocol

from services.runtime.front import Front, Limits, Tls, TypedRoute
from services.runtime.portable_front import PortableFront

PORTABLE = "portable"
NATIVE = "native"


class FrontMaker(Protocol):
    """What makes a front listen. Raises OSError where the address cannot be bound."""

    def __call__(
        self,
        address: str,
        typed_routes: Sequence[TypedRoute],
        *,
        limits: Limits | None = None,
        tls: Tls | None = None,
    ) -> Front: ...


FRONTS: dict[str, FrontMaker] = {PORTABLE: PortableFront}

if find_spec("argosy_front") is not None:
    from services.runtime.native_front import NativeFront

    FRONTS[NATIVE] = NativeFront


def choose_front(wanted: str) -> tuple[FrontMaker, str]:
    """The front of that name, or for 'auto' the fastest that is installed, and its name. Raises OSError."""
    installed = NATIVE if NATIVE in FRONTS else PORTABLE
    name = installed if wanted == "auto" else wanted
    if name not in FRONTS:
        raise OSError(f"the {name} front is not installed here; there is {', '.join(FRONTS)}")
    return FRONTS[name], name
