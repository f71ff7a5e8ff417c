"""Which class a right answer names, as it stands in data: a label, a number, or a place among the classes."""

from collections.abc import Sequence


def class_index(answer: object, labels: Sequence[str]) -> int | None:
    """The class whose label the answer is; whole numbers are the same with and without '.0'. None: it is no class.

    Where no label is a whole number, a whole number is the place of a class, from 0, as False and True are.
    """
    if str(answer) in labels:
        return labels.index(str(answer))
    written = _whole(str(int(answer) if isinstance(answer, bool) else answer))
    names = [_whole(label) for label in labels]
    if written in names:
        return names.index(written)
    is_place = written.isdecimal() and not any(name.removeprefix("-").isdecimal() for name in names)
    return int(written) if is_place and int(written) < len(labels) else None


def _whole(number: str) -> str:
    return number.removesuffix(".0")
