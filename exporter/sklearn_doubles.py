"""Trees before which scikit-learn rounds numbers to float32, whatever they are: in the graph a Cast does.

skl2onnx hands float64 to trees whose thresholds are float32. Histogram boosting and LightGBM read float64 themselves.
"""

import onnx
from onnx import TensorProto, helper
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from exporter.sources.estimators import package_of, parts

_READ_DOUBLES = (HistGradientBoostingClassifier, HistGradientBoostingRegressor)


def rounds_before_trees(estimator: BaseEstimator) -> bool:
    """Whether it holds trees, and all of them read float32."""
    found = list(parts(estimator))
    reads_doubles = any(isinstance(part, _READ_DOUBLES) or package_of(part) == "lightgbm" for part in found)
    return not reads_doubles and any(hasattr(part, "tree_") for part in found)


def round_before_trees(model: onnx.ModelProto) -> None:
    """Put a Cast to float32 before each node of trees."""
    nodes = list(model.graph.node)
    del model.graph.node[:]
    for node in nodes:
        if node.op_type.startswith("TreeEnsemble"):
            given, rounded = node.input[0], f"{node.name}/rounded"
            model.graph.node.append(helper.make_node("Cast", [given], [rounded], to=TensorProto.FLOAT))
            node.input[0] = rounded
        model.graph.node.append(node)
