"""LightGBM alone: its own text file, a Booster, or one of its scikit-learn models. Missing values are NaN."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import lightgbm
import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

from exporter.arrays import Array, Rows
from exporter.boosters import (
    MLTOOLS_OPSET,
    ZERO_THRESHOLD,
    class_outputs,
    lightgbm_thresholds,
    rounded_text,
    tree_input,
    with_default_operators,
)
from exporter.conversion import Findings, Request
from exporter.errors import SourceError
from exporter.foreign import told
from exporter.graph import finish
from exporter.sources.estimators import fitted_again
from exporter.sources.source import Source
from exporter.sources.ways import Naming, Remedy, Way

_ROUNDED = "thresholds rounded down to float32, which sends every float32 value the same way"
_ZEROS = "zeros made missing, as zero_as_missing has it"


def from_file(path: Path, request: Request, samples: Rows) -> Source:  # noqa: ARG001 - a framework's module
    try:
        booster = lightgbm.Booster(model_file=path)
    except lightgbm.basic.LightGBMError as error:
        raise SourceError(f"{path.name} cannot be loaded by LightGBM: {told(error)}") from error
    return _of_booster(booster)


def from_object(model: object, request: Request, samples: Rows) -> Source:
    if not isinstance(model, lightgbm.LGBMModel):
        return _of_booster(model)

    def fit_again(rows: Sequence[Array], truth: Array) -> Source:
        return from_object(fitted_again(model, rows[0], truth), request, samples)

    source = _of_booster(model.booster_, tuple(str(label) for label in getattr(model, "classes_", ())))
    # A ranker needs to be told which rows belong together.
    return source if isinstance(model, lightgbm.LGBMRanker) else replace(source, fit_again=fit_again)


def _of_booster(model: object, labels: tuple[str, ...] = ()) -> Source:
    if not isinstance(model, lightgbm.Booster):
        raise SourceError(f"a {type(model).__name__} is no LightGBM model")
    booster, text = model, model.model_to_string(num_iteration=model.best_iteration)
    if "linear_tree: 1" in text or "is_linear=1" in text:
        raise SourceError("LightGBM's linear trees cannot be converted: train with linear_tree=False")
    rounded, zero_is_missing = rounded_text(text), "[zero_as_missing: 1]" in text

    def way(text: str, *, zero_is_missing: bool) -> Callable[[Naming], bytes]:
        return lambda naming: _graph(lightgbm.Booster(model_str=text), naming, zero_is_missing=zero_is_missing)

    remedies = {
        Remedy(_ROUNDED, way(text, zero_is_missing=zero_is_missing)): rounded != text,
        Remedy(_ZEROS, way(rounded, zero_is_missing=False)): zero_is_missing,
    }
    return Source(
        framework="lightgbm",
        distribution="lightgbm",
        converter="onnxmltools",
        inputs=(tree_input(booster.num_feature(), lightgbm_thresholds(booster)),),
        answer=lambda rows: [_answers(booster, rows)],
        ways=(
            Way(
                way(rounded, zero_is_missing=zero_is_missing),
                tuple(remedy for remedy, applies in remedies.items() if applies),
            ),
        ),
        findings=Findings(labels=labels, columns=_columns(booster)),
        reads_doubles=True,
    )


def _answers(booster: lightgbm.Booster, rows: Sequence[Array]) -> Array:
    # Of an array of whole numbers LightGBM itself makes float32, of a table of them float64, as callers send them.
    numbers = rows[0] if rows[0].dtype == np.float32 else rows[0].astype(np.float64)
    answers = np.asarray(booster.predict(numbers))
    if "objective=binary" in booster.model_to_string():
        answers = np.stack([1 - answers, answers], axis=1)
    return answers.reshape(len(rows[0]), -1)


def _graph(booster: lightgbm.Booster, naming: Naming, *, zero_is_missing: bool) -> bytes:
    types = [("features", FloatTensorType([None, booster.num_feature()]))]
    model: onnx.ModelProto = convert_lightgbm(booster, initial_types=types, target_opset=MLTOOLS_OPSET, zipmap=False)
    _read_zeros(model.graph, np.nan if zero_is_missing else 0.0)
    return finish(with_default_operators(model), naming.input_names, class_outputs(model, naming.output_names))


def _read_zeros(graph: onnx.GraphProto, stands_for: float) -> None:
    """Whatever reads the input reads it with `stands_for` where LightGBM sees a zero: up to 1e-35 in magnitude."""
    name = graph.input[0].name
    for node in graph.node:
        node.input[:] = ["with_zeros" if given == name else given for given in node.input]
    constants = {"zero_threshold": ZERO_THRESHOLD, "zero": np.float32(stands_for)}
    graph.initializer.extend(numpy_helper.from_array(np.array([value]), key) for key, value in constants.items())
    graph.node.insert(0, helper.make_node("Abs", [name], ["magnitude"]))
    graph.node.insert(1, helper.make_node("LessOrEqual", ["magnitude", "zero_threshold"], ["is_zero"]))
    graph.node.insert(2, helper.make_node("Where", ["is_zero", "zero", name], ["with_zeros"]))


def _columns(booster: lightgbm.Booster) -> tuple[str, ...]:
    names = booster.feature_name()
    return () if all(re.fullmatch(r"Column_\d+", name) for name in names) else tuple(names)
