"""VisionService.Classify: images in, the likeliest classes of each out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from argosy.v1.vision_pb2 import ImageClassification, VisionServiceClassifyRequest, VisionServiceClassifyResponse
from services.runtime.categories import ClassOutput
from services.runtime.front import Array, TypedRoute
from services.runtime.messages import parse
from services.vision.preprocess import ImageReader, ImageRequest

ROUTE = TypedRoute("/argosy.v1.VisionService/Classify", rows_field=3, rows_name="images")


@dataclass(frozen=True, slots=True)
class Classify:
    """Classify of one model-version."""

    model: str
    version: str
    reader: ImageReader
    output: ClassOutput
    route: TypedRoute = ROUTE

    def decode(self, message: bytes) -> ImageRequest:
        """Raises ServingError (INVALID_INPUT) that names the first bad image."""
        request = parse(VisionServiceClassifyRequest, message)
        return self.reader.read(request.images, top_k=request.top_k)

    def collate(self, requests: Sequence[ImageRequest]) -> dict[str, Array]:
        return self.reader.collate(requests)

    def row_lengths(self, requests: Sequence[ImageRequest]) -> tuple[int, ...]:  # noqa: ARG002  no row is padded
        return ()

    def encode(self, request: ImageRequest, outputs: Mapping[str, Array]) -> bytes:
        """Scores [rows, classes] to a VisionServiceClassifyResponse."""
        return VisionServiceClassifyResponse(
            model=self.model, version=self.version, results=self.results(request, outputs)
        ).SerializeToString()

    def results(self, request: ImageRequest, outputs: Mapping[str, Array]) -> list[ImageClassification]:
        """One an image."""
        return [ImageClassification(categories=row) for row in self.output.top(outputs, request.top_k)]
