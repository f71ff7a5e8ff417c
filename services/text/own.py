"""A text model's own Classify, Embed and Tag: TextService's requests, results in the model's own classes."""

from collections.abc import Sequence
from dataclasses import dataclass

from argosy.v1.manifest_pb2 import ModelManifest
from argosy.v1.text_pb2 import TextClassification, TextEmbedding, TextReading, TextTags
from services.runtime.own_method import Fields, OwnService, one_class, ranked
from services.runtime.typed_method import TypedMethod
from services.text.classify import Classify
from services.text.embed import Embed
from services.text.reading import TextRequest
from services.text.tag import Tag
from stubs.names import StubError
from stubs.text import TextStub, text_stub


@dataclass(frozen=True, slots=True)
class OwnTexts:
    """Results in the fields of one model's messages."""

    stub: TextStub

    def classification(self, result: TextClassification) -> Fields:
        return {**ranked(self.stub.classes, result.categories), **self._reading(result.reading)}

    def embedding(self, result: TextEmbedding) -> Fields:
        return {"values": result.embedding.values, **self._reading(result.reading)}

    def tags(self, result: TextTags) -> Fields:
        tags = [
            {"token": tag.token, "start": tag.start, "end": tag.end, **one_class(self.stub.classes, tag.category)}
            for tag in result.tags
        ]
        return {"tags": tags, **self._reading(result.reading)}

    def _reading(self, reading: TextReading) -> Fields:
        if not self.stub.reads_tokens:
            return {}
        return {"token_count": reading.token_count, "truncated": reading.truncated}


def own_methods(
    manifest: ModelManifest, methods: Sequence[Classify | Embed | Tag]
) -> tuple[TypedMethod[TextRequest], ...]:
    """The model's own methods beside those of the service; none where no stub can be made of its manifest."""
    try:
        stub = text_stub(manifest)
    except StubError:
        return ()
    own, service = OwnTexts(stub), OwnService(manifest.name, stub.declaration())

    def own_of(method: Classify | Embed | Tag) -> TypedMethod[TextRequest]:
        match method:
            case Classify():
                return service.method(method, own.classification)
            case Embed():
                return service.method(method, own.embedding)
            case Tag():
                return service.method(method, own.tags)

    return tuple(map(own_of, methods))
