"""`word-language`: which of ten languages a word or a phrase is of. Text goes into the graph, probabilities come out.

A Keras MLP 1000 -> 128 -> 64 -> 10 reads 1000 character n-gram features; `ngrams.py` puts their computation into the
graph, in front of the network. The features are chosen from the training words without looking at their languages, once
for all folds.
"""

from collections.abc import Mapping, Sequence

import keras
import numpy as np
import onnx
from keras import layers
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold, train_test_split

from argosy.v1 import manifest_pb2 as pb
from evaluation.figures import classification, over_folds
from exporter import keras as keras_export
from exporter.parity import DEFAULT_TOLERANCE, merge
from exporter.parity_rows import PARITY_FILE, Comparison, kept
from exporter.signature import Meaning, finish, parse, tensor_specs
from exporter.source import model_source
from exporter.verify import compare, run_graph
from training import ngrams, words
from training.ngrams import NgramFeatures
from training.packages import WORDFREQ, fetch
from training.reference import Exported, Workspace
from training.words import LABELS, Words

SEED = 5
FEATURES = 1000
FOLDS = 5
EPOCHS, FOLD_EPOCHS = 6, 3
TRAIN_PHRASES, TEST_PHRASES = 20_000, 2_000
PARITY_WORDS = 2_000

# What a table of letters, a tokenizer or a batch could get wrong. No answer is right, but both sides must agree.
HARD_TEXTS = (
    *("", " ", "É", "ÉCOLE école", "e\u0301cole", "STRASSE Straße ẞ", "İstanbul ıǅ", "don't", "l'homme", "\ufeffabc"),
    *(
        "😀 hi 👩‍👩‍👧",
        "日本語",
        "Привет мир",
        "tab\tnew\nline\r\n",
        "x\x00y",
        "[end]",
        "1234",
        "a" * 3000,
        "ab, cd! " * 400,
    ),
)

Features = NDArray[np.float32]


def export(workspace: Workspace) -> Exported:
    """Train on 85 % of 60,000 words and phrases of them, test on the rest, five folds over all training words."""
    keras.utils.set_random_seed(SEED)
    train, test = split(words.read_words(fetch(WORDFREQ, workspace.packages_dir)))
    workspace.report("choosing n-grams")
    features = ngrams.learn(train.texts, FEATURES)
    front = ngrams.graph(features, "text", "features")
    metrics = cross_validate(featurise(front, train.texts), train.languages, workspace)
    phrases = words.phrases(train, TRAIN_PHRASES, (2, words.MAX_PHRASE_WORDS + 1), SEED)
    workspace.report("training")
    texts, languages = [*train.texts, *phrases.texts], np.concatenate([train.languages, phrases.languages])
    model = fit(featurise(front, texts), languages, EPOCHS)
    workspace.report("evaluating, converting, comparing")
    test_phrases = words.phrases(test, TEST_PHRASES, (5, 6), SEED)
    graph = joined(front, model)
    judged = [*_judged(graph, test, "test"), *_judged(graph, test_phrases, "test, phrases of 5")]
    compared = _comparisons(features, model, test)
    manifest = _manifest(model, graph, _parity(graph, compared), [*judged, *metrics])
    return Exported(manifest, graph, {PARITY_FILE: kept(list(compared.values()))})


def split(all_words: Words) -> tuple[Words, Words]:
    """Training words and test words, the languages in equal parts."""
    rows = np.arange(len(all_words.texts))
    train, test = train_test_split(rows, test_size=0.15, random_state=SEED, stratify=all_words.languages)
    return all_words.rows(train), all_words.rows(test)


def featurise(front: onnx.ModelProto, texts: Sequence[str]) -> Features:
    """float32[N, 1000], computed by the graph itself: what training got is what serving gets."""
    answers = run_graph(front.SerializeToString(), {"text": _column(texts)})
    return answers["features"].astype(np.float32)


def network() -> keras.Model:
    """[N, 1000] -> [N, 10]."""
    return keras.Sequential(
        [
            keras.Input((FEATURES,)),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.3),
            layers.Dense(64, activation="relu"),
            layers.Dropout(0.3),
            layers.Dense(len(LABELS), activation="softmax"),
        ]
    )


def fit(features: Features, languages: NDArray[np.int64], epochs: int) -> keras.Model:
    model = network()
    model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy")
    model.fit(features, languages, batch_size=512, epochs=epochs, verbose=0)
    return model


def cross_validate(features: Features, languages: NDArray[np.int64], workspace: Workspace) -> list[pb.Metric]:
    """Accuracy, precision, recall and F1 over FOLDS folds of the training words."""
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
    measured = []
    for number, (train, test) in enumerate(folds.split(features, languages), 1):
        workspace.report(f"fold {number} of {FOLDS}")
        model = fit(features[train], languages[train], FOLD_EPOCHS)
        predicted = keras_export.predict(model, [features[test]], 4096)[0].argmax(axis=1)
        measured.append(classification(languages[test], predicted, f"{FOLDS}-fold"))
    return over_folds(measured)


def joined(front: onnx.ModelProto, model: keras.Model) -> bytes:
    """One graph: text STRING [N, 1] -> probabilities [N, 10]."""
    back = parse(keras_export.convert(model, ["features"], ["probabilities"]))
    # Both must speak the same ONNX: the newer dialect of the two.
    back.ir_version = front.ir_version = max(back.ir_version, front.ir_version)
    whole = onnx.compose.merge_models(
        front, onnx.compose.add_prefix(back, "network/"), io_map=[("features", "network/features")]
    )
    return finish(whole, ["text"], ["probabilities"])


def _judged(graph: bytes, texts: Words, rows: str) -> list[pb.Metric]:
    scores = run_graph(graph, {"text": _column(texts.texts)})["probabilities"]
    return classification(texts.languages, scores.argmax(axis=1), rows, LABELS, probabilities=scores)


def _comparisons(features: NgramFeatures, model: keras.Model, test: Words) -> dict[str, Comparison]:
    """What Python's own n-grams and the Keras model say, by what the texts are."""
    texts = {"held-out words": test.texts[:PARITY_WORDS], "hard strings": list(HARD_TEXTS)}
    return {
        f"{len(of_kind)} {kind}": Comparison(
            {"text": _column(of_kind)},
            {"probabilities": keras_export.predict(model, [features.transform(of_kind)])[0]},
        )
        for kind, of_kind in texts.items()
    }


def _parity(graph: bytes, comparisons: Mapping[str, Comparison]) -> pb.ParityReport:
    """The whole graph against both."""
    return merge(
        [
            compare(
                graph,
                compared.rows,
                compared.reference,
                described=f"n-grams counted in Python and the Keras model on {texts}",
                class_outputs=["probabilities"],
            )
            for texts, compared in comparisons.items()
        ],
        DEFAULT_TOLERANCE,
    )


def _column(texts: Sequence[str]) -> NDArray[np.object_]:
    return np.array(texts, dtype=object)[:, None]


def _manifest(
    model: keras.Model, graph: bytes, parity: pb.ParityReport, metrics: Sequence[pb.Metric]
) -> pb.ModelManifest:
    inputs, outputs = tensor_specs(
        graph,
        {
            "text": Meaning("a word or a phrase, UTF-8; upper and lower case are the same"),
            "probabilities": Meaning("probability of each language", unit="1", role=pb.OUTPUT_ROLE_PROBABILITIES),
        },
    )
    return pb.ModelManifest(
        name="word-language",
        description="Which of ten languages a word or phrase is of, by its letters: an MLP on 1000 character n-grams.",
        licence="Apache-2.0; word lists CC-BY-SA-4.0 (wordfreq, Speer 2022)",
        tasks=[pb.TASK_TEXT_CLASSIFICATION],
        inputs=inputs,
        outputs=outputs,
        text=pb.TextPreprocessing(string=pb.StringReading(input="text")),
        labels=LABELS,
        source=model_source(
            graph,
            keras_export.FRAMEWORK,
            keras_export.FRAMEWORK_DISTRIBUTION,
            keras_export.CONVERTER,
            packages=[WORDFREQ.source()],
            parameters=keras_export.parameter_count(model),
        ),
        metrics=metrics,
        parity=parity,
    )
