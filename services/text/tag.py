"""TextService.Tag: texts in, a label for each of their tokens out, with its place in the text.

Places are counted in Unicode code points, as Python's strings count. Tokens that the tokenizer adds itself stand for no
part of the text and are left out; tokens behind the cut of a long text are not labelled, and the reading says so.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from argosy.v1.prediction_pb2 import Category
from argosy.v1.text_pb2 import Tag as TaggedToken
from argosy.v1.text_pb2 import TextServiceTagRequest, TextServiceTagResponse, TextTags
from services.runtime.categories import label_of, softmax
from services.runtime.front import Array, TypedRoute
from services.runtime.messages import parse
from services.text.reading import TextReader, TextRequest, Tokens, token_counts

ROUTE = TypedRoute("/argosy.v1.TextService/Tag", rows_field=3, rows_name="texts")


@dataclass(frozen=True, slots=True)
class Tag:
    """Tag of one model-version; `output` is [rows, tokens, classes], before the softmax."""

    model: str
    version: str
    reader: TextReader
    output: str
    labels: tuple[str, ...]
    route: TypedRoute = ROUTE

    def decode(self, message: bytes) -> TextRequest:
        """Raises ServingError (INVALID_INPUT) that names the first bad text."""
        return self.reader.read(parse(TextServiceTagRequest, message).texts)

    def collate(self, requests: Sequence[TextRequest]) -> dict[str, Array]:
        return self.reader.collate(requests)

    def row_lengths(self, requests: Sequence[TextRequest]) -> list[int]:
        return token_counts(requests)

    def encode(self, request: TextRequest, outputs: Mapping[str, Array]) -> bytes:
        """Class scores of each token to a TextServiceTagResponse."""
        results = self.results(request, outputs)
        return TextServiceTagResponse(model=self.model, version=self.version, results=results).SerializeToString()

    def results(self, request: TextRequest, outputs: Mapping[str, Array]) -> list[TextTags]:
        """One a text."""
        shares = softmax(outputs[self.output].astype(np.float32, copy=False))
        rows = zip(request.texts, request.tokens, shares, request.readings(), strict=True)
        return [TextTags(tags=self._tags(text, tokens, row), reading=reading) for text, tokens, row, reading in rows]

    def _tags(self, text: str, tokens: Tokens, shares: NDArray[np.float32]) -> Iterator[TaggedToken]:
        likeliest = shares.argmax(axis=1).tolist()
        scores = shares.max(axis=1).tolist()
        for token, (start, end) in enumerate(tokens.offsets):
            if tokens.special[token]:
                continue
            index = likeliest[token]
            category = Category(label=label_of(self.labels, index), index=index, score=scores[token])
            yield TaggedToken(token=text[start:end], start=start, end=end, category=category)
