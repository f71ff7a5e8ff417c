"""The cases of PyTorch."""

from tests.matrix.case import Case, Equal, Group, Refused, Trap

GROUP = Group(
    "PyTorch",
    "tests.matrix.sources.pytorch",
    (
        Case("pytorch-dense", "dense, GELU, LayerNorm, as an object"),
        Case(
            "pytorch-one-sample",
            "the same, with a single sample row",
            Refused("two rows"),
            Trap.FROZEN_BATCH,
            fast=True,
        ),
        Case("pytorch-weights-alone", "a file of weights without its module", Refused("package.module:name")),
        Case("pytorch-output-name", "dense, output named like an inner value", Equal(), Trap.OUTPUT_NAME, fast=True),
        Case("pytorch-branching", "a branch on the batch's values, as an object", Refused("branches on its values")),
        Case(
            "pytorch-branching-script", "a branch on the batch's values, TorchScript", Refused("branches on its values")
        ),
        Case("pytorch-script", "dense, TorchScript"),
        Case("pytorch-program", "dense, .pt2"),
        Case("pytorch-frozen-program", "dense, .pt2 of one row", Refused("batch")),
        Case("pytorch-convolution", "convolution, BatchNorm, as an object", fast=True),
        Case("pytorch-convolution-program", "convolution, BatchNorm, .pt2"),
        Case("pytorch-lstm", "embedding → LSTM, any length, as an object", Equal(), Trap.FROZEN_LENGTH, fast=True),
        Case("pytorch-two-way-gru", "embedding → bidirectional GRU of two layers, any length"),
        Case("pytorch-lstm-script", "embedding → LSTM, any length, TorchScript"),
        Case("pytorch-frozen-length", "embedding → LSTM, .pt2 of one length", Refused("length")),
        Case("pytorch-packed", "GRU over packed sequences", Refused("pack"), Trap.PACKED_SEQUENCE, fast=True),
        Case("pytorch-attention", "transformer layer with a padding mask, any length", Equal(remedy="torch.export")),
    ),
)
