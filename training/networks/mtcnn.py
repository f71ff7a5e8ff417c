"""MTCNN's three networks joined into one graph: an image in, a fixed number of faces out.

The networks come as three ONNX files and a cascade in Python around them: a pyramid of the image, candidates from each
of its steps, then two rounds of looking closer. A service runs one graph and no cascade, so all of it is written in
ONNX here. Two things hold throughout: boxes are continuous pixel coordinates (left, top, right, bottom) of the image,
so that a pixel covers [i, i + 1]; and no step may run on nothing, for not every image has a candidate: each network
gets one box more than there are, and its answer to that one is dropped.

The networks' files have width before height. Zhang et al. 2016, "Joint Face Detection and Alignment using Multi-task
Cascaded Convolutional Networks". The thresholds are the authors'.
"""

import math
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import version_converter

from training.onnx_graph import Attribute, GraphText, Value

OPSET = 18
CANVAS = 512
MAX_FACES = 100
LANDMARKS = 5

# The first network looks at windows of 12 pixels every 2 pixels.
WINDOW, STRIDE = 12, 2
SMALLEST_FACE = 24
PYRAMID_FACTOR = 0.709
# The first step of the pyramid is the image halved; the others are made of it.
BASE = CANVAS * WINDOW // SMALLEST_FACE

PROPOSAL_SCORE, REFINED_SCORE, FACE_SCORE = 0.6, 0.7, 0.7
# The authors' 0.5 is just what two windows share that are 4 pixels apart: rounding would decide.
SAME_STEP_OVERLAP, OVERLAP = 0.51, 0.7
# The most candidates that are looked at closer: bounds the time of an image that is full of them.
MAX_PROPOSALS, MAX_REFINED = 300, MAX_FACES
REFINE_SIZE, OUTPUT_SIZE = 24, 48
# A face that a dropped face would have dropped stays; each round settles one more link of such a chain.
SUPPRESSION_ROUNDS = 8

PIXEL_CENTRE, PIXEL_RANGE = 127.5, 1 / 128
EXTRA_BOX = np.array([[0, 0, REFINE_SIZE, REFINE_SIZE]], np.float32)


@dataclass(frozen=True, slots=True)
class Stages:
    """The three networks, as their ONNX files are: proposal, refinement, output."""

    proposal: bytes
    refinement: bytes
    output: bytes


@dataclass(frozen=True, slots=True)
class Candidates:
    """Boxes [C, 4] in pixels, their scores [C], and how the network would move them, [C, 4] in parts of their size."""

    boxes: Value
    scores: Value
    offsets: Value


def cascade(stages: Stages) -> onnx.ModelProto:
    """uint8[1, 512, 512, 3] RGB -> boxes [1, 100, 4], scores [1, 100], landmarks [1, 100, 5, 2]; zeros: no face."""
    graph = GraphText("faces")
    image = graph.input("image", onnx.TensorProto.UINT8, (1, CANVAS, CANVAS, 3))
    pixels = image.cast(onnx.TensorProto.FLOAT).transposed(0, 3, 1, 2)
    proposed = _propose(graph, _current(stages.proposal), pixels)
    refined = _refine(graph, _current(stages.refinement), pixels, proposed)
    boxes, scores, landmarks = _find_faces(graph, _current(stages.output), pixels, refined)
    outputs = {
        "boxes": (boxes, (1, MAX_FACES, 4)),
        "scores": (scores, (1, MAX_FACES)),
        "landmarks": (landmarks, (1, MAX_FACES, LANDMARKS, 2)),
    }
    return graph.model(outputs, OPSET)


def pyramid_sizes() -> list[int]:
    """The side of each step of the pyramid in pixels, from BASE down to one window."""
    steps = math.floor(math.log(WINDOW / BASE, PYRAMID_FACTOR) + 0.5) + 1
    sizes = [round(BASE * PYRAMID_FACTOR**step) for step in range(steps)]
    return [size for size in sizes if size >= WINDOW]


def shrinking(size: int) -> NDArray[np.float32]:
    """float32[size, BASE] that brings BASE pixels to `size`: each new pixel is the mean of what it covers."""
    edges = np.arange(size + 1) * (BASE / size)
    pixel = np.arange(BASE)
    covered = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return np.asarray(np.clip(covered, 0, None) * (size / BASE), np.float32)


def windows(size: int) -> NDArray[np.float32]:
    """float32[C, 4]: where on the image each of the first network's answers looked; x outermost, as its file has it."""
    # One convolution of 3, a pooling that rounds up, two convolutions of 3.
    count = (size - 1) // 2 - 4
    x, y = np.meshgrid(np.arange(count), np.arange(count), indexing="ij")
    corner = np.stack([x, y], axis=-1).reshape(-1, 2) * STRIDE
    return np.asarray(np.concatenate([corner, corner + WINDOW], axis=1) * (CANVAS / size), np.float32)


def _propose(graph: GraphText, network: onnx.ModelProto, pixels: Value) -> Value:
    """Candidates of all steps of the pyramid, float32[<= MAX_PROPOSALS, 4], moved and squared."""
    halves = {"kernel_shape": (2, 2), "strides": (2, 2)}
    base = graph.call("AveragePool", _normalised(pixels), attributes=halves)
    found = [_propose_at(graph, network, base, size) for size in pyramid_sizes()]
    every = Candidates(
        graph.concatenate(0, *(step.boxes for step in found)),
        graph.concatenate(0, *(step.scores for step in found)),
        graph.concatenate(0, *(step.offsets for step in found)),
    )
    return _squared(graph, _moved(graph, _strongest(graph, every, OVERLAP, PROPOSAL_SCORE, MAX_PROPOSALS)))


def _propose_at(graph: GraphText, network: onnx.ModelProto, base: Value, size: int) -> Candidates:
    step = base
    if size != BASE:
        shrink = graph.constant(shrinking(size))
        step = graph.call("MatMul", graph.call("MatMul", shrink, base), shrink.transposed(1, 0))
    offsets, probabilities = graph.include(network, "proposal", step.transposed(0, 3, 2, 1))
    boxes = graph.constant(windows(size))
    candidates = Candidates(boxes, _face_score(probabilities.reshaped(-1, 2)), offsets.reshaped(-1, 4))
    return _strongest(graph, candidates, SAME_STEP_OVERLAP, PROPOSAL_SCORE, MAX_PROPOSALS)


def _refine(graph: GraphText, network: onnx.ModelProto, pixels: Value, boxes: Value) -> Value:
    crops = _crops(graph, pixels, graph.concatenate(0, boxes, EXTRA_BOX), REFINE_SIZE)
    offsets, probabilities = graph.include(network, "refinement", crops)
    candidates = Candidates(boxes, _face_score(probabilities.rows(0, -1)), offsets.rows(0, -1))
    return _squared(graph, _moved(graph, _strongest(graph, candidates, OVERLAP, REFINED_SCORE, MAX_REFINED)))


def _find_faces(graph: GraphText, network: onnx.ModelProto, pixels: Value, boxes: Value) -> tuple[Value, Value, Value]:
    crops = _crops(graph, pixels, graph.concatenate(0, boxes, EXTRA_BOX), OUTPUT_SIZE)
    offsets, points, probabilities = (answer.rows(0, -1) for answer in graph.include(network, "output", crops))
    scores = _face_score(probabilities)
    # [C, 10], all x before all y, in parts of the box -> [C, 5, 2] pixels.
    parts = points.reshaped(-1, 2, LANDMARKS).transposed(0, 2, 1)
    landmarks = parts * _sides(boxes).unsqueezed(1) + boxes.columns(0, 2).unsqueezed(1)
    faces = _moved(graph, Candidates(boxes, scores, offsets))
    order_scores, order = _highest(graph, _filled(graph, scores, ()))
    faces, landmarks = _filled(graph, faces, (4,)).take(order), _filled(graph, landmarks, (LANDMARKS, 2)).take(order)
    final_scores, final = _highest(graph, order_scores * _not_within_better(graph, faces, order_scores))
    present = (final_scores > 0.0).cast(onnx.TensorProto.FLOAT)
    return (
        (faces.take(final) * present.reshaped(-1, 1)).unsqueezed(0),
        final_scores.unsqueezed(0),
        (landmarks.take(final) * present.reshaped(-1, 1, 1)).unsqueezed(0),
    )


def _current(file: bytes) -> onnx.ModelProto:
    return version_converter.convert_version(onnx.load_model_from_string(file), OPSET)


def _normalised(pixels: Value) -> Value:
    return (pixels - PIXEL_CENTRE) * PIXEL_RANGE


def _face_score(probabilities: Value) -> Value:
    """[C, 2], no face and face -> [C]."""
    return probabilities.columns(1, 2).reshaped(-1)


def _sides(boxes: Value) -> Value:
    """Width and height, [C, 2]."""
    return boxes.columns(2, 4) - boxes.columns(0, 2)


def _moved(graph: GraphText, candidates: Candidates) -> Value:
    sides = _sides(candidates.boxes)
    return candidates.boxes + candidates.offsets * graph.concatenate(1, sides, sides)


def _squared(graph: GraphText, boxes: Value) -> Value:
    """The squares on the longer sides, about the same centres."""
    centre = (boxes.columns(0, 2) + boxes.columns(2, 4)) * 0.5
    half = graph.call("ReduceMax", _sides(boxes), np.array([1])) * 0.5
    return graph.concatenate(1, centre - half, centre + half)


def _strongest(graph: GraphText, candidates: Candidates, overlap: float, score: float, most: int) -> Candidates:
    """Those above `score` that no stronger one overlaps by more than `overlap` (intersection over union)."""
    boxes, scores = candidates.boxes.unsqueezed(0), candidates.scores.reshaped(1, 1, -1)
    limits = (np.array([most]), np.array([overlap], np.float32), np.array([score], np.float32))
    chosen = graph.call("NonMaxSuppression", boxes, scores, *limits).columns(2, 3).reshaped(-1)
    return Candidates(candidates.boxes.take(chosen), candidates.scores.take(chosen), candidates.offsets.take(chosen))


def _crops(graph: GraphText, pixels: Value, boxes: Value, size: int) -> Value:
    """What is inside each box, normalised, [C, width, height, 3]; black beyond the image."""
    count = graph.call("Shape", boxes, attributes={"start": 0, "end": 1})
    image_index = graph.call("Expand", np.array([0]), count)
    attributes: dict[str, Attribute] = {"output_height": size, "output_width": size, "mode": "avg", "sampling_ratio": 0}
    crops = graph.call("RoiAlign", pixels, boxes, image_index, attributes=attributes)
    return _normalised(crops.transposed(0, 3, 2, 1))


def _filled(graph: GraphText, values: Value, shape: tuple[int, ...]) -> Value:
    """Rows of zeros added, to MAX_FACES rows."""
    return graph.concatenate(0, values, np.zeros((MAX_FACES, *shape), np.float32)).rows(0, MAX_FACES)


def _highest(graph: GraphText, scores: Value) -> tuple[Value, Value]:
    """All MAX_FACES scores in descending order, and where they were."""
    values, places = graph.call_for(2, "TopK", scores, np.array([MAX_FACES]))
    return values, places


def _not_within_better(graph: GraphText, boxes: Value, scores: Value) -> Value:
    """1.0 for each face above FACE_SCORE that does not lie within a better one that stays, else 0.0, [MAX_FACES].

    Unlike the other steps this measures the overlap against the smaller of the two. The boxes come best first. Each
    round drops what the faces that stand at its beginning cover; Zheng et al. 2020, "Enhancing Geometric Factors ...",
    show that this ends where going through them one by one does.
    """
    upper = graph.call("Max", boxes.columns(0, 2).unsqueezed(1), boxes.columns(0, 2).unsqueezed(0))
    lower = graph.call("Min", boxes.columns(2, 4).unsqueezed(1), boxes.columns(2, 4).unsqueezed(0))
    shared = graph.call("ReduceProd", graph.call("Relu", lower - upper), np.array([2]), attributes={"keepdims": 0})
    area = graph.call("ReduceProd", _sides(boxes), np.array([1]))
    smaller = graph.call("Min", area, area.transposed(1, 0))
    better = np.triu(np.ones((MAX_FACES, MAX_FACES), np.float32), 1)
    covers = (shared > smaller * OVERLAP).cast(onnx.TensorProto.FLOAT) * better
    valid = (scores > FACE_SCORE).cast(onnx.TensorProto.FLOAT).unsqueezed(0)
    standing = valid
    for _ in range(SUPPRESSION_ROUNDS):
        covered = (graph.call("MatMul", standing, covers) > 0.0).cast(onnx.TensorProto.FLOAT)
        standing = valid - valid * covered
    return standing.reshaped(-1)
