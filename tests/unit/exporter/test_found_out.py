"""What goes into a manifest that the user did not say, and what he said that the source knows better."""

import numpy as np
import pytest

from argosy.v1 import manifest_pb2 as pb
from exporter.conversion import LONGEST, REFUSED, Conversion, Findings, NotApplicable, Provenance, RowSet
from exporter.errors import ManifestError
from exporter.found_out import described_manifest, token_lengths
from exporter.mended import told_of
from exporter.parity import DEFAULT_TOLERANCE
from exporter.signature import finish
from tests.unit.exporter.conftest import Tiny
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


def test_more_tokens_than_the_source_takes_are_refused() -> None:
    with pytest.raises(ManifestError, match="max_tokens is 0: the source refuses them: IndexError"):
        manifest(NotApplicable(LONGEST, f"{REFUSED}: IndexError: index out of range"))


def test_tokens_that_the_user_leaves_out_refuse_nothing() -> None:
    assert manifest(NotApplicable(LONGEST, "left out by --without")).name == "kind"


def test_the_inputs_that_take_tokens_have_the_stated_length() -> None:
    tokens = pb.TokenReading(ids_input="ids", mask_input="mask", max_tokens=64)
    assert token_lengths(pb.ModelManifest(text=pb.TextPreprocessing(tokens=tokens))) == {"ids": 64, "mask": 64}
    assert token_lengths(pb.ModelManifest()) == {}


def test_unseen_texts_that_the_user_leaves_out_refuse_nothing() -> None:
    assert not manifest(NotApplicable("unseen texts", "left out by --without")).closed


def found(tiny: Tiny, described: pb.ModelManifest, findings: Findings, columns: tuple[str, ...] = ()):
    """What becomes of the description of a graph that reads four numbers and answers three scores."""
    whole = pb.ModelManifest()
    whole.CopyFrom(described)
    whole.outputs.append(pb.TensorSpec(name="scores", meaning="a score a class", role=pb.OUTPUT_ROLE_LOGITS))
    graph = finish(tiny.answering_scores(), ["features"], ["scores"])
    rows = RowSet("ordinary", {"features": tiny.rows}, {"scores": tiny.rows @ tiny.weights})
    conversion = Conversion(graph, (rows,), Provenance("xgboost", "1"), (), findings)
    mended = told_of(conversion, [], DEFAULT_TOLERANCE)
    return described_manifest(whole, conversion, pb.ParityReport(), mended, columns)


TABULAR = pb.ModelManifest(name="m", tasks=[pb.TASK_TABULAR_CLASSIFICATION])


@pytest.mark.parametrize("stated", ["bacd", "bXca"], ids=["all known", "one renamed"])
def test_columns_in_another_order_than_the_sources_own_are_refused(tiny: Tiny, stated: str) -> None:
    with pytest.raises(ManifestError, match=f"in the order {','.join(stated)}, the source's are a,b,c,d"):
        found(tiny, TABULAR, Findings(columns=tuple("abcd")), tuple(stated))


def test_columns_may_have_names_that_the_source_does_not_know(tiny: Tiny) -> None:
    made = found(tiny, TABULAR, Findings(columns=tuple("abcd")), ("a", "b", "age", "plan"))
    assert [column.name for column in made.table.columns] == ["a", "b", "age", "plan"]


def test_a_described_table_whose_columns_go_to_other_places_than_the_sources_is_refused(tiny: Tiny) -> None:
    described = pb.ModelManifest(tasks=TABULAR.tasks)
    for name, index in zip("abcd", [0, 2, 1, 3], strict=True):
        described.table.columns.add(name=name, kind=pb.COLUMN_KIND_NUMBER, input="features", index=index)
    with pytest.raises(ManifestError, match="in the order a,c,b,d, the source's are a,b,c,d"):
        found(tiny, described, Findings(columns=tuple("abcd")))


def test_the_sources_classes_are_those_of_its_logits(tiny: Tiny) -> None:
    made = found(tiny, TABULAR, Findings(columns=tuple("abcd"), labels=("1", "2", "3")))
    assert list(made.labels) == ["1", "2", "3"]


def test_classes_are_not_those_of_logits_of_another_number(tiny: Tiny) -> None:
    assert not found(tiny, TABULAR, Findings(columns=tuple("abcd"), labels=("1", "2"))).labels
