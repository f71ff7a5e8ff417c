"""Every case of the matrix, by framework."""

from tests.matrix.case import Group
from tests.matrix.cases import keras, lightgbm, onnx, pipelines, pytorch, sklearn, tensorflow, tflite, xgboost

GROUPS: tuple[Group, ...] = (
    keras.GROUP,
    tensorflow.GROUP,
    tflite.GROUP,
    pytorch.GROUP,
    sklearn.GROUP,
    xgboost.GROUP,
    lightgbm.GROUP,
    onnx.GROUP,
    pipelines.GROUP,
)
