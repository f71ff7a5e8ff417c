"""The cases of Keras."""

from tests.matrix.case import Case, Equal, Group, Refused, Trap

GROUP = Group(
    "Keras",
    "tests.matrix.sources.keras",
    (
        Case("keras-dense", "Sequential: dense, dropout", Equal(), Trap.KERAS_SEQUENTIAL, fast=True),
        Case("keras-h5", "Sequential from .h5"),
        Case("keras-functional", "functional: residual, LayerNorm, two outputs"),
        Case("keras-subclassed", "subclassed model, as an object"),
        Case("keras-custom-layer", "a layer whose code the file lacks", Refused("a layer of your own")),
        Case("keras-normalised", "Normalization → dense, regressor"),
        Case("keras-convolution", "convolution, BatchNorm", fast=True),
        Case("keras-separable", "strided, depthwise, separable, transposed convolution"),
        Case("keras-lstm", "embedding → LSTM, any length"),
        Case("keras-masked-lstm", "masked embedding → LSTM, any length", Equal(), Trap.RECURRENT_LOOP, fast=True),
        Case("keras-gru", "embedding → GRU, any length"),
        Case("keras-bidirectional", "embedding → bidirectional LSTM → max, any length"),
        Case("keras-bag-of-letters", "embedding → mean, any length"),
        Case("keras-masked-mean", "masked embedding → mean, any length"),
        Case("keras-convolution-of-text", "embedding → causal convolution → max, any length"),
        Case("keras-attention", "embedding → multi-head attention → mean, any length"),
        Case(
            "keras-texts",
            "TextVectorization → masked embedding → LSTM, a text",
            Equal(remedy="TextVectorization written as operators"),
            fast=True,
        ),
        Case(
            "keras-texts-any-length",
            "TextVectorization without a length → masked embedding → mean, a text",
            Equal(remedy="TextVectorization written as operators"),
        ),
        Case("keras-texts-counted", "TextVectorization, tf_idf → dense", Refused("count words by scikit-learn")),
    ),
)
