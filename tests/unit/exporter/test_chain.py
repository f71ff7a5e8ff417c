"""`--preprocess` through the command: parts that become one graph, proven on the answers of one after the other."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from exporter.__main__ import main as export_model
from exporter.manifest import from_yaml
from exporter.run_graph import run_graph
from tests.unit.exporter.conftest import Tiny

FACTORS = np.float32([1, 10, 100, 1000])


def save(path: Path, operator: str, constant: np.ndarray, *, wrong: bool = False) -> None:
    """`scaled` = `features` and the constant, both [N, width]."""
    shapes = (["n", 4], ["n", 4 if not wrong else 3])
    given, answered = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in zip(("features", "scaled"), shapes, strict=True)
    )
    nodes = [helper.make_node(operator, ["features", "constant"], ["all" if wrong else "scaled"])]
    constants = [numpy_helper.from_array(constant, "constant")]
    if wrong:
        nodes.append(helper.make_node("Gather", ["all", "places"], ["scaled"], axis=1))
        constants.append(numpy_helper.from_array(np.array([0, 1, 2], np.int64), "places"))
    graph = helper.make_graph(nodes, "part", [given], [answered], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7), path)


@pytest.fixture
def folder(tiny: Tiny, tmp_path: Path) -> Path:
    onnx.save(tiny.converted(), tmp_path / "net.onnx")
    save(tmp_path / "factors.onnx", "Mul", FACTORS)
    save(tmp_path / "shift.onnx", "Sub", np.float32([1, 2, 3, 4]))
    save(tmp_path / "narrow.onnx", "Mul", FACTORS, wrong=True)
    return tmp_path


def export(folder: Path, *flags: str) -> int:
    named = ["--name", "mine", "--task", "tabular-classification", "--columns", "a,b,c,d"]
    return export_model([str(folder / "net.onnx"), *named, "--output", str(folder / "models"), *flags])


def test_parts_run_in_the_order_in_which_they_are_given(folder: Path, tiny: Tiny) -> None:
    parts = ["--preprocess", str(folder / "factors.onnx"), "--preprocess", str(folder / "shift.onnx")]
    assert export(folder, *parts) == 0
    version = folder / "models" / "mine" / "1"
    given = (tiny.rows + np.float32([1, 2, 3, 4])) / FACTORS
    answered = run_graph((version / "model.onnx").read_bytes(), {"features": given})
    np.testing.assert_allclose(answered["probabilities"], tiny.reference(), atol=1e-4)
    manifest = from_yaml((version / "model.yaml").read_text())
    assert [part.framework for part in manifest.source.preceding] == ["onnx", "onnx"]
    assert manifest.parity.reference.count("onnx ") == 3


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--preprocess", "narrow.onnx"], "narrow.onnx answers [N, 3] float32, net.onnx reads [N, 4] float32"),
        (["--preprocess", "absent.onnx"], "there is no file"),
        (["--preprocess", "factors.onnx", "--mean", "1,2"], "--mean has 2 numbers, 'features' needs one or 4"),
    ],
)
def test_parts_that_do_not_fit_are_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, flags: list[str], says: str
) -> None:
    monkeypatch.chdir(folder)
    assert export(folder, *flags) == 1
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert not (folder / "models").exists()


def test_a_pickle_before_the_network_is_not_loaded_unless_it_is_trusted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "first.pkl").write_bytes(b"\x80\x04N.")
    assert export(folder, "--preprocess", str(folder / "first.pkl")) == 1
    assert "first.pkl runs the code in it: say --trust-code" in capsys.readouterr().err
