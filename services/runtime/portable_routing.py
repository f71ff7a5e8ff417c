"""What the headers of a call say of the way it was sent, and that its message says the same.

A router sends and authorises by its own reading of the message, which it states in headers: it must have read what the
service reads. A step of a sequence that came by another sequence's header may have reached an endpoint that keeps an
older state of it. Of a stream the header says where all of it goes, by its first request.
"""

import re
from dataclasses import dataclass, replace

from inference.grpc_service_pb2 import ModelInferRequest
from services.runtime.errors import invalid_input, shown
from services.runtime.rpc_errors import Context
from services.runtime.sequence_header import SEQUENCE, step_header
from services.runtime.wire import Envelope

MODEL, VERSION, PRIORITY = "argosy-model", "argosy-version", "argosy-priority"

# Every number of so many digits fits into 64 bits.
_PRIORITY = re.compile("[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class Routing:
    """What the headers say, model and version as often as they came; '' of the sequence where nothing does."""

    models: list[str]
    versions: list[str]
    priority: str | None
    sequence: str

    def without_sequence(self) -> "Routing":
        return replace(self, sequence="")

    def version_of(self, envelope: Envelope) -> str:
        """The version asked for; of a message that names none the router may choose one. Raises ServingError."""
        for model in self.models:
            _check(MODEL, model, envelope.model)
        version = envelope.version
        for routed in self.versions:
            version = version or routed
            _check(VERSION, routed, version)
        return version

    def asked_priority(self) -> int:
        """The priority that is asked for, 0 for none. Raises ServingError (INVALID_INPUT)."""
        if self.priority is None:
            return 0
        if not _PRIORITY.fullmatch(self.priority):
            text = f"the header {PRIORITY}: a whole number is needed, got '{shown(self.priority)}'"
            raise invalid_input(text, PRIORITY)
        return int(self.priority)

    def check_sequence(self, message: bytes) -> None:
        """Raise ServingError (INVALID_INPUT) for a ModelInferRequest of another sequence than the header's."""
        own = step_header(ModelInferRequest.FromString(message)) if self.sequence else ""
        if own and own != self.sequence:
            said = f"says '{shown(self.sequence)}', where the message's sequence_id makes it '{shown(own)}'"
            raise invalid_input(f"the header {SEQUENCE} {said}", SEQUENCE, "SEQUENCE_MISMATCH")


def routing_of(context: Context) -> Routing:
    """What the headers of a call say."""
    said: dict[str, list[str]] = {MODEL: [], VERSION: [], PRIORITY: [], SEQUENCE: []}
    for name, value in context.invocation_metadata() or ():
        if name in said and isinstance(value, str):
            said[name].append(value)
    models, versions, priorities, sequences = said.values()
    # As HTTP joins a header that comes twice, which is no sequence's.
    sequence = ",".join(filter(None, sequences))
    return Routing(models, versions, priorities[0] if priorities else None, sequence)


def _check(header: str, routed: str, own: str) -> None:
    if routed and routed != own:
        text = f"the header {header} says '{shown(routed)}', the message says '{shown(own)}'"
        raise invalid_input(text, header, "MODEL_MISMATCH")
