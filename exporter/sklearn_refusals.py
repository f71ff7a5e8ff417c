"""What of scikit-learn no remedy helps: refused with what to do instead, or told as the cause of a wrong graph."""

from collections.abc import Iterator

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from exporter.boosters import NO_CATEGORIES, refuse_number_for_missing
from exporter.errors import SourceError
from exporter.sklearn_remedies import SCALERS
from exporter.sources.estimators import package_of, parts


def refuse_what_cannot_be_converted(estimator: BaseEstimator) -> None:
    """Raises SourceError that says which part cannot be, and what to train instead."""
    for part in parts(estimator):
        if isinstance(part, CountVectorizer):
            _refuse_vectoriser(part)
        if getattr(part, "sublinear_tf", False):
            raise SourceError(
                "sublinear_tf becomes log(1 + n) in the graph where scikit-learn has 1 + log(n): train with"
                " sublinear_tf=False"
            )
        if isinstance(part, HashingVectorizer):
            raise SourceError("HashingVectorizer cannot be converted: train with TfidfVectorizer(max_features=...)")
        if isinstance(part, FunctionTransformer) and part.func is not None:
            raise SourceError(
                f"FunctionTransformer runs Python code ({getattr(part.func, '__name__', 'a callable')}), which no graph"
                " holds: train with scikit-learn's own transformers, or apply the function before training and asking"
            )
        if getattr(part, "enable_categorical", False) and _has_categories(part):
            raise SourceError(NO_CATEGORIES)
        if package_of(part) == "xgboost":
            refuse_number_for_missing(part)
        if np.any(getattr(part, "is_categorical_", False)):
            raise SourceError(
                "the categorical_features of HistGradientBoosting cannot be converted: encode them with"
                " OneHotEncoder(sparse_output=False) and train anew"
            )


def hazards(estimator: BaseEstimator) -> tuple[str, ...]:
    """What may make the graph of such an estimator wrong, and what to do, told where it is wrong."""
    return tuple(_hazards(estimator))


def _hazards(estimator: BaseEstimator) -> Iterator[str]:
    found = list(parts(estimator))
    boosted = any(package_of(part) == "xgboost" for part in found)
    if boosted and any(isinstance(part, OneHotEncoder) and part.sparse_output for part in found):
        yield (
            "XGBoost reads the zeros of a sparse one-hot matrix as missing: train with"
            " OneHotEncoder(sparse_output=False) and ColumnTransformer(sparse_threshold=0)"
        )
    if any(map(_is_tree, found)) and any(isinstance(part, SCALERS) for part in found):
        yield "scaling before trees moves values over thresholds: leave the scaler out, trees do not need it"
    if any(isinstance(part, CalibratedClassifierCV) and part.method == "isotonic" for part in found):
        yield (
            "isotonic calibration has steps, and a value that lies on one may fall on either side of it in float32:"
            " train with method='sigmoid'"
        )
    if any(isinstance(part, CountVectorizer) for part in found):
        yield (
            "the graph lowers ASCII alone, and splits by a token_pattern of yours as ASCII: train with the default one"
            " and lowercase=False, on texts that are lowered before training and before asking, or leave the kind out"
            " with --without 'unseen texts' if yours are ASCII"
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


def _is_tree(part: object) -> bool:
    return hasattr(part, "tree_") or hasattr(part, "_predictors") or package_of(part) in {"xgboost", "lightgbm"}
