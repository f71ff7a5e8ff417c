"""What scikit-learn pipelines are known to lose on their way to ONNX, and what can be done about it.

A remedy changes a copy of the estimator, the way it is converted, or the graph; never the source: the graph is compared
with the source as it was given. Each can be left out, so that what it is good for is seen and not claimed.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from copy import deepcopy
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    VotingClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import MaxAbsScaler, OneHotEncoder, StandardScaler

from exporter.boosters import BOOSTER, lightgbm_booster, round_down, rounded_text
from exporter.sklearn_converters import ZeroIsMissing
from exporter.sklearn_doubles import rounds_before_trees
from exporter.sklearn_missing import takes_missing
from exporter.sklearn_scalers import IN_STEPS
from exporter.sources.estimators import package_of, parts

# Steps that answer a column for each column, by that column alone.
SCALERS = (StandardScaler, *IN_STEPS)
# scikit-learn's default, and the same in the words of the graph's tokenizer, whose \w is of ASCII alone.
_USUAL_PATTERN, _TWO_LETTERS = r"(?u)\b\w\w+\b", r"[\p{L}\p{N}_][\p{L}\p{N}_]+"
_HISTOGRAMS = (HistGradientBoostingClassifier, HistGradientBoostingRegressor)
_KEEP_SPARSE = (StandardScaler, MaxAbsScaler, TfidfTransformer)


class Remedy(StrEnum):
    """In the words of the manifest."""

    ROUNDED = "the trees' float64 thresholds rounded down to float32, which sends every float32 value the same way"
    DIVIDED = "scaling by division, as scikit-learn does: a product with the inverse moves values over thresholds"
    STEPPED = "scaling in float64, rounded after each step, as scikit-learn does"
    UNFLATTENED = "a vote with flatten_transform=False, which its transform alone would show"
    ZEROS_MISSING = "zeros before XGBoost made missing, as it reads the sparse matrix of the pipeline"
    LOWERED = "lower case by the locale C, which every machine has"
    SPLIT = "words of two letters or more, of any language, as the default token_pattern has them"
    INTEGERS = "booleans of histogram boosting written as the integers that ONNX has for them"
    MISSING_SENT = "missing values sent down the trees as scikit-learn sends them"
    SINGLES = "float64 rounded to float32 before the trees, as scikit-learn does"


def remedies(estimator: BaseEstimator, *, of_doubles: bool = False) -> tuple[Remedy, ...]:
    """Those for which there is something to mend in the estimator. `of_doubles`: it is given float64."""
    singles = (Remedy.SINGLES,) if of_doubles and rounds_before_trees(estimator) else ()
    return (*_remedies(deepcopy(estimator)), *singles)


def _remedies(copy: BaseEstimator) -> Iterator[Remedy]:
    found = list(parts(copy))
    if any(_round_thresholds(part) for part in found):
        yield Remedy.ROUNDED
    if any(isinstance(part, StandardScaler) for part in found):
        yield Remedy.DIVIDED
    if any(isinstance(part, IN_STEPS) for part in found):
        yield Remedy.STEPPED
    if any(_unflatten(part) for part in found):
        yield Remedy.UNFLATTENED
    if any(isinstance(part, CountVectorizer) and (part.lowercase or part.stop_words) for part in found):
        yield Remedy.LOWERED
    if any(map(_splits_as_usual, found)):
        yield Remedy.SPLIT
    if any(isinstance(part, _HISTOGRAMS) for part in found):
        yield Remedy.INTEGERS
    if takes_missing(copy):
        yield Remedy.MISSING_SENT
    if _mark_zeros(copy):
        yield Remedy.ZEROS_MISSING


def remedied(estimator: BaseEstimator, chosen: Collection[Remedy]) -> BaseEstimator:
    """A copy with the remedies that change the estimator."""
    changed = deepcopy(estimator)
    for part in parts(changed):
        if Remedy.ROUNDED in chosen:
            _round_thresholds(part)
        if Remedy.UNFLATTENED in chosen:
            _unflatten(part)
    if Remedy.ZEROS_MISSING in chosen:
        _mark_zeros(changed)
    return changed


def options(estimator: BaseEstimator, chosen: Collection[Remedy]) -> dict[int, Mapping[str, object]]:
    """skl2onnx's options by the id of the part."""
    found: dict[int, dict[str, object]] = defaultdict(dict)
    for part in parts(estimator):
        if Remedy.LOWERED in chosen and isinstance(part, CountVectorizer):
            found[id(part)]["locale"] = "C"
        if Remedy.SPLIT in chosen and _splits_as_usual(part):
            found[id(part)]["tokenexp"] = _TWO_LETTERS
        if Remedy.DIVIDED in chosen and isinstance(part, StandardScaler):
            found[id(part)]["div"] = "div"
    return {**found}


def _splits_as_usual(part: object) -> bool:
    """skl2onnx ends a word at a letter beyond ASCII: "touch" is in "touché" then. And it takes one letter for a word:
    by itself it is in no vocabulary, but it stands between two that are.
    """
    return isinstance(part, CountVectorizer) and part.analyzer == "word" and part.token_pattern == _USUAL_PATTERN


def _round_thresholds(part: object) -> bool:
    """A value of float32 is at most a threshold just where it is at most the largest float32 not above it."""
    changed = False
    if hasattr(part, "tree_"):
        changed |= _round_down(part.tree_.threshold)
    for predictor in (p for stage in getattr(part, "_predictors", ()) for p in stage):
        changed |= _round_down(predictor.nodes["num_threshold"])
    return changed | _round_booster(part)


def _round_booster(part: object) -> bool:
    """Of LightGBM's scikit-learn classes, which keep the trees as a text."""
    booster = lightgbm_booster(part)
    if booster is None:
        return False
    vars(part)[BOOSTER] = type(booster)(model_str=rounded_text(booster.model_to_string()))
    return True


def _round_down(thresholds: NDArray[np.float64]) -> bool:
    """In place; whether any was changed."""
    below = round_down(thresholds)
    changed = bool((below != thresholds).any())
    thresholds[...] = below
    return changed


def _unflatten(part: object) -> bool:
    """skl2onnx refuses a vote for a setting that its prediction does not use."""
    if not isinstance(part, VotingClassifier) or not part.flatten_transform:
        return False
    part.flatten_transform = False
    return True


def _mark_zeros(estimator: BaseEstimator) -> bool:
    """Put ZeroIsMissing before an XGBoost model that ends a pipeline and reads a sparse matrix."""
    if not isinstance(estimator, Pipeline) or package_of(estimator.steps[-1][1]) != "xgboost":
        return False
    is_sparse = False
    for _, step in estimator.steps[:-1]:
        is_sparse = _is_sparse_after(step, is_sparse)
    if is_sparse:
        estimator.steps.insert(-1, ("zero_is_missing", ZeroIsMissing()))
    return is_sparse


def _is_sparse_after(step: object, before: bool) -> bool:
    if isinstance(step, ColumnTransformer):
        return bool(step.sparse_output_)
    if isinstance(step, OneHotEncoder):
        return bool(step.sparse_output)
    if isinstance(step, CountVectorizer):
        return True
    if isinstance(step, FeatureUnion):
        return any(_is_sparse_after(inner, before) for _, inner in step.transformer_list)
    if isinstance(step, Pipeline):
        for _, inner in step.steps:
            before = _is_sparse_after(inner, before)
        return before
    return before and (step == "passthrough" or isinstance(step, _KEEP_SPARSE))
