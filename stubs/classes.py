"""A model's classes as an enum of its own, and what results say of them.

A value's number is made of the class's name, so an enum of another version never takes one class for another. Classes
of one name have one value: their places in the model's output, which every score has, tell them apart. A model that
names no classes has their places alone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from argosy.v1 import manifest_pb2 as pb
from stubs.declaration import Enum, EnumValue, Field, Message
from stubs.names import camel, check_numbers, distinct, number_of, snake

_UNSPECIFIED = "unspecified"


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes of a model: label -> the name of its value, without what all of them begin with."""

    model: str
    values: Mapping[str, str]

    def number(self, label: str) -> int:
        return number_of(label, "class")

    def enums(self) -> tuple[Enum, ...]:
        """The enum; none where the classes have no names."""
        if not self.values:
            return ()
        named = (
            EnumValue(self._value(name), self.number(label), " ".join(f"'{label}'".split()))
            for label, name in self.values.items()
        )
        return (Enum(self._enum, (EnumValue(self._value(_UNSPECIFIED), 0), *named)),)

    def score_message(self) -> Message:
        """One class and how sure the model is of it."""
        return Message(f"{camel(self.model)}Score", self.one(1, 2, 3))

    def one(self, label: int, probability: int, index: int) -> tuple[Field, ...]:
        """Fields by these numbers that say one class."""
        named = (Field("label", label, self._enum),) if self.values else ()
        sure = Field("probability", probability, "float", "In [0, 1].")
        return *named, sure, Field("index", index, "uint32", "The class's place in the model's output, from 0.")

    def ranked(self, which: str) -> tuple[Field, ...]:
        """Fields 1 and 2 of a result that says `which` classes."""
        likeliest = (Field("likeliest", 1, self._enum),) if self.values else ()
        scores = Field("scores", 2, self.score_message().name, f"{which}, likeliest first.", "repeated")
        return *likeliest, scores

    @property
    def _enum(self) -> str:
        return f"{camel(self.model)}Class"

    def _value(self, name: str) -> str:
        """'lt_eq_50k' -> 'INCOME_CLASS_LT_EQ_50K'."""
        return f"{snake(self.model)}_class_{name}".upper()


def classes_of(manifest: pb.ModelManifest) -> Classes:
    """Raises StubError where two labels would have one number."""
    labels: Iterable[str] = dict.fromkeys(manifest.labels)
    check_numbers({label: number_of(label, "class") for label in labels})
    return Classes(manifest.name, distinct(list(labels), lambda _: "class", taken=[_UNSPECIFIED]))
