"""The cases of TFLite."""

from tests.matrix.case import Case, Group, Refused, Trap

GROUP = Group(
    "TFLite",
    "tests.matrix.sources.tflite",
    (
        Case("tflite-dense", "dense"),
        Case("tflite-half", "dense, weights in 16 bits"),
        Case("tflite-dynamic-range", "dense, weights in 8 bits, activations quantised as they come"),
        Case("tflite-convolution", "convolution, BatchNorm", fast=True),
        Case("tflite-whole-int8", "convolution, whole in 8 bits"),
        Case("tflite-embedding", "embedding → convolution → max"),
        Case("tflite-unsupported", "an operator that tf2onnx lacks", Refused("GELU"), Trap.TFLITE_EXIT_0, fast=True),
        Case("tflite-truncated", "half a file", Refused("model.tflite")),
    ),
)
