"""Trees and pipelines through `python -m exporter`: equal to their source, mended, or refused with the reason."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.__main__ import main
from exporter.manifest import from_yaml

TREES = """
import joblib, lightgbm, numpy as np, pandas as pd, sys, xgboost
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
random = np.random.default_rng(0)
rows = random.normal(size=(300, 3)).astype(np.float32)
classes, values = (rows[:, 0] > 0) * 1 + (rows[:, 1] > 0.5), rows[:, 0] * 3 + rows[:, 2]
table = pd.DataFrame({"hours-per-week": rows[:, 0], "age": rows[:, 1], "kind": random.choice(["a", "b"], 300)})
table["kind"] = table["kind"].astype(object)
mixed = (table["hours-per-week"] > 0) * 1 + (table["kind"] == "a")
columns = ColumnTransformer([("n", StandardScaler(), ["hours-per-week", "age"]), ("t", OneHotEncoder(), ["kind"])])
columns.set_params(sparse_threshold=1.0, t__handle_unknown="ignore")
xgboost.XGBClassifier(n_estimators=5).fit(rows, classes).save_model("xgboost.ubj")
xgboost.XGBClassifier(n_estimators=5).fit(rows, classes > 0).save_model("xgboost.json")
joblib.dump(xgboost.XGBRanker(n_estimators=5).fit(rows, classes > 0, group=[100] * 3), "ranker.pkl")
lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(rows, classes).booster_.save_model("lightgbm.txt")
zeros = lightgbm.LGBMRegressor(n_estimators=5, verbose=-1, zero_as_missing=True)
joblib.dump(zeros.fit(rows, values), "zeros.pkl")
joblib.dump(make_pipeline(columns, xgboost.XGBClassifier(n_estimators=5)).fit(table, mixed), "sparse.pkl")
joblib.dump(RandomForestClassifier(5, random_state=0).fit(rows.astype(np.float64), classes), "forest.pkl")
categories = xgboost.XGBClassifier(n_estimators=2, enable_categorical=True)
joblib.dump(categories.fit(table.astype({"kind": "category"}), classes), "categories.pkl")
leaving = np.where(rows[:, 0] > 0, "leaves", "stays")
joblib.dump(LogisticRegression().fit(rows, leaving), "leaving.pkl")
for name, model in (("absent.pkl", xgboost.XGBClassifier), ("zero.pkl", xgboost.XGBRegressor)):
    absent = model(n_estimators=2, missing=0 if name == "zero.pkl" else -999).fit(rows, classes)
    joblib.dump(absent, name)
    joblib.dump(make_pipeline(StandardScaler(), absent).fit(rows, classes), f"scaled_{name}")
texts = ["a good day", "bad weather", "not good", "fine water"] * 10
for name, analyzer in (("words.pkl", "word"), ("char_wb.pkl", "char_wb")):
    pipeline = make_pipeline(TfidfVectorizer(analyzer=analyzer), LogisticRegression())
    joblib.dump(pipeline.fit(texts, [1, 0, 0, 1] * 10), name)
"""


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trees")
    subprocess.run([sys.executable, "-c", TREES], cwd=folder, check=True, timeout=110)
    return folder


def export(source: Path, models: Path, task: str, *more: str) -> int:
    named = ["--name", "mine", "--task", task, "--trust-code", "--output", str(models)]
    return main([str(source), *named, *more])


@pytest.mark.parametrize(
    ("source", "task"),
    [
        ("xgboost.ubj", "tabular-classification"),
        ("xgboost.json", "tabular-classification"),
        ("ranker.pkl", "tabular-regression"),
        ("lightgbm.txt", "tabular-classification"),
    ],
)
def test_boosted_trees_are_equal_at_their_split_thresholds_and_where_values_are_missing(
    trees: Path, tmp_path: Path, source: str, task: str
) -> None:
    assert export(trees / source, tmp_path, task, "--columns", "a,b,c") == 0
    compared = {kind.kind for kind in manifest_in(tmp_path).parity.kinds if not kind.not_applicable}
    assert {"ordinary", "zeros", "large", "missing values", "split thresholds"} <= compared


def test_a_sparse_pipeline_is_mended_and_keeps_its_columns_names(trees: Path, tmp_path: Path) -> None:
    assert export(trees / "sparse.pkl", tmp_path, "tabular-classification") == 0
    manifest = manifest_in(tmp_path)
    assert manifest.source.remedies[0].startswith("zeros before XGBoost made missing")
    columns = [(column.name, column.input) for column in manifest.table.columns]
    assert columns == [("hours-per-week", "hours_per_week"), ("age", "age"), ("kind", "kind")]


@pytest.mark.parametrize(
    ("source", "task", "mended"),
    [
        ("zeros.pkl", "tabular-regression", "zeros made missing, as zero_as_missing has it"),
        ("forest.pkl", "tabular-classification", "missing values sent down the trees"),
        ("words.pkl", "text-classification", "lower case by the locale C"),
    ],
)
def test_what_a_converter_gets_wrong_is_mended_and_the_manifest_says_so(
    trees: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, source: str, task: str, mended: str
) -> None:
    monkeypatch.setenv("LOCPATH", os.devnull)  # no locales but C, as in a container
    columns = ["--columns", "a,b,c"] if source in {"zeros.pkl", "forest.pkl"} else []
    assert export(trees / source, tmp_path, task, *columns) == 0
    assert any(mended in remedy for remedy in manifest_in(tmp_path).source.remedies)


@pytest.mark.parametrize(
    ("source", "task", "says"),
    [
        ("categories.pkl", "tabular-classification", "enable_categorical cannot be converted: encode the categories"),
        ("absent.pkl", "tabular-classification", "missing=-999 cannot be converted: its graph knows NaN alone"),
        ("scaled_absent.pkl", "tabular-classification", "give it NaN in place of -999"),
        ("zero.pkl", "tabular-regression", "missing=0 cannot be converted"),
        ("scaled_zero.pkl", "tabular-regression", "missing=0 cannot be converted"),
        ("char_wb.pkl", "text-classification", "analyzer='char_wb' cannot be converted"),
    ],
)
def test_what_no_remedy_helps_is_refused_with_what_to_do(
    trees: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], *, source: str, task: str, says: str
) -> None:
    assert export(trees / source, tmp_path, task) == 1
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_labels_in_another_order_than_the_classes_are_refused_with_the_right_one(
    trees: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stated = ("--columns", "a,b,c", "--labels")
    assert export(trees / "leaving.pkl", tmp_path, "tabular-classification", *stated, "stays,leaves") == 1
    assert "order stays,leaves, the source's classes are leaves,stays" in capsys.readouterr().err
    assert export(trees / "leaving.pkl", tmp_path, "tabular-classification", *stated, "leaves,stays") == 0
    assert list(manifest_in(tmp_path).labels) == ["leaves", "stays"]


def test_labels_that_give_the_classes_other_names_are_taken_in_their_order(trees: Path, tmp_path: Path) -> None:
    stated = ("--columns", "a,b,c", "--labels", "stays,goes")
    assert export(trees / "leaving.pkl", tmp_path, "tabular-classification", *stated) == 0
    assert list(manifest_in(tmp_path).labels) == ["stays", "goes"]


def test_a_file_that_is_cut_short_is_one_line(trees: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = (trees / "xgboost.ubj").read_bytes()
    (tmp_path / "short.ubj").write_bytes(whole[: len(whole) // 2])
    assert export(tmp_path / "short.ubj", tmp_path / "models", "tabular-classification") == 1
    assert "short.ubj cannot be loaded by XGBoost" in capsys.readouterr().err


def manifest_in(models: Path):
    return from_yaml((models / "mine" / "1" / "model.yaml").read_text())
