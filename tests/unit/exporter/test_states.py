"""A recurrent model's step is published with its states in pairs, or not at all."""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, ValueInfoProto, helper

from exporter.__main__ import main
from exporter.manifest import from_yaml

STATES = "states: [{input: sum, output: new_sum}]"
DESCRIPTION = """
description: The sum of a sequence.
licence: MIT
inputs: [{name: x, meaning: a number}, {name: sum, meaning: the sum so far}]
outputs:
- {name: y, meaning: the sum, role: OUTPUT_ROLE_VALUE}
- {name: new_sum, meaning: the sum for the next number, role: OUTPUT_ROLE_STATE}
table: {columns: [{name: x, kind: COLUMN_KIND_NUMBER, input: x, index: 0, missing: MISSING_POLICY_REJECT}]}
"""


def exported(folder: Path, description: str) -> int:
    """Export a graph with y = new_sum = x + sum."""

    def value(name: str) -> ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", 1])

    nodes = [helper.make_node("Add", ["x", "sum"], ["new_sum"]), helper.make_node("Identity", ["new_sum"], ["y"])]
    graph = helper.make_graph(nodes, "sum", [value("x"), value("sum")], [value("y"), value("new_sum")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    (folder / "sum.onnx").write_bytes(model.SerializeToString())
    (folder / "sum.yaml").write_text(description)
    column = np.arange(8, dtype=np.float32).reshape(8, 1)
    np.savez(folder / "rows.npz", x=column, sum=column * 2)
    where = ["--samples", str(folder / "rows.npz"), "--describe", str(folder / "sum.yaml")]
    named = ["--name", "sum", "--task", "tabular-regression", "--output", str(folder / "models")]
    return main([str(folder / "sum.onnx"), *named, *where])


def test_the_states_are_in_the_manifest_and_were_compared(tmp_path: Path) -> None:
    assert exported(tmp_path, DESCRIPTION + STATES) == 0
    manifest = from_yaml((tmp_path / "models" / "sum" / "1" / "model.yaml").read_text())
    assert [(state.input, state.output) for state in manifest.states] == [("sum", "new_sum")]
    assert [output.output for output in manifest.parity.outputs] == ["y", "new_sum"]


@pytest.mark.parametrize(
    ("states", "says"),
    [
        ("", "has the role of a state"),
        ("states: [{input: nosuch, output: new_sum}]", "state 'nosuch' from 'new_sum'"),
        ("states: [{input: sum, output: nosuch}]", "state 'sum' from 'nosuch'"),
        ("states: [{input: sum, output: y}]", "its role is OUTPUT_ROLE_STATE"),
        ("states: [{input: sum, output: new_sum}, {input: sum, output: y}]", "each once"),
    ],
)
def test_states_that_are_no_pairs_publish_nothing(
    states: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exported(tmp_path, DESCRIPTION + states) == 1
    assert says in capsys.readouterr().err
    assert not (tmp_path / "models").exists()
