"""From what the user named to a `Source`: the module of its framework reads it.

A pickle and an object tell their framework only once they are loaded, which runs their code: the caller has asked by
now whether it is trusted. Each framework's module is imported when it is needed, because it brings the framework.
"""

import importlib
import pickle
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast

from exporter.arrays import Rows
from exporter.conversion import Request
from exporter.errors import SourceError
from exporter.foreign import told
from exporter.sniff import OBJECT, PICKLE
from exporter.sources.source import Source

_FRAMEWORK_OF_PACKAGE = {
    "torch": "pytorch",
    "keras": "keras",
    "sklearn": "scikit-learn",
    "xgboost": "xgboost",
    "lightgbm": "lightgbm",
}


class Framework(Protocol):
    """A module of this package that is named like a framework."""

    def from_file(self, path: Path, request: Request, samples: Rows) -> Source: ...

    def from_object(self, model: object, request: Request, samples: Rows) -> Source: ...


def load(request: Request, samples: Rows) -> Source:
    """Raises SourceError where the source cannot be read, or its framework is not installed."""
    if request.trust_code:  # any file of this folder could be called like a package that a framework imports
        sys.path.insert(0, str(Path.cwd()))
    _import_first(request.imports)
    if request.framework == OBJECT:
        model = _import_object(request.source)
        return _framework(_framework_of(model)).from_object(model, request, samples)
    if request.framework == PICKLE:
        model = _unpickle(Path(request.source))
        return _framework(_framework_of(model)).from_object(model, request, samples)
    return _framework(request.framework).from_file(Path(request.source), request, samples)


def _import_first(modules: Sequence[str]) -> None:
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise SourceError(f"--import {module}: {told(error)}") from error


def _import_object(source: str) -> object:
    module, _, name = source.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise SourceError(f"{source} cannot be imported: {told(error)}") from error
    is_maker = callable(found) and not hasattr(found, "predict") and not hasattr(found, "forward")
    return found() if is_maker or isinstance(found, type) else found


def _unpickle(path: Path) -> object:
    try:
        return importlib.import_module("joblib").load(path)
    except (EOFError, IndexError, OSError, zlib.error) as error:
        raise SourceError(f"{path.name} is cut short or damaged: copy it again") from error
    except (pickle.UnpicklingError, AttributeError, ImportError, ValueError, KeyError) as error:
        raise SourceError(f"{path.name} cannot be unpickled ({told(error)}): dump it anew") from error


def _framework_of(model: object) -> str:
    """By the package that one of its classes is from: no framework needs to be imported for the question."""
    packages = [kind.__module__.split(".", 1)[0] for kind in type(model).__mro__]
    for package in packages:  # the class itself first: XGBoost's classifiers are scikit-learn's as well
        if package in _FRAMEWORK_OF_PACKAGE:
            return _FRAMEWORK_OF_PACKAGE[package]
    raise SourceError(
        f"a {type(model).__name__} is no model of {', '.join(_FRAMEWORK_OF_PACKAGE.values())}: give the fitted model"
    )


def _framework(name: str) -> Framework:
    module = name.replace("-", "_")
    try:
        return cast(Framework, importlib.import_module(f"exporter.sources.{module}"))
    except ImportError as error:
        raise SourceError(
            f"the environment of {sys.executable} lacks what {name} needs: {told(error)}"
            " (pip install 'argosy[export]'; or name another environment, by --python or in exporter.yaml)"
        ) from error
