"""What scikit-learn pipelines are known to lose on their way to ONNX, and what can be done about it.

A remedy changes a copy of the estimator, never the source: the graph is compared with the source as it was given. What
no remedy helps is refused with what to do instead; what may go wrong is told if the comparison fails.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy

import numpy as np
import onnx
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import VotingClassifier
from sklearn.ensemble._forest import ForestClassifier, ForestRegressor
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfTransformer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import MaxAbsScaler, OneHotEncoder, RobustScaler, StandardScaler
from sklearn.tree import BaseDecisionTree

from exporter.boosters import NO_CATEGORIES, round_down
from exporter.errors import SourceError
from exporter.sklearn_converters import ZeroIsMissing
from exporter.sources.estimators import parts

_SCALERS = (StandardScaler, MaxAbsScaler, RobustScaler)
_TAKE_MISSING = (ForestClassifier, ForestRegressor, BaseDecisionTree)
_TRACKS_TRUE = "nodes_missing_value_tracks_true"
_KEEP_SPARSE = (StandardScaler, MaxAbsScaler, TfidfTransformer)


def refuse_what_cannot_be_converted(estimator: BaseEstimator) -> None:
    """Raises SourceError that says which part cannot be, and what to train instead."""
    for part in parts(estimator):
        if isinstance(part, CountVectorizer):
            _refuse_vectoriser(part)
        if isinstance(part, HashingVectorizer):
            raise SourceError("HashingVectorizer cannot be converted: train with TfidfVectorizer(max_features=...)")
        if getattr(part, "enable_categorical", False) and _has_categories(part):
            raise SourceError(NO_CATEGORIES)
        if np.any(getattr(part, "is_categorical_", False)):
            raise SourceError(
                "the categorical_features of HistGradientBoosting cannot be converted: encode them with"
                " OneHotEncoder(sparse_output=False) and train anew"
            )


def remedied(estimator: BaseEstimator) -> tuple[BaseEstimator, tuple[str, ...]]:
    """A copy whose graph answers as the source, and what was done, in words."""
    changed = deepcopy(estimator)
    done = []
    rounded = [_round_thresholds(part) for part in parts(changed)]
    if any(rounded):
        done.append(
            "the trees' float64 thresholds rounded down to float32, which sends every float32 value the same way"
        )
    if any(isinstance(part, _SCALERS) for part in parts(changed)):
        done.append(
            "scaling by division, as scikit-learn does: a product with the inverse moves values over thresholds"
        )
    unflattened = [_unflattened(part) for part in parts(changed)]
    if any(unflattened):
        done.append("a vote with flatten_transform=False, which its transform alone would show")
    if _mark_zeros(changed):
        done.append("zeros before XGBoost made missing, as it reads the sparse matrix of the pipeline")
    if any(isinstance(part, CountVectorizer) and part.lowercase for part in parts(changed)):
        done.append("lower case by the locale C, which every machine has")
    return changed, tuple(done)


def options(estimator: BaseEstimator) -> dict[int, Mapping[str, object]]:
    """skl2onnx's options by the id of the part."""
    lowered: dict[int, Mapping[str, object]] = {
        id(part): {"locale": "C"} for part in parts(estimator) if isinstance(part, CountVectorizer)
    }
    return lowered | {id(part): {"div": "div"} for part in parts(estimator) if isinstance(part, _SCALERS)}


def send_missing(model: onnx.ModelProto, estimator: BaseEstimator) -> None:
    """Missing values go down a tree as scikit-learn sends them: skl2onnx does not say so of trees and forests."""
    final = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
    nodes = [node for node in model.graph.node if node.op_type.startswith("TreeEnsemble")]
    if not isinstance(final, _TAKE_MISSING) or len(nodes) != 1:
        return
    trees = [tree.tree_ for tree in getattr(final, "estimators_", [final])]
    attributes = {attribute.name: attribute for attribute in nodes[0].attribute}
    places = zip(attributes["nodes_treeids"].ints, attributes["nodes_nodeids"].ints, strict=True)
    left = [int(trees[tree].missing_go_to_left[node]) for tree, node in places]
    kept = [attribute for attribute in nodes[0].attribute if attribute.name != _TRACKS_TRUE]
    del nodes[0].attribute[:]
    nodes[0].attribute.extend([*kept, onnx.helper.make_attribute(_TRACKS_TRUE, left)])


def hazards(estimator: BaseEstimator) -> tuple[str, ...]:
    """What may make the graph of such an estimator wrong, and what to do, told where it is wrong."""
    return tuple(_hazards(estimator))


def _hazards(estimator: BaseEstimator) -> Iterator[str]:
    found = list(parts(estimator))
    boosted = any(_package(part) == "xgboost" for part in found)
    if boosted and any(isinstance(part, OneHotEncoder) and part.sparse_output for part in found):
        yield (
            "XGBoost reads the zeros of a sparse one-hot matrix as missing: train with"
            " OneHotEncoder(sparse_output=False) and ColumnTransformer(sparse_threshold=0)"
        )
    if _has_trees(estimator) and any(isinstance(part, _SCALERS) for part in found):
        yield "scaling before trees moves values over thresholds: leave the scaler out, trees do not need it"
    if any(isinstance(part, CountVectorizer) for part in found):
        yield (
            "the graph lowers and splits ASCII alone: train with token_pattern='[a-zA-Z0-9_]+' and on ASCII texts,"
            " or leave the kind out with --without 'unseen texts' if your texts are such"
        )
    if any("Neighbors" in type(part).__name__ for part in found):
        yield "distances are float32 in the graph: neighbours at almost the same distance may change places"


def _refuse_vectoriser(part: CountVectorizer) -> None:
    if part.analyzer == "char_wb":
        raise SourceError("analyzer='char_wb' cannot be converted: train with analyzer='char' or 'word'")
    if callable(part.analyzer) or part.tokenizer is not None or part.preprocessor is not None:
        raise SourceError("a vectoriser with Python code of its own cannot be converted: use token_pattern")
    if part.strip_accents:
        raise SourceError(
            "strip_accents cannot be converted: strip them before training and before asking, or train without"
        )


def _has_categories(part: object) -> bool:
    types = part.get_booster().feature_types if hasattr(part, "get_booster") else None
    return "c" in (types or ())


def _has_trees(estimator: BaseEstimator) -> bool:
    return any(
        hasattr(part, "tree_") or hasattr(part, "_predictors") or _package(part) in {"xgboost", "lightgbm"}
        for part in parts(estimator)
    )


def _round_thresholds(part: object) -> bool:
    """A value of float32 is at most a threshold just where it is at most the largest float32 not above it."""
    changed = False
    if hasattr(part, "tree_"):
        changed |= _round_down(part.tree_.threshold)
    for predictor in (p for stage in getattr(part, "_predictors", ()) for p in stage):
        changed |= _round_down(predictor.nodes["num_threshold"])
    return changed


def _round_down(thresholds: NDArray[np.float64]) -> bool:
    """In place; whether any was changed."""
    below = round_down(thresholds)
    changed = bool((below != thresholds).any())
    thresholds[...] = below
    return changed


def _unflattened(part: object) -> bool:
    """skl2onnx refuses a vote for a setting that its prediction does not use."""
    if not isinstance(part, VotingClassifier) or not part.flatten_transform:
        return False
    part.flatten_transform = False
    return True


def _mark_zeros(estimator: BaseEstimator) -> bool:
    """Put ZeroIsMissing before an XGBoost model that ends a pipeline and reads a sparse matrix."""
    if not isinstance(estimator, Pipeline) or _package(estimator.steps[-1][1]) != "xgboost":
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


def _package(part: object) -> str:
    return type(part).__module__.split(".", 1)[0]
