"""Columns, classes and models by names that protobuf and every language take, and the numbers of their fields.

A field's number is made of what it means (its name and its kind), not of its place: so a client that was built for one
version of a model can never have a value taken for another column by the next, wherever columns were added, moved or
taken out. What a model does not have is then an unknown field, and refused. Names that become the same get a suffix of
their own number, all of them, so that none depends on which came first.
"""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence

# Below are the fields that every message has; 19000 to 19999 are protobuf's own.
_LOWEST, _HIGHEST = 16, 2**29 - 1
_RESERVED = range(19_000, 20_000)
_SIGNS = {"<": "lt", ">": "gt", "=": "eq", "+": "plus", "%": "percent", "&": "and", "#": "number"}


# Every request has its rows there, so that what reads requests needs no more than that to place one.
ROWS_FIELD = 3

_PACKAGE = "argosy.models"
# The methods that models have for themselves, as a front's open method.
EVERY_METHOD = f"/{_PACKAGE}.*"


class StubError(Exception):
    """No stub can be made for the model; the text is one line that says why."""


def number_of(name: str, kind: str) -> int:
    """The number of a field or an enum's value, the same in every version that has it."""
    attempt = 0
    while True:
        digest = hashlib.sha256(f"{kind}\0{name}\0{attempt}".encode()).digest()
        number = _LOWEST + int.from_bytes(digest[:8]) % (_HIGHEST - _LOWEST + 1)
        if number not in _RESERVED:
            return number
        attempt += 1


def snake(text: str) -> str:
    """'capital-gain (USD)' -> 'capital_gain_usd'; begins with a letter."""
    plain = unicodedata.normalize("NFKD", text)
    spelled = "".join(f" {_SIGNS[sign]} " if sign in _SIGNS else sign for sign in plain)
    ascii_only = "".join(
        sign if sign.isascii() else "" if unicodedata.combining(sign) else f"u{ord(sign):x}" for sign in spelled
    )
    words = re.findall(r"[A-Za-z0-9]+", ascii_only)
    joined = "_".join(words).lower()
    return joined if joined[:1].isalpha() else f"x_{joined}".rstrip("_")


def camel(text: str) -> str:
    """'word-language' -> 'WordLanguage'."""
    return "".join(word.capitalize() for word in snake(text).split("_"))


def distinct(names: Sequence[str], kind: Callable[[str], str], taken: Sequence[str] = ()) -> dict[str, str]:
    """Name -> its snake-case name; those that would be the same, or are `taken`, end in their numbers."""
    plain = {name: snake(name) for name in names}
    # 'a_b' and 'ab' have one name in JSON where they differ by the underscore's place alone.
    seen = Counter(found.replace("_", "") for found in (*plain.values(), *taken))
    return {
        name: f"{found}_n{number_of(name, kind(name))}" if seen[found.replace("_", "")] > 1 else found
        for name, found in plain.items()
    }


def check_numbers(numbers: dict[str, int]) -> None:
    """Raises StubError where two have one number: of a hundred columns, once in a hundred thousand models."""
    by_number: dict[int, str] = {}
    for name, number in numbers.items():
        if number in by_number:
            raise StubError(f"'{by_number[number]}' and '{name}' would have one field number: rename one of them")
        by_number[number] = name


def package_of(model: str) -> str:
    """'word-language' -> 'argosy.models.word_language.v1'."""
    return f"{_PACKAGE}.{snake(model)}.v1"


def service_of(model: str) -> str:
    """'word-language' -> 'WordLanguageService'."""
    return f"{camel(model)}Service"


def path_of(model: str, method: str) -> str:
    """The method's path, which the model's name alone decides."""
    return f"/{package_of(model)}.{service_of(model)}/{method}"


def file_name(model: str) -> str:
    """Where the .proto lies below a folder of protos: its package as folders."""
    return f"{package_of(model).replace('.', '/')}/{snake(model)}.proto"
