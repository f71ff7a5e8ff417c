"""The service of an image model: encoded images in, and of each its classes, its objects or its vector, by its tasks.

A request is that of VisionService field by field; results name the model's own classes, and of an object the points
that the model marks on it have fields of their own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from argosy.v1 import manifest_pb2 as pb
from stubs.classes import Classes, classes_of
from stubs.declaration import Declaration, Field, Message
from stubs.messages import Method, declaration, one_line, rows, rpc
from stubs.names import camel, check_numbers, distinct, number_of
from stubs.vectors import TOP_K, embedding_message

CLASSIFY, DETECT, EMBED = "Classify", "Detect", "Embed"

_PIXELS = "pixels of the decoded image"
_BOX = (
    Field("left", 4, "float", f"Edges in {_PIXELS}, origin at its upper left corner."),
    Field("top", 5, "float"),
    Field("right", 6, "float"),
    Field("bottom", 7, "float"),
)
_SIZE = (
    Field("width", 2, "uint32", f"Size in {_PIXELS}, after EXIF orientation."),
    Field("height", 3, "uint32"),
)
_MIN_SCORE = Field(
    "min_score", 4, "float", "Objects scored lower are left out; absent means the model's own threshold.", "optional"
)


@dataclass(frozen=True, slots=True)
class ImageStub:
    """One model's stub; `landmarks` are the names of the points on an object to those of their fields, where the
    model marks points and names them.
    """

    manifest: pb.ModelManifest
    classes: Classes
    landmarks: Mapping[str, str]
    marks_points: bool

    def declaration(self) -> Declaration:
        return declaration(self.manifest, list(self._methods()), self.classes.enums() if self._has_classes else ())

    @property
    def _has_classes(self) -> bool:
        return bool({pb.TASK_IMAGE_CLASSIFICATION, pb.TASK_OBJECT_DETECTION} & set(self.manifest.tasks))

    def _methods(self) -> Iterator[Method]:
        images = rows("images", "bytes", f"At least one file: JPEG, PNG, WebP or BMP. {self._read_as()}")
        prefix = camel(self.manifest.name)
        if pb.TASK_IMAGE_CLASSIFICATION in self.manifest.tasks:
            result = Message(f"{prefix}Classification", self.classes.ranked("As many as were asked for"))
            comment = "The likeliest classes of each image, in the order of the request."
            yield rpc(self.manifest, CLASSIFY, comment, images, result, TOP_K), (result, self.classes.score_message())
        if pb.TASK_OBJECT_DETECTION in self.manifest.tasks:
            found = Message(f"{prefix}Object", (*self.classes.one(1, 2, 3), *_BOX, *self._points()))
            objects = Field("objects", 1, found.name, "Surest first.", "repeated")
            result = Message(f"{prefix}Detections", (objects, *_SIZE))
            comment = "The objects in each image, in the order of the request."
            yield rpc(self.manifest, DETECT, comment, images, result, _MIN_SCORE), (result, found, *self._point())
        if pb.TASK_IMAGE_EMBEDDING in self.manifest.tasks:
            result = embedding_message(self.manifest)
            comment = "One vector an image, in the order of the request."
            yield rpc(self.manifest, EMBED, comment, images, result), (result,)

    def _point(self) -> tuple[Message, ...]:
        coordinates = Field("x", 1, "float", f"In {_PIXELS}."), Field("y", 2, "float")
        return (Message(self._point_name, coordinates),) if self.marks_points else ()

    def _points(self) -> Iterator[Field]:
        if self.marks_points and not self.landmarks:
            yield Field("landmarks", 8, self._point_name, "Points on it, in the order of the model.", "repeated")
        for landmark, name in self.landmarks.items():
            yield Field(name, number_of(landmark, "landmark"), self._point_name, one_line(f"'{landmark}'"))

    @property
    def _point_name(self) -> str:
        return f"{camel(self.manifest.name)}Point"

    def _read_as(self) -> str:
        image = self.manifest.image
        colour = "grey" if image.color == pb.COLOR_SPACE_GRAY else "colour"
        return f"The model reads {image.width} x {image.height} pixels in {colour}."


def image_stub(manifest: pb.ModelManifest) -> ImageStub:
    """Raises StubError where there is none to be had."""
    marks_points = any(spec.role == pb.OUTPUT_ROLE_LANDMARKS for spec in manifest.outputs)
    landmarks = list(manifest.detection.landmark_names) if marks_points else []
    check_numbers({landmark: number_of(landmark, "landmark") for landmark in landmarks})
    taken = ["label", "probability", "index", *(field.name for field in _BOX)]
    return ImageStub(manifest, classes_of(manifest), distinct(landmarks, lambda _: "landmark", taken), marks_points)
