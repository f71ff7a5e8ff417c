"""The estimators inside an estimator (steps of pipelines, trees of forests, what a calibration or a search wraps), and
the same estimator fitted anew.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from sklearn.base import BaseEstimator, clone, is_classifier

from exporter.arrays import Array


def _held(part: object) -> Iterable[object]:
    return vars(part).values()


def parts(estimator: object, held_by: Callable[[object], Iterable[object]] = _held) -> Iterator[object]:
    """The estimator itself and whatever fitted objects it holds, each once. `held_by`: what is looked at of each."""
    seen: set[int] = set()
    waiting = [estimator]
    while waiting:
        found = waiting.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        if isinstance(found, dict):
            waiting += found.values()
        elif isinstance(found, list | tuple):
            waiting += found
        elif isinstance(found, np.ndarray) and found.dtype == object:
            waiting += found.ravel().tolist()
        elif _is_model(found):
            yield found
            waiting += held_by(found)


def fitted_again(estimator: BaseEstimator, table: object, truth: Array) -> BaseEstimator:
    """One of the same settings, fitted to other rows; `truth` holds class indices or numbers."""
    right = estimator.classes_[truth] if is_classifier(estimator) else truth
    return clone(estimator).fit(table, right)


def package_of(part: object) -> str:
    return type(part).__module__.split(".", 1)[0]


def _is_model(found: object) -> bool:
    return package_of(found) in {"sklearn", "xgboost", "lightgbm", "exporter"} and hasattr(found, "__dict__")
