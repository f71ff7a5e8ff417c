"""What XGBoost's and LightGBM's models have in common on their way through onnxmltools."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import onnx
from numpy.typing import NDArray

from exporter.errors import SourceError
from exporter.sources.estimators import package_of
from exporter.sources.inputs import Input

if TYPE_CHECKING:
    # Whoever gives one has brought the framework in.
    from lightgbm import Booster
    from xgboost import Booster as XGBoostBooster

# The newest that onnxmltools 1.16 writes for trees without a warning.
MLTOOLS_OPSET = 15
# Alone and at the end of a pipeline.
NO_CATEGORIES = (
    "XGBoost with enable_categorical cannot be converted: encode the categories with"
    " OneHotEncoder(sparse_output=False) and train anew"
)
_MOST_THRESHOLDS = 60
# Where the scikit-learn classes of LightGBM and XGBoost keep their trees.
BOOSTER = "_Booster"
# kZeroThreshold in LightGBM: what is no larger is not stored, and so is zero.
ZERO_THRESHOLD = np.float32(1e-35)
# In the text of a LightGBM model.
_SIZES = re.compile(r"^tree_sizes=.*\n", re.MULTILINE)
_THRESHOLDS = re.compile(r"^threshold=(.*)$", re.MULTILINE)


def refuse_number_for_missing(model: object) -> None:
    """Raises SourceError for an XGBoost model that reads a number as missing: its trees do not know which."""
    missing = getattr(model, "missing", None)
    if isinstance(missing, int | float) and not np.isnan(missing):
        raise SourceError(
            f"XGBoost with missing={missing:g} cannot be converted: its graph knows NaN alone as missing; export it"
            f" after set_params(missing=float('nan')), and give it NaN in place of {missing:g}"
        )


def tree_input(width: int, thresholds: Mapping[int, tuple[float, ...]]) -> Input:
    """A table of numbers, whose columns lie around where the trees split them."""
    typical = tuple(_middle(thresholds.get(column, ())) for column in range(width))
    tried = {column: spread(values, _MOST_THRESHOLDS) for column, values in thresholds.items()}
    return Input("features", "float32", (width,), thresholds=tried or None, typical=typical, large=1e6)


def spread(thresholds: Sequence[float], most: int) -> tuple[float, ...]:
    """At most so many, from the lowest to near the highest."""
    return tuple(thresholds[:: (len(thresholds) - 1) // most + 1])


def with_default_operators(model: onnx.ModelProto) -> onnx.ModelProto:
    """The converter states no standard operators for trees alone, or old ones; both sides of these are the same."""
    standard = next((entry for entry in model.opset_import if entry.domain == ""), None) or model.opset_import.add()
    standard.version = max(standard.version, MLTOOLS_OPSET)
    return model


def class_outputs(model: onnx.ModelProto, names: Sequence[str]) -> list[str | None]:
    """The outputs of a classifier are its label, left out, and its probabilities; others have one."""
    return [None] * (len(model.graph.output) - len(names)) + list(names)


def round_down(thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest float32 not above each: a float32 value is at most the one just where it is at most the other."""
    nearest = thresholds.astype(np.float32)
    below = np.where(nearest.astype(np.float64) > thresholds, np.nextafter(nearest, np.float32(-np.inf)), nearest)
    return np.asarray(below, np.float64)


def xgboost_booster(part: object) -> "XGBoostBooster | None":
    """The trees of a fitted model of XGBoost's scikit-learn classes; None where it has none."""
    found: XGBoostBooster | None = getattr(part, BOOSTER, None) if package_of(part) == "xgboost" else None
    return None if getattr(part, "booster", None) == "gblinear" else found


def xgboost_thresholds(booster: "XGBoostBooster") -> dict[int, tuple[float, ...]]:
    """Where an XGBoost model splits numbers: column -> thresholds."""
    found: dict[int, set[float]] = defaultdict(set)
    names = booster.feature_names or [f"f{column}" for column in range(booster.num_features())]
    trees = booster.trees_to_dataframe()
    splits = trees[trees["Feature"] != "Leaf"]
    for name, threshold in zip(splits["Feature"], splits["Split"], strict=True):
        found[names.index(name)].add(float(threshold))
    return {column: tuple(sorted(values)) for column, values in found.items()}


def rounded_text(text: str) -> str:
    """The text of a LightGBM model with its thresholds rounded down.

    The one at the edge of what it reads as zero is one lower: the edge itself is zero, and so above the threshold.
    """

    def line(found: re.Match[str]) -> str:
        values = round_down(np.array(found[1].split(), np.float64))
        values[values == -ZERO_THRESHOLD] = np.nextafter(-ZERO_THRESHOLD, np.float32(-np.inf))
        return "threshold=" + " ".join(f"{value:.17g}" for value in values)

    # The sizes of the trees' texts stand before them, and are not needed.
    return _SIZES.sub("", _THRESHOLDS.sub(line, text))


def lightgbm_booster(part: object) -> "Booster | None":
    """The trees of a fitted model of LightGBM's scikit-learn classes; of anything else None."""
    found: Booster | None = getattr(part, BOOSTER, None) if package_of(part) == "lightgbm" else None
    return found


def lightgbm_thresholds(booster: "Booster") -> dict[int, tuple[float, ...]]:
    """Where a LightGBM model splits numbers: column -> thresholds."""
    found: dict[int, set[float]] = defaultdict(set)
    names = {name: column for column, name in enumerate(booster.feature_name())}
    splits = booster.trees_to_dataframe().dropna(subset=["split_feature"])
    for name, threshold, decision in zip(
        splits["split_feature"], splits["threshold"], splits["decision_type"], strict=True
    ):
        if decision == "<=":
            found[names[name]].add(float(threshold))
    return {column: tuple(sorted(values)) for column, values in found.items()}


def _middle(values: Sequence[float]) -> tuple[float, float]:
    return (float(np.mean(values)), float(np.std(values)) or 1.0) if values else (0.0, 1.0)
