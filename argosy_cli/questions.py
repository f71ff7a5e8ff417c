"""What a model can be asked, by its task: one typed call for each of the API's methods.

The manifest names the tasks of a model; a task is answered by one method of one service. A question holds whatever the
caller has (images, texts or rows) and becomes that method's request. What an answer looks like to a person is in
`show.py`; what a caller's arguments mean is in `inputs.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from google.protobuf.struct_pb2 import Struct

from argosy.v1 import manifest_pb2, tabular_pb2, text_pb2, vision_pb2
from argosy.v1.prediction_pb2 import Embedding
from argosy_cli.client import Fleet, Timing
from argosy_cli.errors import misuse
from argosy_client import methods

Result: TypeAlias = (
    vision_pb2.ImageClassification
    | vision_pb2.ImageDetections
    | Embedding
    | text_pb2.TextClassification
    | text_pb2.TextEmbedding
    | text_pb2.TextTags
    | tabular_pb2.RowPrediction
)


@dataclass(frozen=True, slots=True)
class Question:
    """One request: images, texts or rows, whichever the task reads."""

    model: str
    version: str = ""
    images: Sequence[bytes] = ()
    texts: Sequence[str] = ()
    rows: Sequence[Struct] = ()
    top_k: int = 0
    min_score: float | None = None


@dataclass(frozen=True, slots=True)
class Answers:
    """One result an input, in order."""

    version: str
    results: Sequence[Result]
    timing: Timing


class Modality(Enum):
    """What a caller gives."""

    IMAGE = "image"
    TEXT = "text"
    TABLE = "table"


@dataclass(frozen=True, slots=True)
class Verb:
    """How one task is asked for; `word` is what a person types."""

    word: str
    service: str
    modality: Modality
    ask: Callable[[Fleet, Question], Answers]


def _classify_images(fleet: Fleet, q: Question) -> Answers:
    request = vision_pb2.VisionServiceClassifyRequest(model=q.model, version=q.version, images=q.images, top_k=q.top_k)
    reply = fleet.call(methods.CLASSIFY_IMAGES, request, q.model)
    return Answers(reply.message.version, reply.message.results, reply.timing)


def _embed_images(fleet: Fleet, q: Question) -> Answers:
    request = vision_pb2.VisionServiceEmbedRequest(model=q.model, version=q.version, images=q.images)
    reply = fleet.call(methods.EMBED_IMAGES, request, q.model)
    return Answers(reply.message.version, reply.message.results, reply.timing)


def _detect(fleet: Fleet, q: Question) -> Answers:
    request = vision_pb2.VisionServiceDetectRequest(
        model=q.model, version=q.version, images=q.images, min_score=q.min_score
    )
    reply = fleet.call(methods.DETECT, request, q.model)
    return Answers(reply.message.version, reply.message.results, reply.timing)


def _classify_texts(fleet: Fleet, q: Question) -> Answers:
    request = text_pb2.TextServiceClassifyRequest(model=q.model, version=q.version, texts=q.texts, top_k=q.top_k)
    reply = fleet.call(methods.CLASSIFY_TEXTS, request, q.model)
    return Answers(reply.message.version, reply.message.results, reply.timing)


def _embed_texts(fleet: Fleet, q: Question) -> Answers:
    request = text_pb2.TextServiceEmbedRequest(model=q.model, version=q.version, texts=q.texts)
    reply = fleet.call(methods.EMBED_TEXTS, request, q.model)
    return Answers(reply.message.version, reply.message.results, reply.timing)


def _tag(fleet: Fleet, q: Question) -> Answers:
    request = text_pb2.TextServiceTagRequest(model=q.model, version=q.version, texts=q.texts)
    reply = fleet.call(methods.TAG, request, q.model)
    return Answers(reply.message.version, reply.message.results, reply.timing)


def _predict_rows(fleet: Fleet, q: Question) -> Answers:
    request = tabular_pb2.TabularServicePredictRequest(model=q.model, version=q.version, rows=q.rows)
    reply = fleet.call(methods.PREDICT, request, q.model)
    return Answers(reply.message.version, reply.message.results, reply.timing)


_PREDICT = Verb("predict", "tabular", Modality.TABLE, _predict_rows)

VERBS: "Mapping[manifest_pb2.Task.ValueType, Verb]" = {
    manifest_pb2.TASK_IMAGE_CLASSIFICATION: Verb("classify", "vision", Modality.IMAGE, _classify_images),
    manifest_pb2.TASK_IMAGE_EMBEDDING: Verb("embed", "vision", Modality.IMAGE, _embed_images),
    manifest_pb2.TASK_OBJECT_DETECTION: Verb("detect", "vision", Modality.IMAGE, _detect),
    manifest_pb2.TASK_TEXT_CLASSIFICATION: Verb("classify", "text", Modality.TEXT, _classify_texts),
    manifest_pb2.TASK_TEXT_EMBEDDING: Verb("embed", "text", Modality.TEXT, _embed_texts),
    manifest_pb2.TASK_TOKEN_CLASSIFICATION: Verb("tag", "text", Modality.TEXT, _tag),
    manifest_pb2.TASK_TABULAR_CLASSIFICATION: _PREDICT,
    manifest_pb2.TASK_TABULAR_REGRESSION: _PREDICT,
}


def verb_for(manifest: manifest_pb2.ModelManifest, word: str = "") -> Verb:
    """The verb named `word`, or the first that the model has. Raises CliError naming those that it has."""
    verbs = [VERBS[task] for task in manifest.tasks if task in VERBS]
    if not verbs:
        raise misuse(f"model '{manifest.name}' states no task that this version of argosy knows")
    chosen = next((verb for verb in verbs if word in ("", verb.word)), None)
    if chosen is None:
        raise misuse(f"model '{manifest.name}' does not {word}: --task {' or '.join(verb.word for verb in verbs)}")
    return chosen
