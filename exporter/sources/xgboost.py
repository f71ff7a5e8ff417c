"""XGBoost alone: its own files (.json, .ubj), a Booster, or one of its scikit-learn models. Missing values are NaN."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import xgboost
from onnxmltools import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType

from exporter.arrays import Array, Rows
from exporter.boosters import (
    MLTOOLS_OPSET,
    NO_CATEGORIES,
    class_outputs,
    refuse_number_for_missing,
    tree_input,
    with_default_operators,
    xgboost_thresholds,
)
from exporter.conversion import Findings, Request
from exporter.errors import SourceError
from exporter.foreign import told
from exporter.graph import finish
from exporter.sources.estimators import fitted_again
from exporter.sources.source import Source
from exporter.sources.ways import Naming, Way


def from_file(path: Path, request: Request, samples: Rows) -> Source:  # noqa: ARG001 - a framework's module
    try:
        booster = xgboost.Booster(model_file=path)
    except xgboost.core.XGBoostError as error:
        raise SourceError(f"{path.name} cannot be loaded by XGBoost: {told(error)}") from error
    # A file that one of the scikit-learn classes saved is asked by that class.
    return _of_booster(booster, ends_at_best=booster.attr("scikit_learn") is not None)


def from_object(model: object, request: Request, samples: Rows) -> Source:
    """A model of scikit-learn's kind that stopped early answers, and is converted, up to its best iteration."""
    if not isinstance(model, xgboost.XGBModel):
        return _of_booster(model)
    refuse_number_for_missing(model)

    def fit_again(rows: Sequence[Array], truth: Array) -> Source:
        return from_object(fitted_again(model, rows[0], truth), request, samples)

    labels = tuple(str(label) for label in getattr(model, "classes_", ()))
    source = _of_booster(model.get_booster(), labels, ends_at_best=True)
    # A ranker needs to be told which rows belong together.
    return source if isinstance(model, xgboost.XGBRanker) else replace(source, fit_again=fit_again)


def _of_booster(model: object, labels: tuple[str, ...] = (), *, ends_at_best: bool = False) -> Source:
    if not isinstance(model, xgboost.Booster):
        raise SourceError(f"a {type(model).__name__} is no XGBoost model")
    booster = _plain(model, ends_at_best=ends_at_best)
    columns = tuple(model.feature_names or ())
    return Source(
        framework="xgboost",
        distribution="xgboost-cpu",
        converter="onnxmltools",
        inputs=(tree_input(model.num_features(), xgboost_thresholds(booster)),),
        answer=lambda rows: [_answers(booster, rows)],
        ways=(Way(lambda naming: _graph(booster, naming)),),
        findings=Findings(labels=labels, columns=columns),
    )


def _plain(model: xgboost.Booster, *, ends_at_best: bool) -> xgboost.Booster:
    """With columns f0, f1 …, which is how the converter wants them. A Booster itself answers with all of its trees,
    also those behind the best iteration.
    """
    config = json.loads(model.save_config())["learner"]
    kind = config["gradient_booster"]["name"]
    if kind != "gbtree":
        raise SourceError(f"XGBoost's booster '{kind}' cannot be converted: train with booster='gbtree'")
    if "c" in (model.feature_types or ()):
        raise SourceError(NO_CATEGORIES)
    best = model.attr("best_iteration") if ends_at_best else None
    booster = model[: int(best) + 1] if best is not None else model.copy()
    booster.feature_names = booster.feature_types = None
    return booster


def _answers(booster: xgboost.Booster, rows: Sequence[Array]) -> Array:
    answers = np.asarray(booster.predict(xgboost.DMatrix(rows[0])))
    if _objective(booster) == "multi:softmax":
        raise SourceError("objective 'multi:softmax' answers no probabilities: train with 'multi:softprob'")
    return np.stack([1 - answers, answers], axis=1) if _is_binary(booster) else answers.reshape(len(rows[0]), -1)


def _graph(booster: xgboost.Booster, naming: Naming) -> bytes:
    types = [("features", FloatTensorType([None, booster.num_features()]))]
    model: onnx.ModelProto = convert_xgboost(_as_regression(booster), initial_types=types, target_opset=MLTOOLS_OPSET)
    return finish(with_default_operators(model), naming.input_names, class_outputs(model, naming.output_names))


def _as_regression(booster: xgboost.Booster) -> xgboost.Booster:
    """A ranker answers the sum of its leaves as a regression does; the converter takes it for a classifier."""
    if not _objective(booster).startswith("rank:"):
        return booster
    model = json.loads(booster.save_raw("json"))
    model["learner"]["objective"] = {"name": "reg:squarederror", "reg_loss_param": {"scale_pos_weight": "1"}}
    return xgboost.Booster(model_file=bytearray(json.dumps(model).encode()))


def _objective(booster: xgboost.Booster) -> str:
    return str(json.loads(booster.save_config())["learner"]["objective"]["name"])


def _is_binary(booster: xgboost.Booster) -> bool:
    return _objective(booster) == "binary:logistic"
