"""Encoders that refuse what training did not know, exported and served: a stranger is refused, and never answered."""

import subprocess
import sys
from pathlib import Path

import grpc
import numpy as np
import pytest

from argosy.v1 import tabular_pb2
from tests.e2e.calls import call, refused
from tests.e2e.harness import Processes, Server
from tests.e2e.test_exported import answer_of, by_index, export
from tests.e2e.traffic import MODEL_INFER, infer, predict

PREDICT = "/argosy.v1.TabularService/Predict"
# Both read texts and whole numbers with an encoder's default, which is to refuse.
PROGRAM = """
import json, joblib, numpy as np, pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder
random = np.random.default_rng(0)
table = pd.DataFrame({"kind": random.choice(["a", "b"], 200), "rooms": random.integers(1, 4, 200)})
table = table.astype({"kind": object})
answers = {}
for name, encoder in (("ordinal", OrdinalEncoder()), ("one-hot", OneHotEncoder())):
    model = make_pipeline(ColumnTransformer([("e", encoder, ["kind", "rooms"])]), LogisticRegression())
    model.fit(table, (table.kind == "a") & (table.rooms > 1))
    joblib.dump(model, f"{name}.joblib")
    answers[name] = model.predict_proba(pd.DataFrame([{"kind": "b", "rooms": 3}]))[0].tolist()
json.dump(answers, open("answers.json", "w"))
"""
MODELS = ("ordinal", "one-hot")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("closed")
    subprocess.run([sys.executable, "-c", PROGRAM], cwd=folder, check=True, timeout=110)
    for name in MODELS:
        export(folder, f"{name}.joblib", name, "tabular-classification", "--labels", "no,yes")
    return folder


@pytest.mark.parametrize("model", MODELS)
def test_what_training_knew_is_answered_as_by_the_source(model: str, folder: Path, processes: Processes) -> None:
    server = processes.service("tabular", folder / "models", "--model", model)
    reply = call(server.channel, PREDICT, predict({"kind": "b", "rooms": 3}, model=model))
    (result,) = tabular_pb2.TabularServicePredictResponse.FromString(reply).results
    assert by_index(result.categories) == answer_of(folder, model)


@pytest.mark.parametrize("model", MODELS)
def test_what_training_did_not_know_is_refused_by_row_and_column(
    model: str, folder: Path, processes: Processes
) -> None:
    server = processes.service("tabular", folder / "models", "--model", model)
    for column, value in (("kind", "z"), ("rooms", 7)):
        known: dict[str, object] = {"kind": "b", "rooms": 3}
        error = refused(server.channel, PREDICT, predict(known, known | {column: value}, model=model))
        assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "UNKNOWN_CATEGORY")
        assert error.field == f"rows[1].{column}"
    assert tensors_refused(server, model, b"z", 3) == ("UNKNOWN_CATEGORY", "inputs.kind")
    assert tensors_refused(server, model, b"b", 7) == ("UNKNOWN_CATEGORY", "inputs.rooms")


def tensors_refused(server: Server, model: str, kind: bytes, rooms: int) -> tuple[str, str]:
    text = len(kind).to_bytes(4, "little") + kind
    tensors = ("kind", "BYTES", (1, 1), text), ("rooms", "INT64", (1, 1), np.array([rooms], "<i8").tobytes())
    error = refused(server.channel, MODEL_INFER, infer(model, *tensors))
    return error.reason, error.field
