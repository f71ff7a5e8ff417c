"""The cases of files that are ONNX already."""

from tests.matrix.case import Case, Equal, Group, Refused

GROUP = Group(
    "ONNX",
    "tests.matrix.sources.onnx",
    (
        Case("onnx-linear", "linear, softmax; made-up names", fast=True),
        Case("onnx-frozen-batch", "linear, a batch of 1 by habit", Equal(remedy="batch"), fast=True),
        Case("onnx-one-row", "linear, a batch of 1 by nature, --one-row"),
        Case("onnx-one-row-unsaid", "the same without --one-row", Refused("say --one-row")),
        Case("onnx-weights-as-inputs", "IR version 3, weights among the inputs"),
        Case("onnx-external-data", "weights in a file beside"),
        Case("onnx-data-outside", "weights in a file above the folder", Refused("missing or outside its folder")),
        Case("onnx-data-absent", "weights in a file that is not there", Refused("missing or outside its folder")),
        Case("onnx-old-opset", "opset 7", Refused("opset 7")),
        Case("onnx-custom-operator", "an operator of another library", Refused("Calibrate")),
        Case("onnx-truncated", "half a file", Refused("model.onnx")),
        Case("onnx-empty", "an empty file", Refused("model.onnx")),
        Case("onnx-pickle-in-disguise", "a pickle called model.onnx", Refused("--trust-code"), fast=True),
    ),
)
