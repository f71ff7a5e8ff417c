"""An image model's own Classify, Detect and Embed: VisionService's requests, results in the model's own classes."""

from collections.abc import Sequence
from dataclasses import dataclass

from argosy.v1.manifest_pb2 import ModelManifest
from argosy.v1.prediction_pb2 import Embedding
from argosy.v1.vision_pb2 import Detection, ImageClassification, ImageDetections
from services.runtime.own_method import Fields, OwnService, one_class, ranked
from services.runtime.typed_method import TypedMethod
from services.vision.classify import Classify
from services.vision.detect import Detect
from services.vision.embed import Embed
from services.vision.preprocess import ImageRequest
from stubs.image import ImageStub, image_stub
from stubs.names import StubError


@dataclass(frozen=True, slots=True)
class OwnImages:
    """Results in the fields of one model's messages."""

    stub: ImageStub

    def classification(self, result: ImageClassification) -> Fields:
        return ranked(self.stub.classes, result.categories)

    def embedding(self, result: Embedding) -> Fields:
        return {"values": result.values}

    def detections(self, result: ImageDetections) -> Fields:
        objects = [self._object(detection) for detection in result.detections]
        return {"objects": objects, "width": result.width, "height": result.height}

    def _object(self, detection: Detection) -> Fields:
        box = detection.box
        points: list[Fields] = [{"x": point.x, "y": point.y} for point in detection.landmarks]
        # Fewer names than points: the manifest names those that come first.
        named: Fields = dict(zip(self.stub.landmarks.values(), points, strict=False))
        marked: Fields = named or {"landmarks": points}
        return {
            **one_class(self.stub.classes, detection.category),
            "left": box.left,
            "top": box.top,
            "right": box.right,
            "bottom": box.bottom,
            **(marked if points else {}),
        }


def own_methods(
    manifest: ModelManifest, methods: Sequence[Classify | Detect | Embed]
) -> tuple[TypedMethod[ImageRequest], ...]:
    """The model's own methods beside those of the service; none where no stub can be made of its manifest."""
    try:
        stub = image_stub(manifest)
    except StubError:
        return ()
    own, service = OwnImages(stub), OwnService(manifest.name, stub.declaration())

    def own_of(method: Classify | Detect | Embed) -> TypedMethod[ImageRequest]:
        match method:
            case Classify():
                return service.method(method, own.classification)
            case Detect():
                return service.method(method, own.detections)
            case Embed():
                return service.method(method, own.embedding)

    return tuple(map(own_of, methods))
