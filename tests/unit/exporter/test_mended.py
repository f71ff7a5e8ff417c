"""A remedy is called one where the graph without it was wrong or not to be had, and a guard elsewhere."""

import pytest

from exporter.conversion import Conversion, Mend, Provenance, RowSet
from exporter.mended import Told, told_of
from exporter.parity import Tolerance

ROUNDED = "thresholds rounded"


def told(tiny, mend: Mend) -> Told:
    rows = RowSet("zeros", {"features": tiny.rows}, {"probabilities": tiny.reference()})
    conversion = Conversion(tiny.graph(), (rows,), Provenance("numpy", "1"), mends=(mend,))
    return told_of(conversion, ["probabilities"], Tolerance())


def test_a_graph_that_is_wrong_without_it_makes_a_remedy_with_how_far_off(tiny) -> None:
    right = tiny.weights.copy()
    tiny.weights[0, 0] += 1
    wrong = tiny.graph()
    tiny.weights[:] = right
    (remedy,) = told(tiny, Mend(ROUNDED, wrong)).remedies
    assert remedy.startswith(f"{ROUNDED} (without it rows of kind 'zeros' are off by 0.")


def test_a_graph_that_answers_alike_without_it_makes_a_guard(tiny) -> None:
    assert told(tiny, Mend(ROUNDED, tiny.graph())) == Told(guards=(ROUNDED,))


@pytest.mark.parametrize(
    ("mend", "expected"),
    [
        (Mend(ROUNDED), Told(remedies=(ROUNDED,))),
        (Mend(ROUNDED, wrong="there is no graph"), Told(remedies=(f"{ROUNDED} (without it there is no graph)",))),
        (Mend(ROUNDED, untried="it takes 60 s"), Told(guards=(f"{ROUNDED} (it takes 60 s)",))),
        (Mend(ROUNDED, b"no graph"), Told(remedies=(f"{ROUNDED} (without it ONNX Runtime does not load the graph)",))),
    ],
    ids=["by nature", "no graph", "untried", "does not load"],
)
def test_without_a_graph_to_compare_the_reason_is_told(tiny, mend: Mend, expected: Told) -> None:
    assert told(tiny, mend) == expected
