"""VisionService.Detect: images in, the objects in each out, in pixels of the image that the caller sent.

The network finds objects on its own input; boxes and landmarks are brought back through the image's `Placement`. Boxes
end at the image's edge, and one that lies outside altogether is left out. Landmarks are not moved: a point beyond the
edge is where the network believes it to be. Overlapping objects are the graph's to suppress, not the service's.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from argosy.v1.prediction_pb2 import Category
from argosy.v1.vision_pb2 import (
    Box,
    Detection,
    ImageDetections,
    Point,
    VisionServiceDetectRequest,
    VisionServiceDetectResponse,
)
from services.runtime.categories import label_of
from services.runtime.errors import invalid_input
from services.runtime.front import Array, TypedRoute
from services.runtime.messages import parse
from services.vision.preprocess import ImageReader, ImageRequest, Placement

ROUTE = TypedRoute("/argosy.v1.VisionService/Detect", rows_field=3, rows_name="images")


@dataclass(frozen=True, slots=True)
class DetectOutputs:
    """Names of the network's outputs: boxes [N, objects, 4], scores [N, objects], descending; where there are any,
    classes [N, objects] and landmarks [N, objects, points, 2].
    """

    boxes: str
    scores: str
    classes: str | None
    landmarks: str | None


@dataclass(frozen=True, slots=True)
class Detect:
    """Detect of one model-version; `min_score` is its own threshold."""

    model: str
    version: str
    reader: ImageReader
    outputs: DetectOutputs
    labels: tuple[str, ...]
    min_score: float
    route: TypedRoute = ROUTE

    def decode(self, message: bytes) -> ImageRequest:
        """Raises ServingError (INVALID_INPUT) that names the threshold or the first bad image."""
        request = parse(VisionServiceDetectRequest, message)
        min_score = request.min_score if request.HasField("min_score") else self.min_score
        if not 0 <= min_score <= 1:
            message_text = f"min_score: expected a number from 0 to 1, got {min_score:g}"
            raise invalid_input(message_text, "min_score", "SCORE_OUT_OF_RANGE")
        return self.reader.read(request.images, min_score=min_score)

    def collate(self, requests: Sequence[ImageRequest]) -> dict[str, Array]:
        return self.reader.collate(requests)

    def row_lengths(self, requests: Sequence[ImageRequest]) -> tuple[int, ...]:  # noqa: ARG002  no row is padded
        return ()

    def encode(self, request: ImageRequest, outputs: Mapping[str, Array]) -> bytes:
        """Objects of each row to a VisionServiceDetectResponse."""
        results = self.results(request, outputs)
        return VisionServiceDetectResponse(model=self.model, version=self.version, results=results).SerializeToString()

    def results(self, request: ImageRequest, outputs: Mapping[str, Array]) -> list[ImageDetections]:
        """One an image."""
        return [
            ImageDetections(
                width=placement.width,
                height=placement.height,
                detections=self._detections(row, placement, request.min_score, outputs),
            )
            for row, placement in enumerate(request.placements)
        ]

    def _detections(
        self, row: int, placement: Placement, min_score: float, outputs: Mapping[str, Array]
    ) -> Iterator[Detection]:
        names = self.outputs
        scores = outputs[names.scores][row].astype(np.float32)
        boxes = _boxes_in_picture(outputs[names.boxes][row].astype(np.float32), placement)
        has_area = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        # A score of 0 is no object, whatever threshold the caller states.
        kept = np.flatnonzero((scores >= np.float32(min_score)) & (scores > 0) & has_area)
        classes = outputs[names.classes][row] if names.classes else np.zeros(len(scores), np.int64)
        landmarks = outputs[names.landmarks][row].astype(np.float32) if names.landmarks else None
        for found in kept.tolist():
            index = int(classes[found])
            category = Category(label=label_of(self.labels, index), index=index, score=float(scores[found]))
            left, top, right, bottom = boxes[found].tolist()
            box = Box(left=left, top=top, right=right, bottom=bottom)
            points = [] if landmarks is None else placement.to_picture(landmarks[found]).tolist()
            yield Detection(category=category, box=box, landmarks=[Point(x=x, y=y) for x, y in points])


def _boxes_in_picture(boxes: NDArray[np.float32], placement: Placement) -> NDArray[np.float32]:
    """Boxes [objects, 4] in network pixels to picture pixels, cut at the picture's edges."""
    corners = placement.to_picture(boxes.reshape(-1, 2, 2))
    edge = np.array([placement.width, placement.height], np.float32)
    return np.clip(corners, np.float32(0), edge).reshape(-1, 4)
