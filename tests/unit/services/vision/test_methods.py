"""The vision methods of a model: requests in, the model's numbers encoded as answers, and manifests that do not do."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from argosy.v1 import manifest_pb2 as pb
from argosy.v1 import vision_pb2
from services.runtime.errors import Cause, ServingError
from services.runtime.typed_method import TypedMethod
from services.vision.methods import typed_methods
from services.vision.preprocess import ImageRequest

ANYWHERE = Path()


def jpeg(pixels: np.ndarray) -> bytes:
    out = BytesIO()
    Image.fromarray(pixels).save(out, "JPEG")
    return out.getvalue()


def manifest() -> pb.ModelManifest:
    return pb.ModelManifest(
        name="mobilenet",
        version="2",
        tasks=[pb.TASK_IMAGE_CLASSIFICATION, pb.TASK_IMAGE_EMBEDDING],
        inputs=[pb.TensorSpec(name="image", data_type=pb.DATA_TYPE_FP32, shape=[-1, 3, 32, 32])],
        outputs=[
            pb.TensorSpec(name="logits", data_type=pb.DATA_TYPE_FP32, shape=[-1, 3], role=pb.OUTPUT_ROLE_LOGITS),
            pb.TensorSpec(name="vector", data_type=pb.DATA_TYPE_FP32, shape=[-1, 4], role=pb.OUTPUT_ROLE_EMBEDDING),
        ],
        labels=["cat", "coffee", "moon"],
        image=pb.ImagePreprocessing(
            input="image",
            width=32,
            height=32,
            color=pb.COLOR_SPACE_RGB,
            layout=pb.IMAGE_LAYOUT_NCHW,
            resize=pb.RESIZE_MODE_LETTERBOX,
            interpolation=pb.INTERPOLATION_BILINEAR,
        ),
    )


def detector(**roles: int) -> pb.ModelManifest:
    """A detector with outputs 'boxes', 'scores' and, where asked for, 'classes' and 'points'."""
    found = manifest()
    del found.tasks[:], found.outputs[:], found.labels[:]
    found.tasks.append(pb.TASK_OBJECT_DETECTION)
    found.labels.extend(["face", "cup"])
    found.detection.min_score = 0.5
    for name, role in {"boxes": pb.OUTPUT_ROLE_BOXES, "scores": pb.OUTPUT_ROLE_SCORES, **roles}.items():
        found.outputs.append(pb.TensorSpec(name=name, data_type=pb.DATA_TYPE_FP32, shape=[-1, -1], role=role))
    return found


def method(found: pb.ModelManifest, name: str) -> TypedMethod[ImageRequest]:
    return next(m for m in typed_methods(found, ANYWHERE) if m.route.method == f"/argosy.v1.VisionService/{name}")


def refusal(found: pb.ModelManifest) -> str:
    with pytest.raises(ServingError) as raised:
        typed_methods(found, ANYWHERE)
    assert raised.value.cause is Cause.REFUSED_LOAD
    return str(raised.value)


def classify(top_k: int, logits: list[list[float]]) -> vision_pb2.VisionServiceClassifyResponse:
    images = [jpeg(skimage.data.coffee())] * len(logits)
    message = vision_pb2.VisionServiceClassifyRequest(model="mobilenet", images=images, top_k=top_k)
    offered = method(manifest(), "Classify")
    request = offered.decode(message.SerializeToString())
    reply = offered.encode(request, {"logits": np.array(logits, np.float32)})
    return vision_pb2.VisionServiceClassifyResponse.FromString(reply)


def test_a_model_offers_a_method_for_each_of_its_tasks() -> None:
    routes = [m.route for m in typed_methods(manifest(), ANYWHERE)]
    assert [(route.method.split(".")[1], route.method.rpartition("/")[2]) for route in routes] == [
        ("v1", "Classify"),
        ("v1", "Embed"),
        ("models", "Classify"),
        ("models", "Embed"),
    ]
    fields = vision_pb2.VisionServiceClassifyRequest.DESCRIPTOR.fields_by_name
    assert {(route.rows_field, route.rows_name) for route in routes} == {(fields["images"].number, "images")}


def test_classes_are_answered_by_name_likeliest_first_with_the_softmax_of_their_logits() -> None:
    reply = classify(0, [[0, 2, 1], [1000, -1000, 0]])
    assert (reply.model, reply.version) == ("mobilenet", "2")
    first, second = reply.results
    assert [(c.label, c.index) for c in first.categories] == [("coffee", 1), ("moon", 2), ("cat", 0)]
    expected = np.exp([2, 1, 0]) / np.exp([2, 1, 0]).sum()
    assert np.allclose([c.score for c in first.categories], expected, atol=1e-6)
    assert [c.score for c in second.categories] == [1, 0, 0]


@pytest.mark.parametrize(("top_k", "answered"), [(0, 3), (1, 1), (2, 2), (99, 3)])
def test_as_many_classes_are_answered_as_were_asked_for(top_k: int, answered: int) -> None:
    assert len(classify(top_k, [[0, 1, 2]]).results[0].categories) == answered


def test_five_classes_are_answered_where_none_are_asked_for() -> None:
    found = manifest()
    del found.labels[:]
    found.outputs[0].shape[1] = 8
    found.outputs[0].role = pb.OUTPUT_ROLE_PROBABILITIES
    offered = method(found, "Classify")
    message = vision_pb2.VisionServiceClassifyRequest(images=[jpeg(skimage.data.coffee())])
    request = offered.decode(message.SerializeToString())
    shares = np.array([[0.02, 0.3, 0.3, 0.1, 0.08, 0.1, 0.05, 0.05]], np.float32)
    reply = vision_pb2.VisionServiceClassifyResponse.FromString(offered.encode(request, {"logits": shares}))
    categories = reply.results[0].categories
    assert [(c.label, c.index) for c in categories] == [("1", 1), ("2", 2), ("3", 3), ("5", 5), ("4", 4)]
    assert [c.score for c in categories] == [shares[0, c.index] for c in categories]


def test_a_vector_is_answered_as_the_network_gave_it() -> None:
    offered = method(manifest(), "Embed")
    message = vision_pb2.VisionServiceEmbedRequest(images=[jpeg(skimage.data.coffee())] * 2)
    request = offered.decode(message.SerializeToString())
    vectors = np.arange(8, dtype=np.float32).reshape(2, 4)
    reply = vision_pb2.VisionServiceEmbedResponse.FromString(offered.encode(request, {"vector": vectors}))
    assert [list(result.values) for result in reply.results] == vectors.tolist()


def detect(
    found: pb.ModelManifest, outputs: dict[str, list[object]], **asked: float
) -> vision_pb2.VisionServiceDetectResponse:
    offered = method(found, "Detect")
    photo = jpeg(np.zeros((100, 200, 3), np.uint8))  # 32 / 200 = 0.16 network pixels a pixel
    message = vision_pb2.VisionServiceDetectRequest(images=[photo], **asked)
    request = offered.decode(message.SerializeToString())
    arrays = {name: np.array([value], np.float32) for name, value in outputs.items()}
    return vision_pb2.VisionServiceDetectResponse.FromString(offered.encode(request, arrays))


BOXES = [[1.6, 3.2, 16, 8], [-1, 4, 40, 20], [16, 16.5, 20, 20], [0, 0, 32, 16]]
SCORES = [0.9, 0.6, 0.55, 0.4]


def test_boxes_are_answered_in_pixels_of_the_image_and_end_at_its_edge() -> None:
    result = detect(detector(), {"boxes": BOXES, "scores": SCORES}).results[0]
    assert (result.width, result.height) == (200, 100)
    boxes = [(d.box.left, d.box.top, d.box.right, d.box.bottom) for d in result.detections]
    # The third box lies below the picture, on the letterbox's black.
    assert np.allclose(boxes, [(10, 20, 100, 50), (0, 25, 200, 100)], atol=1e-4)
    assert [d.category.label for d in result.detections] == ["face", "face"]
    assert np.allclose([d.category.score for d in result.detections], [0.9, 0.6])


def test_the_callers_threshold_goes_before_the_models() -> None:
    outputs = {"boxes": BOXES, "scores": SCORES}
    assert len(detect(detector(), outputs, min_score=0.3).results[0].detections) == 3
    assert len(detect(detector(), outputs, min_score=0.8).results[0].detections) == 1
    assert not detect(detector(), outputs, min_score=1).results[0].detections


def test_a_score_of_zero_is_no_object_even_if_every_score_is_asked_for() -> None:
    result = detect(detector(), {"boxes": [BOXES[0]] * 2, "scores": [0.1, 0]}, min_score=0).results[0]
    assert len(result.detections) == 1


@pytest.mark.parametrize("asked", [-0.1, 1.5, float("nan"), float("inf")])
def test_a_threshold_outside_of_zero_to_one_is_refused(asked: float) -> None:
    with pytest.raises(ServingError, match="min_score: expected a number from 0 to 1, got"):
        detect(detector(), {"boxes": BOXES, "scores": SCORES}, min_score=asked)


def test_objects_carry_their_class_and_their_landmarks() -> None:
    found = detector(classes=pb.OUTPUT_ROLE_CLASSES, points=pb.OUTPUT_ROLE_LANDMARKS)
    outputs: dict[str, list[object]] = {
        "boxes": BOXES[:1],
        "scores": [0.9],
        "classes": [1],
        "points": [[[1.6, 3.2], [40, 16]]],
    }
    detection = detect(found, outputs).results[0].detections[0]
    assert (detection.category.label, detection.category.index) == ("cup", 1)
    # The second point is where the network believes it to be, although the picture ends at 200.
    assert np.allclose([(p.x, p.y) for p in detection.landmarks], [(10, 20), (250, 100)], atol=1e-4)


@pytest.mark.parametrize("name", ["Classify", "Embed", "Detect"])
def test_a_request_without_images_gets_the_one_declared_answer(name: str) -> None:
    offered = method(detector() if name == "Detect" else manifest(), name)
    with pytest.raises(ServingError, match=r"^images: at least one is needed, got 0$") as raised:
        offered.decode(b"")
    assert raised.value.reason == "EMPTY_REQUEST"


@pytest.mark.parametrize("name", ["Classify", "Embed", "Detect"])
def test_bytes_that_are_no_message_are_refused_with_the_messages_name(name: str) -> None:
    offered = method(detector() if name == "Detect" else manifest(), name)
    for data in (b"\x1a\x05ab", b"\xff" * 20, b"\x0a\x02\xff\xfe"):
        with pytest.raises(ServingError, match=rf"^argosy\.v1\.VisionService{name}Request: ") as raised:
            offered.decode(data)
        assert raised.value.reason == "MALFORMED_MESSAGE"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda m: m.ClearField("image"), "states none"),
        (lambda m: m.ClearField("tasks"), "offers no task of the vision service"),
        (lambda m: m.outputs.pop(0), "the role PROBABILITIES or LOGITS"),
        (lambda m: m.outputs.pop(1), "the role EMBEDDING"),
        (lambda m: m.labels.pop(), "3 classes, but there are 2 labels"),
        (lambda m: setattr(m.image, "input", "pixels"), "input 'pixels'"),
        (lambda m: m.image.ClearField("color"), "does not state color"),
        (lambda m: m.image.ClearField("width"), "does not state width"),
        (lambda m: m.image.mean.append(1), "one mean and one std for each of 3 channels"),
        (lambda m: m.image.std.extend([1, 0, 1]), "std of 0"),
        (lambda m: setattr(m.image, "resize", pb.RESIZE_MODE_CROP), "a shorter side of 0"),
        (lambda m: setattr(m.image, "layout", pb.IMAGE_LAYOUT_NHWC), "prepared as [-1, *[32, 32, 3]]"),
        (lambda m: setattr(m.inputs[0], "data_type", pb.DATA_TYPE_INT64), "must be FP32 or UINT8"),
    ],
)
def test_a_manifest_that_lacks_something_is_refused_and_says_what(
    change: Callable[[pb.ModelManifest], object], complaint: str
) -> None:
    found = manifest()
    change(found)
    assert complaint in refusal(found)


def test_a_network_of_bytes_must_not_ask_for_normalised_pixels() -> None:
    found = manifest()
    found.inputs[0].data_type = pb.DATA_TYPE_UINT8
    typed_methods(found, ANYWHERE)
    found.image.scale = 1 / 255
    assert "cannot be normalised" in refusal(found)


def test_a_detector_without_scores_is_refused() -> None:
    found = detector()
    found.outputs.pop()
    assert "the role SCORES" in refusal(found)
