"""What goes into a manifest of columns that take their categories alone."""

import numpy as np
import pytest

from argosy.v1 import manifest_pb2 as pb
from exporter.conversion import REFUSED, Conversion, Findings, NotApplicable, Provenance, RowSet
from exporter.errors import ManifestError
from exporter.found_out import described_manifest
from exporter.mended import told_of
from exporter.parity import DEFAULT_TOLERANCE
from tests.unit.services.runtime.tiny import echo_graph

REFUSAL = NotApplicable("unseen texts", f"{REFUSED}: ValueError: Found unknown categories ['?']")


def manifest(*not_applicable: NotApplicable, known: tuple[tuple[str, ...], ...] = (), table: bool = False):
    """Of a graph that reads one text and answers it."""
    described = pb.ModelManifest(name="m", tasks=[pb.TASK_TABULAR_CLASSIFICATION])
    described.outputs.append(pb.TensorSpec(name="y", meaning="the text", role=pb.OUTPUT_ROLE_LABEL))
    if table:
        described.table.columns.append(pb.TableColumn(name="told", kind=pb.COLUMN_KIND_TEXT, input="x"))
    rows = RowSet("ordinary", {"x": np.array([["a"]], object)}, {"y": np.array([["a"]], object)})
    conversion = Conversion(
        echo_graph(),
        (rows,),
        Provenance("scikit-learn", "1"),
        not_applicable,
        Findings(columns=("kind",), categories=known),
    )
    mended = told_of(conversion, [], DEFAULT_TOLERANCE)
    return described_manifest(described, conversion, pb.ParityReport(), mended, ()).table.columns[0]


@pytest.mark.parametrize("table", [False, True], ids=["found", "described"])
def test_a_column_whose_encoder_refuses_the_unknown_is_closed(table: bool) -> None:
    column = manifest(REFUSAL, known=(("a", "b"),), table=table)
    assert (column.closed, list(column.categories)) == (True, ["a", "b"])


def test_a_column_that_takes_any_text_stays_open() -> None:
    column = manifest()
    assert (column.closed, list(column.categories)) == (False, [])


def test_a_source_that_refuses_the_unknown_and_does_not_tell_what_it_knows_is_refused() -> None:
    with pytest.raises(ManifestError, match="does not tell which it knew"):
        manifest(REFUSAL)


def test_unseen_texts_that_the_user_leaves_out_refuse_nothing() -> None:
    assert not manifest(NotApplicable("unseen texts", "left out by --without")).closed
