"""VisionService.Embed: images in, one vector of each out, as the network answers it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from argosy.v1.prediction_pb2 import Embedding
from argosy.v1.vision_pb2 import VisionServiceEmbedRequest, VisionServiceEmbedResponse
from services.runtime.front import Array, TypedRoute
from services.runtime.messages import parse
from services.vision.preprocess import ImageReader, ImageRequest

ROUTE = TypedRoute("/argosy.v1.VisionService/Embed", rows_field=3, rows_name="images")


@dataclass(frozen=True, slots=True)
class Embed:
    """Embed of one model-version; `output` is the network's output [rows, width]."""

    model: str
    version: str
    reader: ImageReader
    output: str
    route: TypedRoute = ROUTE

    def decode(self, message: bytes) -> ImageRequest:
        """Raises ServingError (INVALID_INPUT) that names the first bad image."""
        return self.reader.read(parse(VisionServiceEmbedRequest, message).images)

    def collate(self, requests: Sequence[ImageRequest]) -> dict[str, Array]:
        return self.reader.collate(requests)

    def row_lengths(self, requests: Sequence[ImageRequest]) -> tuple[int, ...]:  # noqa: ARG002  no row is padded
        return ()

    def encode(self, request: ImageRequest, outputs: Mapping[str, Array]) -> bytes:
        """Vectors [rows, width] to a VisionServiceEmbedResponse."""
        results = self.results(request, outputs)
        return VisionServiceEmbedResponse(model=self.model, version=self.version, results=results).SerializeToString()

    def results(self, request: ImageRequest, outputs: Mapping[str, Array]) -> list[Embedding]:  # noqa: ARG002 (the interface's)
        """One an image."""
        return [Embedding(values=row.tolist()) for row in outputs[self.output]]
