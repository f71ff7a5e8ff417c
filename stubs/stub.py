"""The stub of any model: what it reads decides which."""

from argosy.v1 import manifest_pb2 as pb
from stubs.declaration import Declaration
from stubs.image import image_stub
from stubs.names import StubError
from stubs.table import table_stub
from stubs.text import text_stub


def stub_of(manifest: pb.ModelManifest) -> Declaration:
    """The file of a model's own service. Raises StubError where there is none to be had."""
    if manifest.states:
        raise StubError(f"'{manifest.name}' keeps a state between requests: it is asked by ModelInfer alone")
    match manifest.WhichOneof("preprocessing"):
        case "table":
            return table_stub(manifest).declaration()
        case "text":
            return text_stub(manifest).declaration()
        case "image":
            return image_stub(manifest).declaration()
    raise StubError(f"'{manifest.name}' reads tensors alone: its manifest states no image, text or table")
