"""Which typed methods an image model offers, and what its manifest must say for them.

All that can be wrong with a manifest is found here, while the version loads, so that no request meets it.
"""

from pathlib import Path

from argosy.v1 import manifest_pb2 as pb
from argosy.v1.manifest_pb2 import ImagePreprocessing, ModelManifest, TensorSpec
from services.runtime.categories import class_output
from services.runtime.specs import bad_manifest, element_type, find_output, input_spec, output_spec
from services.runtime.typed_method import TypedMethod
from services.vision.classify import Classify
from services.vision.detect import Detect, DetectOutputs
from services.vision.embed import Embed
from services.vision.own import own_methods
from services.vision.preprocess import ImageReader, ImageRequest


def typed_methods(manifest: ModelManifest, directory: Path) -> tuple[TypedMethod[ImageRequest], ...]:  # noqa: ARG001
    """The methods of VisionService that the manifest's tasks offer; an image model reads no file of `directory`.

    Raises ServingError (REFUSED_LOAD) where the manifest offers none or lacks what a task needs.
    """
    if not manifest.HasField("image"):
        raise bad_manifest(manifest, "a vision model needs image preprocessing, and it states none")
    reader = _image_reader(manifest)
    name, version = manifest.name, manifest.version
    methods: list[Classify | Detect | Embed] = []
    if pb.TASK_IMAGE_CLASSIFICATION in manifest.tasks:
        methods.append(Classify(name, version, reader, class_output(manifest)))
    if pb.TASK_IMAGE_EMBEDDING in manifest.tasks:
        methods.append(Embed(name, version, reader, output_spec(manifest, pb.OUTPUT_ROLE_EMBEDDING).name))
    if pb.TASK_OBJECT_DETECTION in manifest.tasks:
        methods.append(_detect(manifest, reader))
    if not methods:
        raise bad_manifest(manifest, "it offers no task of the vision service")
    return *methods, *own_methods(manifest, methods)


def _detect(manifest: ModelManifest, reader: ImageReader) -> Detect:
    classes = find_output(manifest, pb.OUTPUT_ROLE_CLASSES)
    landmarks = find_output(manifest, pb.OUTPUT_ROLE_LANDMARKS)
    outputs = DetectOutputs(
        boxes=output_spec(manifest, pb.OUTPUT_ROLE_BOXES).name,
        scores=output_spec(manifest, pb.OUTPUT_ROLE_SCORES).name,
        classes=classes.name if classes else None,
        landmarks=landmarks.name if landmarks else None,
    )
    min_score = manifest.detection.min_score
    return Detect(manifest.name, manifest.version, reader, outputs, tuple(manifest.labels), min_score)


def _image_reader(manifest: ModelManifest) -> ImageReader:
    spec = manifest.image
    tensor = input_spec(manifest, spec.input)
    for complaint in (_unstated(spec), _bad_numbers(spec), _bad_tensor(spec, tensor)):
        if complaint:
            raise bad_manifest(manifest, complaint)
    return ImageReader(spec, element_type(tensor))


def _unstated(spec: ImagePreprocessing) -> str:
    """What image preprocessing leaves open, or ''."""
    stated = {
        "width": spec.width,
        "height": spec.height,
        "color": spec.color,
        "layout": spec.layout,
        "resize": spec.resize,
        "interpolation": spec.interpolation,
    }
    missing = [name for name, value in stated.items() if not value]
    return f"image preprocessing does not state {', '.join(missing)}" if missing else ""


def _bad_numbers(spec: ImagePreprocessing) -> str:
    channels = _channels(spec)
    if len(spec.mean) not in (0, channels) or len(spec.std) not in (0, channels):
        return f"image preprocessing needs one mean and one std for each of {channels} channels, or none"
    if not all(spec.std):
        return "image preprocessing divides by a std of 0"
    if spec.resize == pb.RESIZE_MODE_CROP and spec.shorter_side < max(spec.width, spec.height):
        return f"image preprocessing cuts {spec.width} x {spec.height} out of a shorter side of {spec.shorter_side}"
    return ""


def _bad_tensor(spec: ImagePreprocessing, tensor: TensorSpec) -> str:
    if tensor.data_type not in (pb.DATA_TYPE_FP32, pb.DATA_TYPE_UINT8):
        return f"input '{tensor.name}' must be FP32 or UINT8 to receive an image"
    if tensor.data_type == pb.DATA_TYPE_UINT8 and (spec.scale not in (0, 1) or spec.mean or spec.std):
        return f"input '{tensor.name}' is UINT8, so that its pixels cannot be normalised"
    row = [_channels(spec), spec.height, spec.width]
    expected = row if spec.layout == pb.IMAGE_LAYOUT_NCHW else [*row[1:], row[0]]
    dimensions = list(tensor.shape)[1:]
    if len(dimensions) != 3 or any(have not in (-1, want) for have, want in zip(dimensions, expected, strict=True)):
        return f"input '{tensor.name}' has shape {list(tensor.shape)}, but images are prepared as [-1, *{expected}]"
    return ""


def _channels(spec: ImagePreprocessing) -> int:
    return 1 if spec.color == pb.COLOR_SPACE_GRAY else 3
