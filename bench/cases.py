"""The requests that are measured: each to one model, several messages that take turns, and what is right to answer.

Tensors go to every server as the same bytes. What only Argosy's services read, a photo as a caller has it, is asked of
them alone. An answer to tensors is right where it is ONNX Runtime's own to the same rows, within rounding; which
rounding follows from the size of a batch. Several different messages make sure that an answer is its own request's.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
import skimage.data
from PIL import Image

from argosy.v1 import manifest_pb2 as pb
from argosy.v1.vision_pb2 import VisionServiceClassifyResponse
from bench import mlp
from bench.generator import Load, Requests
from bench.tensors import as_feeds, outputs_of, request
from services.runtime.front import Array
from tests.e2e import traffic as t

RELATIVE_TOLERANCE = 1e-3
ABSOLUTE_TOLERANCE = 1e-4
SEED = 0
MESSAGES = 8
TOKENS = 16
FIRST_WORD, LAST_WORD, CLS, SEP = 2000, 20_000, 101, 102
# Of ImageNet, as the model's manifest has them.
PIXEL_MEAN, PIXEL_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


ONE = Load(1, 1, is_routed_too=True)
MANY = Load(32, 1, is_routed_too=True)
CROWD = Load(128, 32, is_routed_too=True)
USUAL = (ONE, MANY, CROWD)
# With one connection a request nothing can be written or read for two requests at once.
OF_SMALL_MODEL = (ONE, MANY, Load(32, 32), Load(128, 1), CROWD, Load(128, 128))


@dataclass(frozen=True, slots=True)
class Case:
    """Requests to `model` of the service `kind`, and the loads that they make.

    `complaint(message, answer)` says what is wrong with an answer to the message of that number; '' where it is right.
    """

    name: str
    kind: str
    model: str
    models_dir: Path
    requests: Requests
    complaint: Callable[[int, bytes], str]
    loads: tuple[Load, ...]
    # A ModelInferRequest: a row of what the graph reads in the end.
    row: bytes

    @property
    def graph(self) -> Path:
        return newest_graph(self.models_dir, self.model)

    @property
    def is_tensors(self) -> bool:
        """Whether every server understands it."""
        return self.requests.method == t.MODEL_INFER


def newest_graph(models_dir: Path, model: str) -> Path:
    """Of the newest version that is published."""
    return max((models_dir / model).glob("*/model.onnx"), key=lambda path: int(path.parent.name))


def cases(bench_models_dir: Path) -> list[Case]:
    """All of them, the small model first; the benchmark's own model is published on the way."""
    chosen = np.random.default_rng(SEED)
    people = [person(chosen) for _ in range(MESSAGES)]
    images = chosen.random((MESSAGES, 1, 28, 28, 1), np.float32)
    sentences = [sentence(chosen) for _ in range(MESSAGES)]
    pictures: list[Mapping[str, Array]] = [{"pixels": pixels(photo)} for photo in photos()]
    return [
        of_small_model(bench_models_dir),
        _of_tensors("income", "tabular", people, (*USUAL, *at(500))),
        _of_tensors("digits", "vision", [{"image": image} for image in images], (*USUAL, *at(300))),
        _of_tensors("minilm", "text", sentences, (*USUAL, *at(50))),
        _of_tensors("mobilenet", "vision", pictures, (*USUAL, *at(30))),
        _of_photo(),
    ]


def of_small_model(models_dir: Path) -> Case:
    """The benchmark's own model, published into `models_dir` unless it is there."""
    mlp.published(models_dir)
    cells = [{mlp.INPUT: row[None]} for row in mlp.rows()[:: len(mlp.rows()) // MESSAGES]]
    return _of_tensors(mlp.NAME, "tabular", cells, (*OF_SMALL_MODEL, *at(500, 5000)), models_dir)


def at(*rates_per_s: float) -> tuple[Load, ...]:
    """Open loops, over four connections."""
    return tuple(Load(1, 4, rate_per_s) for rate_per_s in rates_per_s)


def _of_tensors(
    model: str, kind: str, rows: Sequence[Mapping[str, Array]], loads: tuple[Load, ...], models_dir: Path = t.MODELS
) -> Case:
    requests = _requests(t.MODEL_INFER, model, *(request(model, inputs) for inputs in rows))
    complaint = _as_alone(newest_graph(models_dir, model), rows)
    return Case(model, kind, model, models_dir, requests, complaint, loads, requests.messages[0])


def _of_photo() -> Case:
    requests = _requests(t.VISION_CLASSIFY, "mobilenet", _jpeg_message())
    row = request("mobilenet", {"pixels": pixels(photos()[0])})
    return Case("mobilenet, JPEG", "vision", "mobilenet", t.MODELS, requests, _not_espresso, (*USUAL, *at(30)), row)


def _requests(method: str, model: str, *messages: bytes) -> Requests:
    return Requests(method, messages, (("argosy-model", model), ("argosy-version", "")))


def _as_alone(graph: Path, rows: Sequence[Mapping[str, Array]]) -> Callable[[int, bytes], str]:
    """Compares with ONNX Runtime's own answers to each message."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    wanted = [dict(zip(names, session.run(names, as_feeds(inputs)), strict=True)) for inputs in rows]

    def complaint(message: int, answer: bytes) -> str:
        given = outputs_of(answer)
        for name, values in wanted[message].items():
            if name not in given or given[name].shape != values.shape:
                return f"output '{name}' of shape {list(values.shape)} is not there"
            if not np.allclose(given[name], values, RELATIVE_TOLERANCE, ABSOLUTE_TOLERANCE):
                return f"output '{name}' is off by {np.abs(given[name] - values).max():.2g}"
        return ""

    return complaint


# ---- rows


def person(chosen: np.random.Generator) -> dict[str, Array]:
    """A row of the income model's mixed table."""
    manifest = t.manifest("income")
    return {column.input: _cell(column, chosen) for column in manifest.table.columns}


def _cell(column: pb.TableColumn, chosen: np.random.Generator) -> Array:
    if column.kind == pb.COLUMN_KIND_TEXT:
        return np.array([[str(chosen.choice(list(column.categories))).encode()]], np.object_)
    return np.array([[float(chosen.integers(1, 60))]], np.float32)


def sentence(chosen: np.random.Generator) -> dict[str, Array]:
    """Sixteen tokens, none of them padding."""
    words = chosen.integers(FIRST_WORD, LAST_WORD, TOKENS - 2)
    ids = np.array([[CLS, *words, SEP]], np.int64)
    return {"ids": ids, "mask": np.ones_like(ids), "types": np.zeros_like(ids)}


def photos() -> list[Image.Image]:
    """Four that a package carries."""
    taken = (skimage.data.coffee(), skimage.data.cat(), skimage.data.astronaut(), skimage.data.rocket())
    return [Image.fromarray(photo) for photo in taken]


def pixels(photo: Image.Image) -> Array:
    """float32[1, 3, 224, 224] as the model wants them."""
    scaled = np.asarray(photo.resize((224, 224)), np.float32) / 255
    normal = (scaled - np.array(PIXEL_MEAN, np.float32)) / np.array(PIXEL_DEVIATION, np.float32)
    return np.ascontiguousarray(normal.transpose(2, 0, 1)[None], np.float32)


def _jpeg_message() -> bytes:
    """A photo of 400 x 266 pixels as a caller has it."""
    buffer = io.BytesIO()
    photos()[0].resize((400, 266)).save(buffer, "JPEG", quality=85)
    return t.classify(buffer.getvalue(), model="mobilenet")


def _not_espresso(_: int, answer: bytes) -> str:
    label = VisionServiceClassifyResponse.FromString(answer).results[0].categories[0].label
    return "" if label == "espresso" else f"the coffee is taken for {label}"
