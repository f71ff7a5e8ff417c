"""Does the network read what the part before it answers? Names, widths and number types of the two."""

from collections.abc import Mapping

import numpy as np
import pytest

from exporter.conversion import Request, Stated
from exporter.errors import SourceError
from exporter.sources.chained import as_read
from exporter.sources.inputs import TEXT, Input

REQUEST = Request(
    "nets/net.keras", "keras", preceding="scaler.joblib", stated=(Stated("features", "float32", (2,)),), kinds=("rows",)
)


def read(own: list[Input] | None, answers: Mapping[str, object], dtype: type = np.float64) -> dict[str, np.ndarray]:
    rows = {name: np.array(values, dtype) for name, values in answers.items()}
    return as_read(own, REQUEST, [("rows", rows)])[0][1]


def test_one_output_is_read_by_the_one_input_whatever_its_name() -> None:
    assert read([Input("input_layer", "float32", (2,))], {"features": [[1, 2]]})["features"].dtype == np.float32


def test_several_outputs_are_read_by_name_in_the_order_of_the_inputs() -> None:
    own = [Input("mask", "int64", ("tokens",)), Input("ids", "int64", ("tokens",))]
    assert list(read(own, {"ids": [[7]], "mask": [[1]]}, np.int64)) == ["mask", "ids"]


def test_a_function_reads_numbers_as_the_graph_before_it_answers_them() -> None:
    assert read(None, {"features": [[1, 2]]})["features"].dtype == np.float32


@pytest.mark.parametrize(
    ("own", "answers", "says"),
    [
        (
            [Input("x", "float32", (3,))],
            {"features": [[1, 2]]},
            r"scaler.joblib answers \[N, 2\] float64, net.keras reads",
        ),
        ([Input("x", "float32", ("t", 2))], {"features": [[1, 2]]}, r"net.keras reads \[N, t, 2\] float32"),
        ([Input("x", TEXT, (2,))], {"features": [[1, 2]]}, r"net.keras reads \[N, 2\] text"),
        ([Input("x", "int64", (2,))], {"features": [[1, 2.5]]}, "whole numbers are not made of fractions"),
        ([Input("x", "int64", (2,))], {"features": [[1, np.nan]]}, "whole numbers are not made of fractions"),
        (
            [Input("x", "int64"), Input("y", "int64")],
            {"ids": [[1]], "mask": [[1]]},
            "answers ids, mask, net.keras reads x",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(own: list[Input], answers: Mapping[str, object], says: str) -> None:
    with pytest.raises(SourceError, match=says):
        read(own, answers)
