"""TextService.Classify: texts in, the likeliest classes of each out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from argosy.v1.text_pb2 import TextClassification, TextServiceClassifyRequest, TextServiceClassifyResponse
from services.runtime.categories import ClassOutput
from services.runtime.front import Array, TypedRoute
from services.runtime.messages import parse
from services.text.reading import TextReader, TextRequest, token_counts

ROUTE = TypedRoute("/argosy.v1.TextService/Classify", rows_field=3, rows_name="texts")


@dataclass(frozen=True, slots=True)
class Classify:
    """Classify of one model-version."""

    model: str
    version: str
    reader: TextReader
    output: ClassOutput
    route: TypedRoute = ROUTE

    def decode(self, message: bytes) -> TextRequest:
        """Raises ServingError (INVALID_INPUT) that names the first bad text."""
        request = parse(TextServiceClassifyRequest, message)
        return self.reader.read(request.texts, request.top_k)

    def collate(self, requests: Sequence[TextRequest]) -> dict[str, Array]:
        return self.reader.collate(requests)

    def row_lengths(self, requests: Sequence[TextRequest]) -> list[int]:
        return token_counts(requests)

    def encode(self, request: TextRequest, outputs: Mapping[str, Array]) -> bytes:
        """Scores [rows, classes] to a TextServiceClassifyResponse."""
        results = self.results(request, outputs)
        return TextServiceClassifyResponse(model=self.model, version=self.version, results=results).SerializeToString()

    def results(self, request: TextRequest, outputs: Mapping[str, Array]) -> list[TextClassification]:
        """One a text."""
        rows = self.output.top(outputs, request.top_k)
        return [
            TextClassification(categories=categories, reading=reading)
            for categories, reading in zip(rows, request.readings(), strict=True)
        ]
