"""Missing values go down a tree as scikit-learn sends them: skl2onnx says nothing of it for trees and forests.

A pipeline may hold several forests, and a calibration one a fold: a node of the graph is told to be one of them by the
columns that it splits and, near enough, where. A node that is none of them is left as it is.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import onnx
from sklearn.base import BaseEstimator
from sklearn.ensemble._forest import ForestClassifier, ForestRegressor
from sklearn.tree import BaseDecisionTree
from sklearn.tree._tree import Tree

from exporter.sources.estimators import parts

# Relative: the converter writes thresholds as the float32 on one side or the other.
_NEAR = 1e-5
_TRACKS_TRUE = "nodes_missing_value_tracks_true"


def takes_missing(estimator: BaseEstimator) -> bool:
    """Whether it holds a tree or a forest."""
    return any(True for _ in _forests(estimator))


def send_missing(model: onnx.ModelProto, estimator: BaseEstimator) -> None:
    """Write into each node of trees which branch a missing value takes."""
    forests = list(_forests(estimator))
    for node in model.graph.node:
        if node.op_type.startswith("TreeEnsemble"):
            attributes = {attribute.name: attribute for attribute in node.attribute}
            places = _places(attributes)
            trees = next((forest for forest in forests if _is_of(attributes, places, forest)), None)
            if trees is not None:
                _send(node, [int(trees[tree].missing_go_to_left[index]) for tree, index in places])


def _forests(estimator: BaseEstimator) -> Iterator[Sequence[Tree]]:
    for part in parts(estimator):
        if isinstance(part, ForestClassifier | ForestRegressor) and hasattr(part, "estimators_"):
            yield [tree.tree_ for tree in part.estimators_]
        elif isinstance(part, BaseDecisionTree) and hasattr(part, "tree_"):
            yield [part.tree_]


def _places(attributes: dict[str, onnx.AttributeProto]) -> list[tuple[int, int]]:
    """The tree and the place in it of each entry."""
    return list(zip(attributes["nodes_treeids"].ints, attributes["nodes_nodeids"].ints, strict=True))


def _is_of(
    attributes: dict[str, onnx.AttributeProto], places: Sequence[tuple[int, int]], trees: Sequence[Tree]
) -> bool:
    if len(places) != sum(tree.node_count for tree in trees):
        return False
    features = np.array([trees[tree].feature[index] for tree, index in places])
    thresholds = np.array([trees[tree].threshold[index] for tree, index in places])
    written = np.array(attributes["nodes_featureids"].ints), np.array(attributes["nodes_values"].floats)
    splits = features >= 0
    same_columns = np.array_equal(written[0][splits], features[splits])
    return same_columns and np.allclose(written[1][splits], thresholds[splits], rtol=_NEAR)


def _send(node: onnx.NodeProto, left: list[int]) -> None:
    kept = [attribute for attribute in node.attribute if attribute.name != _TRACKS_TRUE]
    del node.attribute[:]
    node.attribute.extend([*kept, onnx.helper.make_attribute(_TRACKS_TRUE, left)])
