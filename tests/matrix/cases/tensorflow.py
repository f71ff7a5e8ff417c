"""The cases of TensorFlow: SavedModel and TF.js."""

from tests.matrix.case import Case, Equal, Group, Refused, Trap

GROUP = Group(
    "TensorFlow",
    "tests.matrix.sources.tensorflow",
    (
        Case("tensorflow-dense", "SavedModel: dense", Equal(), Trap.MADE_UP_NAMES, fast=True),
        Case("tensorflow-module", "SavedModel: tf.Module, einsum, softplus, regressor"),
        Case("tensorflow-convolution", "SavedModel: convolution, BatchNorm"),
        Case("tensorflow-lstm", "SavedModel: embedding → LSTM, any length"),
        Case("tensorflow-masked-gru", "SavedModel: masked embedding → GRU, any length"),
        Case("tensorflow-strings", "SavedModel: splits and hashes texts", Refused("String")),
        Case("tfjs-dense", "TF.js graph model: dense", fast=True),
        Case("tfjs-convolution", "TF.js graph model: convolution, BatchNorm"),
        Case("tfjs-missing-weights", "TF.js graph model without its weights", Refused(".bin")),
    ),
)
