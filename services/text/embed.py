"""TextService.Embed: texts in, one vector of each out.

Where the network answers a vector a token, the service takes their mean without the padding; where the manifest says
so, it brings the vectors to unit length. Reimers and Gurevych 2019 (Sentence-BERT), section 3.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from argosy.v1.prediction_pb2 import Embedding
from argosy.v1.text_pb2 import TextEmbedding, TextServiceEmbedRequest, TextServiceEmbedResponse
from services.runtime.front import Array, TypedRoute
from services.runtime.messages import parse
from services.text.reading import TextReader, TextRequest, token_counts

ROUTE = TypedRoute("/argosy.v1.TextService/Embed", rows_field=3, rows_name="texts")

# What a vector of zeros is divided by.
_TINY = np.float32(1e-12)


@dataclass(frozen=True, slots=True)
class Embed:
    """Embed of one model-version; `output` is [rows, width], or [rows, tokens, width] where it is `pooled`."""

    model: str
    version: str
    reader: TextReader
    output: str
    pooled: bool
    normalized: bool
    route: TypedRoute = ROUTE

    def decode(self, message: bytes) -> TextRequest:
        """Raises ServingError (INVALID_INPUT) that names the first bad text."""
        return self.reader.read(parse(TextServiceEmbedRequest, message).texts)

    def collate(self, requests: Sequence[TextRequest]) -> dict[str, Array]:
        return self.reader.collate(requests)

    def row_lengths(self, requests: Sequence[TextRequest]) -> list[int]:
        return token_counts(requests)

    def encode(self, request: TextRequest, outputs: Mapping[str, Array]) -> bytes:
        """Vectors to a TextServiceEmbedResponse."""
        results = self.results(request, outputs)
        return TextServiceEmbedResponse(model=self.model, version=self.version, results=results).SerializeToString()

    def results(self, request: TextRequest, outputs: Mapping[str, Array]) -> list[TextEmbedding]:
        """One a text."""
        vectors = outputs[self.output].astype(np.float32, copy=False)
        if self.pooled:
            vectors = mean_of_tokens(vectors, request.mask(vectors.shape[1]))
        if self.normalized:
            vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), _TINY)
        return [
            TextEmbedding(embedding=Embedding(values=vector.tolist()), reading=reading)
            for vector, reading in zip(vectors, request.readings(), strict=True)
        ]


def mean_of_tokens(vectors: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """[rows, tokens, width] under a mask [rows, tokens] to [rows, width]; each row has at least one token."""
    means: NDArray[np.float32] = vectors.mean(axis=1, where=mask[:, :, np.newaxis])
    return means
