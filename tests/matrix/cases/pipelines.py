"""The cases of two sources in one graph, and of outputs that are added to a network's own."""

from tests.matrix.case import Case, Equal, Group, Refused, Trap

SEVERAL = "two in one graph"

GROUP = Group(
    SEVERAL,
    "tests.matrix.sources.pipelines",
    (
        Case(
            "pipeline-tfidf-keras",
            "TF-IDF → Keras logits, with softmax and label",
            Equal(remedy="lower case by the locale C"),
            fast=True,
        ),
        Case(
            "pipeline-columns-pytorch",
            "mixed columns: imputer, scaler, sparse one-hot → PyTorch, yes or no",
            Equal(),
            fast=True,
        ),
        Case("pipeline-scaler-onnx", "StandardScaler → ONNX of opset 21"),
        Case("pipeline-components-tflite", "StandardScaler → PCA → TFLite"),
        Case("pipeline-keras-xgboost", "Keras embedding of a row → XGBoost"),
        Case("pipeline-words-pytorch", "tokenizer.json of words → embedding → mean, PyTorch"),
        Case("pipeline-pieces", "tokenizer.json of WordPiece → the same", Refused("whole words (WordLevel) alone")),
        Case("pipeline-widths", "TF-IDF → network of another width", Refused("fit the two to one width"), fast=True),
        Case("pipeline-softmax-twice", "softmax of probabilities", Refused("holds probabilities already")),
        Case(
            "pipeline-logits-as-probabilities",
            "logits called probabilities",
            Refused("described as probabilities and holds none"),
            Trap.LOGITS,
            fast=True,
        ),
    ),
)
