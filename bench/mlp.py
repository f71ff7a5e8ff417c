"""The small model that is compared: a perceptron of thirty numbers, so small that a server's own cost is what shows.

It is made here and not among the reference models, because it is nothing that anybody would call: thirty measurements
of scikit-learn's breast cancer data to two classes. It is published by the exporter like any model of a user's.
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from argosy.v1 import manifest_pb2 as pb
from exporter.own_model import Order, export
from exporter.parity import Tolerance
from services.runtime.front import Array

NAME = "mlp"
INPUT = "features"


def published(models_dir: Path) -> None:
    """Train and publish it into `models_dir` unless it is there."""
    if not (models_dir / NAME).is_dir():
        order = Order(f"{__name__}:network", _described(), {INPUT: rows()}, {}, Tolerance(1e-4, 1e-4), trust_code=True)
        export(order, models_dir)


def rows() -> Array:
    """float32[569, 30], in the data's own units."""
    return np.asarray(load_breast_cancer().data, np.float32)


def network() -> Pipeline:
    """Normalisation, then 30 -> 64 -> 32 -> 2, trained."""
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(hidden_layer_sizes=(64, 32), max_iter=500, random_state=0))
    return pipeline.fit(rows(), load_breast_cancer().target)


def _described() -> pb.ModelManifest:
    names = load_breast_cancer().feature_names
    columns = [
        pb.TableColumn(
            name=str(name),
            kind=pb.COLUMN_KIND_NUMBER,
            input=INPUT,
            index=place,
            missing=pb.MISSING_POLICY_REJECT,
            meaning=f"{name} of a cell's nucleus",
        )
        for place, name in enumerate(names)
    ]
    return pb.ModelManifest(
        name=NAME,
        description="Thirty measurements of a cell to one of two classes; for the benchmark only.",
        licence="BSD-3-Clause (data of scikit-learn)",
        tasks=[pb.TASK_TABULAR_CLASSIFICATION],
        labels=["malignant", "benign"],
        inputs=[pb.TensorSpec(name=INPUT, meaning="thirty measurements of a cell's nucleus, in the data's units")],
        table=pb.TablePreprocessing(columns=columns),
    )
