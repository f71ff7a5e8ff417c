"""K-fold figures of a user's own model: of graphs, each of a source fitted without the rows that it is judged on."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from argosy.v1 import manifest_pb2 as pb
from exporter.__main__ import main
from exporter.errors import ManifestError
from exporter.k_fold import split_rows
from exporter.manifest import from_yaml

MAKER = """
import joblib, lightgbm, numpy as np, xgboost
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
iris, patients = load_iris(), load_diabetes()
flowers, names = iris.data.astype(np.float32), iris.target_names[iris.target]
np.savez("flowers.npz", features=flowers, species=names)
np.savez("patients.npz", features=patients.data.astype(np.float32), progress=patients.target)
joblib.dump(make_pipeline(StandardScaler(), LogisticRegression(C=0.1)).fit(flowers, names), "flowers.pkl")
joblib.dump(Ridge().fit(patients.data, patients.target), "patients.pkl")
joblib.dump(xgboost.XGBClassifier(n_estimators=5).fit(flowers, iris.target), "xgboost.pkl")
joblib.dump(lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(flowers, names), "lightgbm.pkl")
early = xgboost.XGBClassifier(n_estimators=5, early_stopping_rounds=2)
joblib.dump(early.fit(flowers, iris.target, eval_set=[(flowers, iris.target)], verbose=False), "early.pkl")
xgboost.XGBClassifier(n_estimators=5).fit(flowers, iris.target).save_model("booster.ubj")
"""
FLOWERS = (
    "--task",
    "tabular-classification",
    "--columns",
    "a,b,c,d",
    "--samples",
    "flowers.npz",
    "--target",
    "species",
)
LETTERS = pb.ModelManifest(labels=["a", "b"], outputs=[pb.TensorSpec(name="p", role=pb.OUTPUT_ROLE_PROBABILITIES)])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("folds")
    subprocess.run([sys.executable, "-c", MAKER], cwd=folder, check=True, timeout=110)
    return folder


def export(source: str, models: Path, *more: str) -> int:
    return main([source, "--name", "mine", "--trust-code", "--output", str(models), *more])


def metrics(models: Path, split: str) -> dict[str, pb.Metric]:
    manifest = from_yaml((models / "mine" / "1" / "model.yaml").read_text())
    return {metric.name: metric for metric in manifest.metrics if metric.split == split and not metric.label}


def test_a_pipeline_has_the_mean_and_the_deviation_of_its_folds_beside_its_own_figures(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(made)
    assert export("flowers.pkl", tmp_path, *FLOWERS, "--folds", "5") == 0
    over_folds, own = metrics(tmp_path, "5-fold"), metrics(tmp_path, "the sample rows")
    assert own.keys() == over_folds.keys() >= {"accuracy", "precision_micro", "f1_macro", "roc_auc_macro"}
    assert 0.8 < over_folds["accuracy"].value < own["accuracy"].value
    assert 0 < over_folds["accuracy"].standard_deviation < 0.1
    assert over_folds["accuracy"].row_count == 150
    assert f"accuracy {over_folds['accuracy'].value:.4f} ± " in capsys.readouterr().err


def test_the_figures_of_folds_are_those_that_scikit_learn_finds_for_the_same_folds(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import KFold, cross_val_score

    monkeypatch.chdir(made)
    numbers = ("--task", "tabular-regression", "--columns", ",".join("abcdefghij"), "--samples", "patients.npz")
    assert export("patients.pkl", tmp_path, *numbers, "--target", "progress", "--folds", "4") == 0
    rows = np.load("patients.npz")
    expected = cross_val_score(Ridge(), rows["features"], rows["progress"], cv=KFold(4, shuffle=True, random_state=0))
    r2 = metrics(tmp_path, "4-fold")["r2"]
    assert (r2.value, r2.standard_deviation) == pytest.approx((expected.mean(), expected.std(ddof=1)), abs=1e-4)


@pytest.mark.parametrize("source", ["xgboost.pkl", "lightgbm.pkl"])
def test_boosted_trees_of_the_scikit_learn_classes_are_fitted_again(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.chdir(made)
    labels = ("--labels", "setosa,versicolor,virginica")
    assert export(source, tmp_path, *FLOWERS, *labels, "--folds", "3") == 0
    assert metrics(tmp_path, "3-fold")["accuracy"].value > 0.85


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("booster.ubj", "leave it out for this one"),
        ("early.pkl", "fold 1: the model cannot be fitted by its rows and right answers alone"),
    ],
)
def test_what_cannot_be_fitted_again_is_one_line_and_nothing_is_published(
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    source: str,
    says: str,
) -> None:
    monkeypatch.chdir(made)
    labels = ("--labels", "setosa,versicolor,virginica")
    assert export(source, tmp_path, *FLOWERS, *labels, "--folds", "5") == 1
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_folds_without_right_answers_are_a_wrong_command_line() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["flowers.pkl", "--name", "mine", "--folds", "5"])
    assert ended.value.code == 2


def test_each_fold_has_every_class_in_equal_parts() -> None:
    manifest = pb.ModelManifest(labels=["a", "b"], outputs=[pb.TensorSpec(name="p", role=pb.OUTPUT_ROLE_PROBABILITIES)])
    split = split_rows(manifest, np.array(["a"] * 8 + ["b"] * 4, dtype=object), 4)
    assert split.truth.tolist() == [0] * 8 + [1] * 4
    assert [np.bincount(split.truth[split.fold == fold]).tolist() for fold in range(4)] == [[2, 1]] * 4


def test_a_number_is_the_class_that_is_called_so_before_it_is_a_place() -> None:
    grades = pb.ModelManifest(labels=["1", "2", "3"], outputs=LETTERS.outputs)
    assert split_rows(grades, np.array([1.0, 2.0, 1.0, 2.0, 3.0, 3.0]), 2).truth.tolist() == [0, 1, 0, 1, 2, 2]


@pytest.mark.parametrize(
    ("truth", "count", "says"),
    [
        ("abca", 2, "'c' is no class of the model: a, b"),
        ("aaaaab", 3, "class 'b' has 1 of the labelled rows: 3 folds need one each"),
        ("aabb", 1, "at least 2 folds"),
        ("aabb", 3, "3 folds of 4 rows"),
    ],
)
def test_rows_that_make_no_folds_are_refused(truth: str, count: int, says: str) -> None:
    with pytest.raises(ManifestError, match=says):
        split_rows(LETTERS, np.array(list(truth), dtype=object), count)
