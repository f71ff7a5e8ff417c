"""The service of a text model: texts in, and of each its classes, its vector or its tagged tokens, by its tasks.

A request is that of TextService field by field; results name the model's own classes. How much of a text was read is
said where the model reads tokens. A model of several texts a row is a table with columns of text.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from argosy.v1 import manifest_pb2 as pb
from stubs.classes import Classes, classes_of
from stubs.declaration import Declaration, Field, Message
from stubs.messages import Method, declaration, rows, rpc
from stubs.names import camel
from stubs.vectors import TOP_K, embedding_message

CLASSIFY, EMBED, TAG = "Classify", "Embed", "Tag"


@dataclass(frozen=True, slots=True)
class TextStub:
    """One model's stub; which of the methods there are its tasks say."""

    manifest: pb.ModelManifest
    classes: Classes

    def declaration(self) -> Declaration:
        return declaration(self.manifest, list(self._methods()), self.classes.enums() if self._has_classes else ())

    @property
    def reads_tokens(self) -> bool:
        """Whether results say how much of a text was read."""
        return self.manifest.text.HasField("tokens")

    @property
    def _has_classes(self) -> bool:
        return bool({pb.TASK_TEXT_CLASSIFICATION, pb.TASK_TOKEN_CLASSIFICATION} & set(self.manifest.tasks))

    def _methods(self) -> Iterator[Method]:
        texts = rows("texts", "string", f"At least one, each of at most 1 MiB.{self._cut()}")
        prefix = camel(self.manifest.name)
        if pb.TASK_TEXT_CLASSIFICATION in self.manifest.tasks:
            ranked = self.classes.ranked("As many as were asked for")
            result = Message(f"{prefix}Classification", (*ranked, *self._reading()))
            comment = "The likeliest classes of each text, in the order of the request."
            yield rpc(self.manifest, CLASSIFY, comment, texts, result, TOP_K), (result, self.classes.score_message())
        if pb.TASK_TEXT_EMBEDDING in self.manifest.tasks:
            result = embedding_message(self.manifest, *self._reading())
            yield rpc(self.manifest, EMBED, "One vector a text, in the order of the request.", texts, result), (result,)
        if pb.TASK_TOKEN_CLASSIFICATION in self.manifest.tasks:
            tag = Message(f"{prefix}Tag", (*_TOKEN, *self.classes.one(4, 5, 6)))
            tags = Field("tags", 1, tag.name, "In the order of the text.", "repeated")
            result = Message(f"{prefix}Tags", (tags, *self._reading()))
            comment = "A class for each token of each text, in the order of the request."
            yield rpc(self.manifest, TAG, comment, texts, result), (result, tag)

    def _reading(self) -> tuple[Field, ...]:
        if not self.reads_tokens:
            return ()
        count = Field("token_count", 3, "uint32", "Tokens given to the model, special ones included.")
        return count, Field("truncated", 4, "bool", "Whether the text had more than the model reads: its end was cut.")

    def _cut(self) -> str:
        return f" The model reads {self.manifest.text.tokens.max_tokens} tokens of one." if self.reads_tokens else ""


_TOKEN = (
    Field("token", 1, "string", "The part of the text."),
    Field("start", 2, "uint32", "Where it begins in the text, in Unicode code points."),
    Field("end", 3, "uint32", "One past its last."),
)


def text_stub(manifest: pb.ModelManifest) -> TextStub:
    """Raises StubError where there is none to be had."""
    return TextStub(manifest, classes_of(manifest))
