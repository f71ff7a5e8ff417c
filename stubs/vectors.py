"""What services of texts and of images have in common: vectors, and how many classes are asked for."""

from argosy.v1 import manifest_pb2 as pb
from stubs.declaration import Field, Message
from stubs.messages import one_line
from stubs.names import camel

TOP_K = Field("top_k", 4, "uint32", "How many classes to answer of each; 0 means 5.")

_VECTORS = (pb.OUTPUT_ROLE_EMBEDDING, pb.OUTPUT_ROLE_TOKEN_EMBEDDINGS)


def embedding_message(manifest: pb.ModelManifest, *more: Field) -> Message:
    """A result that is a vector."""
    spec = next((spec for spec in manifest.outputs if spec.role in _VECTORS), pb.TensorSpec())
    size = f"{spec.shape[-1]} numbers" if spec.shape and spec.shape[-1] > 0 else ""
    comment = one_line(": ".join(filter(None, (size, spec.meaning))))
    return Message(f"{camel(manifest.name)}Embedding", (Field("values", 1, "float", comment, "repeated"), *more))
