"""Numbers that the graph scales by itself: the same as by hand, stated in the manifest, done once."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from exporter.__main__ import main
from exporter.arrays import Array
from exporter.errors import SourceError
from exporter.graph import finish
from exporter.manifest import from_yaml
from exporter.normalisation import Normalisation
from exporter.run_graph import run_graph
from exporter.sources.tables import normalisation_of
from tests.unit.exporter.conftest import Tiny

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 2, 3, 4)).astype(np.float32)
TWO_CHANNELS = Normalisation(scale=1 / 255, mean=(0.4, 0.6), std=(0.2, 0.25), axis=1)


def same(shape: tuple[int, ...]) -> bytes:
    """A graph that answers what it reads."""
    given, answered = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *shape]) for name in ("x", "y"))
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "same", [given], [answered])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return finish(model, ["image"], ["same"])


@pytest.mark.parametrize(
    ("given", "rows"),
    [
        (TWO_CHANNELS, IMAGES),
        (Normalisation(mean=(1, 2, 3, 4), std=(2, 4, 8, 16)), IMAGES),
        (Normalisation(scale=2, mean=(3,)), IMAGES[:, :, 0, 0]),
    ],
    ids=["channels first", "last axis", "one for all"],
)
def test_the_graph_scales_as_the_reference_does(given: Normalisation, rows: Array) -> None:
    answered = run_graph(given.put_into(same(rows.shape[1:])), {"image": rows})["same"]
    np.testing.assert_allclose(answered, given.applied(rows), rtol=1e-6, atol=1e-6)


def test_channels_that_come_first_are_scaled_each_by_its_own_numbers() -> None:
    by_hand = np.stack([(IMAGES[:, 0] / 255 - 0.4) / 0.2, (IMAGES[:, 1] / 255 - 0.6) / 0.25], axis=1)
    np.testing.assert_allclose(TWO_CHANNELS.applied(IMAGES), by_hand, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (Normalisation(mean=(1, 2), axis=1), "--mean has 2 numbers, 'image' needs one or 3"),
        (Normalisation(std=(1, 2)), "--std has 2 numbers, 'image' needs one or 5"),
        (Normalisation(std=(0,)), "divided or multiplied by 0"),
        (Normalisation(scale=float("nan")), "finite numbers"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(given: Normalisation, says: str) -> None:
    with pytest.raises(SourceError, match=says):
        given.check("image", (3, 4, 5))


def test_a_pipeline_that_begins_with_a_scaler_tells_its_numbers() -> None:
    rows = np.float64([[1, 10], [3, 30]])
    pipeline = make_pipeline(StandardScaler(with_std=False), LogisticRegression()).fit(rows, [0, 1])
    assert normalisation_of(pipeline) == Normalisation(mean=(2.0, 20.0))
    assert normalisation_of(pipeline[-1]) is None


@pytest.fixture
def network(tiny: Tiny, tmp_path: Path) -> Path:
    path = tmp_path / "net.onnx"
    onnx.save(tiny.converted(), path)
    return path


def export(network: Path, *flags: str) -> int:
    named = ["--name", "mine", "--task", "tabular-classification", "--columns", "a,b,c,d"]
    return main([str(network), *named, "--output", str(network.parent / "models"), *flags])


def test_the_published_graph_takes_what_is_not_scaled_and_the_manifest_says_so(network: Path, tiny: Tiny) -> None:
    assert export(network, "--mean=1,2,3,4", "--std", "10") == 0
    version = network.parent / "models" / "mine" / "1"
    (stated,) = from_yaml((version / "model.yaml").read_text()).normalizations
    assert (stated.input, stated.scale, list(stated.mean), list(stated.std)) == ("features", 1, [1, 2, 3, 4], [10])
    given = tiny.rows * 10 + np.float32([1, 2, 3, 4])
    answered = run_graph((version / "model.onnx").read_bytes(), {"features": given})["probabilities"]
    np.testing.assert_allclose(answered, tiny.reference(), atol=1e-5)


def test_what_the_service_scales_already_is_not_scaled_again(network: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (network.parent / "image.yaml").write_text("image: {input: image, scale: 0.5}")
    assert export(network, "--mean", "1", "--describe", str(network.parent / "image.yaml")) == 1
    assert "where the service does them: leave them out of one of the two" in capsys.readouterr().err
