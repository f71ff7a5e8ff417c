"""A text service with a bug, for tests: Classify raises at the text `magic` in decode, at `spell` in encode,
and at `lightning` a device is lost.

Everything else of it is the text service's own: `python -m tests.e2e.faulty_service --models-dir …`.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from argosy.v1.manifest_pb2 import ModelManifest
from argosy.v1.text_pb2 import TextServiceClassifyRequest
from services.runtime.ending import end_process
from services.runtime.errors import DeviceFaultError
from services.runtime.front import Array, TypedRoute
from services.runtime.service import main
from services.runtime.typed_method import TaskCode, TypedMethod, erased
from services.text.__main__ import TEXT
from services.text.methods import typed_methods
from services.text.reading import TextRequest

SECRET = "the bug's own words: /etc/argosy/secret"


@dataclass(frozen=True, slots=True)
class Faulty:
    """A typed method with the bug."""

    right: TypedMethod[TextRequest]

    @property
    def route(self) -> TypedRoute:
        return self.right.route

    def decode(self, message: bytes) -> TextRequest:
        if "magic" in TextServiceClassifyRequest.FromString(message).texts:
            raise KeyError(SECRET)
        return self.right.decode(message)

    def collate(self, requests: Sequence[TextRequest]) -> dict[str, Array]:
        if any("lightning" in request.texts for request in requests):
            raise DeviceFaultError("CUDA failure 700: an illegal memory access was encountered")
        return self.right.collate(requests)

    def row_lengths(self, requests: Sequence[TextRequest]) -> Sequence[int]:
        return self.right.row_lengths(requests)

    def encode(self, request: TextRequest, outputs: Mapping[str, Array]) -> bytes:
        if "spell" in request.texts:
            raise ZeroDivisionError(SECRET)
        return self.right.encode(request, outputs)


def faulty_methods(manifest: ModelManifest, directory: Path) -> tuple[TypedMethod[TextRequest], ...]:
    return tuple(Faulty(method) for method in typed_methods(manifest, directory))


if __name__ == "__main__":
    end_process(main(replace(TEXT, task_code=TaskCode(erased(faulty_methods))), sys.argv[1:], os.environ))
