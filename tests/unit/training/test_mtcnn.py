"""The face cascade as one graph, held against the cascade in Python on small networks with made-up weights."""

import numpy as np
import onnx
import pytest

from exporter.verify import open_session
from training.networks import mtcnn
from training.networks.mtcnn_reference import Cascade, Faces
from training.onnx_graph import GraphText, Value

FLOAT = onnx.TensorProto.FLOAT
OPSET = 18


def weights(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.normal(0, 0.3, shape).astype(np.float32)


def convolved(graph: GraphText, maps: Value, kernels: np.ndarray) -> Value:
    return graph.call("Relu", graph.call("Conv", maps, kernels))


def probabilities(graph: GraphText, x: Value, bias: float) -> Value:
    return graph.call("Softmax", x + np.array([0, bias], np.float32), attributes={"axis": -1})


def proposal_network(rng: np.random.Generator, bias: float) -> bytes:
    graph = GraphText("proposal")
    maps = graph.input("input_1", FLOAT, ("N", "W", "H", 3)).transposed(0, 3, 1, 2)
    pooling = {"kernel_shape": (2, 2), "strides": (2, 2), "ceil_mode": 1}
    maps = graph.call("MaxPool", convolved(graph, maps, weights(rng, 4, 3, 3, 3)), attributes=pooling)
    maps = convolved(graph, convolved(graph, maps, weights(rng, 6, 4, 3, 3)), weights(rng, 6, 6, 3, 3))
    offsets = graph.call("Conv", maps, weights(rng, 4, 6, 1, 1) * 0.2).transposed(0, 2, 3, 1)
    face = probabilities(graph, graph.call("Conv", maps, weights(rng, 2, 6, 1, 1)).transposed(0, 2, 3, 1), bias)
    shapes = {"offsets": ("N", "A", "B", 4), "probabilities": ("N", "A", "B", 2)}
    outputs = {"offsets": (offsets, shapes["offsets"]), "probabilities": (face, shapes["probabilities"])}
    return graph.model(outputs, OPSET).SerializeToString()


def closer_network(rng: np.random.Generator, name: str, size: int, widths: tuple[int, ...], bias: float) -> bytes:
    """One linear layer for each of the offsets (and the landmarks), and one for the probabilities, which come last."""
    graph = GraphText("closer")
    x = graph.input(name, FLOAT, ("N", size, size, 3)).reshaped(-1, size * size * 3)
    answers = [graph.call("MatMul", x, weights(rng, size * size * 3, width) * 0.005) for width in widths]
    face = probabilities(graph, graph.call("MatMul", x, weights(rng, size * size * 3, 2) * 0.1), bias)
    outputs = {f"answer_{place}": (answer, ("N", widths[place])) for place, answer in enumerate(answers)}
    return graph.model({**outputs, "face": (face, ("N", 2))}, OPSET).SerializeToString()


def stages(bias: float = 1.0) -> mtcnn.Stages:
    rng = np.random.default_rng(3)
    return mtcnn.Stages(
        proposal_network(rng, bias),
        closer_network(rng, "input_2", mtcnn.REFINE_SIZE, (4,), bias),
        closer_network(rng, "input_3", mtcnn.OUTPUT_SIZE, (4, 10), bias),
    )


def coarse_noise(seed: int) -> np.ndarray:
    """Patches of 32 pixels, with a little fine noise in them: no two windows look the same."""
    rng = np.random.default_rng(seed)
    patches = np.kron(rng.integers(0, 200, (16, 16, 3), np.uint8), np.ones((32, 32, 1), np.uint8))
    return patches + rng.integers(0, 50, patches.shape, np.uint8)


def joined(graph: bytes, image: np.ndarray) -> Faces:
    boxes, scores, landmarks = open_session(graph).run(["boxes", "scores", "landmarks"], {"image": image[None]})
    return Faces(boxes[0], scores[0], landmarks[0])


@pytest.fixture(scope="module")
def graph() -> bytes:
    model = mtcnn.cascade(stages())
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


@pytest.mark.parametrize("seed", [1, 2])
def test_the_joined_graph_answers_as_the_cascade_in_python(graph: bytes, seed: int) -> None:
    image = coarse_noise(seed)

    expected, found = Cascade(stages()).find(image), joined(graph, image)

    assert np.count_nonzero(expected.scores) > 3
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.01)
    np.testing.assert_allclose(found.landmarks, expected.landmarks, atol=0.01)


def test_faces_come_best_first_and_zeros_after_them(graph: bytes) -> None:
    found = joined(graph, coarse_noise(1))

    assert (np.diff(found.scores) <= 0).all()
    absent = found.scores == 0
    assert not found.boxes[absent].any()
    assert not found.landmarks[absent].any()


def test_an_image_without_any_candidate_has_no_face() -> None:
    unwilling = mtcnn.cascade(stages(bias=-1000.0)).SerializeToString()

    found = joined(unwilling, coarse_noise(1))

    assert not found.scores.any()
    assert not found.boxes.any()
    assert not found.landmarks.any()


def test_the_pyramid_ends_at_one_window() -> None:
    sizes = mtcnn.pyramid_sizes()

    assert sizes[0] == mtcnn.BASE
    assert sizes[-1] == mtcnn.WINDOW
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("size", [12, 23, 182, 256])
def test_shrinking_takes_means_and_leaves_no_pixel_out(size: int) -> None:
    shrinking = mtcnn.shrinking(size)

    np.testing.assert_allclose(shrinking.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(shrinking.sum(axis=0), size / mtcnn.BASE, atol=1e-5)


@pytest.mark.parametrize("size", mtcnn.pyramid_sizes())
def test_there_is_a_window_for_each_answer_of_the_first_network(size: int) -> None:
    network = open_session(stages().proposal)

    offsets, _ = network.run(None, {"input_1": np.zeros((1, size, size, 3), np.float32)})

    assert mtcnn.windows(size).shape == (offsets.size // 4, 4)
    assert mtcnn.windows(size).max() <= mtcnn.CANVAS + mtcnn.STRIDE * mtcnn.CANVAS / size
