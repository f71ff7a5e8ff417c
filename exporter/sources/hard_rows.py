"""Rows that a converter could get wrong: hard ones for every input, made from the samples or from what training knew.

Ordinary rows hide most of what converters do: zeros that come to mean "missing", a length that was frozen, a threshold
that float32 moved to the other side of a value, a category nobody had seen. Each kind is a set of its own, so that a
kind that the source itself cannot take is known as that. Every number is from one seeded generator: the same export
tries the same rows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from exporter.arrays import Array, Rows
from exporter.conversion import LONGEST
from exporter.errors import SourceError
from exporter.sources.inputs import Input
from exporter.sources.lengths import LONG, SHORT, in_other_sizes
from exporter.sources.padding import PAIRED

SAMPLES, ORDINARY = "samples", "ordinary"
_THRESHOLDS = "split thresholds"
_ROWS, _HARD_ROWS = 64, 32
_MOST_THRESHOLD_ROWS = 512
# Of a table those that change alone; the rest changes with others.
_MOST_COLUMNS = 512
_SEQUENCE, _SIDE = 8, 32
_LONG_TEXT = 3000
_WORDS_A_TEXT = 100
_WORDS = (
    *("the", "a", "Good", "BAD", "day", "weather", "not", "price", "2024", "don't", "really", "fine", "water", "house"),
    *(
        "Straße",
        "École",
        "café",
        "naïve",
        "İstanbul",
        "e\u0301t\u00e9",
        "日本語",
        "Привет",
        "ﬁne",
        "x-ray",
        "3.14",
        "@me",
    ),
)
_ODD_TEXTS = (
    *(
        "never seen before",
        "ÉCOLE STRASSE ẞ İI",
        "e\u0301 é",
        "😀 ok",
        "tab\tnew\nline",
        " lead and trail ",
        "a",
        "!?.",
    ),
    *("\u00a0nbsp\u3000wide", "UPPER lower", "a_b-c", "don't", "1,234.5", "ab\u200bcd", "ﬁ ﬂ", "null", "NaN", "[CLS]"),
)
_Change = Callable[[Input, Array], Array | None]


def row_sets(
    inputs: Sequence[Input], samples: Rows, lengths: Mapping[str, int] | None = None
) -> Iterator[tuple[str, dict[str, Array]]]:
    """(kind, rows): the samples or ordinary rows first, then one set a hard kind that the inputs have.

    `lengths` are the most tokens that an input will be given: the graph's name of it -> how many.
    """
    random = np.random.default_rng(0)
    base = dict(samples) or {entry.name: _ordinary(entry, random) for entry in inputs}
    yield SAMPLES if samples else ORDINARY, base
    head = {name: values[:_HARD_ROWS] for name, values in base.items()}
    for kind, change in _CHANGES.items():
        if changed := _changed(inputs, head, change):
            yield kind, _in_turn(inputs, head, change) if kind in _IN_TURN else head | changed
    if any(entry.thresholds for entry in inputs):
        yield _THRESHOLDS, _at_thresholds(inputs, base, random)
    yield from in_other_sizes(inputs, head, lengths or {})


def _ordinary(entry: Input, random: np.random.Generator) -> Array:
    usual = _SIDE if len(entry.shape) == 3 else _SEQUENCE
    shape = (_ROWS, *(size if isinstance(size, int) else usual for size in entry.shape))
    if entry.is_text:
        return _texts(entry, shape, random)
    dtype = np.dtype(entry.dtype)
    if dtype.kind == "f":
        centre, spread = np.array(entry.typical, np.float64).T
        return np.asarray(random.normal(size=shape) * spread + centre).astype(dtype)
    if dtype.kind == "b":
        return random.integers(0, 2, shape).astype(dtype)
    low, high = entry.whole_numbers or _whole_numbers(entry, dtype)
    return random.integers(low, high, shape, endpoint=True).astype(dtype)


def _whole_numbers(entry: Input, dtype: np.dtype[np.generic]) -> tuple[int, int]:
    if dtype.itemsize == 1:
        return int(np.iinfo(dtype.name).min), int(np.iinfo(dtype.name).max)
    raise SourceError(
        f"input '{entry.name}' takes whole numbers, and nothing tells which: state them, like"
        f" --range {entry.name}=0:999, or give --samples"
    )


def _texts(entry: Input, shape: tuple[int, ...], random: np.random.Generator) -> Array:
    count = int(np.prod(shape))
    if entry.categories and not entry.has_words and len(entry.categories) <= _MOST_THRESHOLD_ROWS:
        chosen = random.choice(np.array(entry.categories, object), count)
    else:
        known = entry.categories[:_MOST_THRESHOLD_ROWS]
        words = np.array([*_WORDS, *known, *_as_written(known if entry.has_words else ())], object)
        chosen = np.array([" ".join(random.choice(words, random.integers(1, 12))) for _ in range(count)], object)
    return chosen.reshape(shape)


def _as_written(words: Sequence[str]) -> Iterator[str]:
    """Words that training knew, as people write them: in capitals, with marks around them."""
    for position, word in enumerate(words):
        yield (word.upper(), word.capitalize(), f"({word}),", f"{word}!")[position % 4]


def _zeros(entry: Input, rows: Array) -> Array | None:
    if entry.is_text or rows.dtype.kind == "b":
        return None
    return np.full_like(rows, entry.whole_numbers[0] if entry.whole_numbers else 0)


def _negative(_: Input, rows: Array) -> Array | None:
    return np.negative(np.abs(rows.astype(np.float64))).astype(rows.dtype) if rows.dtype.kind == "f" else None


def _large(entry: Input, rows: Array) -> Array | None:
    if rows.dtype.kind == "f":
        return (rows.astype(np.float64) * entry.large).astype(rows.dtype)
    if rows.dtype.kind in "iu" and entry.whole_numbers:
        return np.full_like(rows, entry.whole_numbers[1])
    return None


def _missing(_: Input, rows: Array) -> Array | None:
    """Tables only."""
    return np.full_like(rows, np.nan) if rows.dtype.kind == "f" and rows.ndim <= 2 else None


def _unseen(entry: Input, rows: Array) -> Array | None:
    texts = np.array([*(_around(entry.categories) if entry.has_words else ()), *_ODD_TEXTS], object)
    return np.resize(texts, rows.shape) if entry.is_text else None


def _around(words: Sequence[str]) -> Iterator[str]:
    """Known words inside others, which a letter beyond ASCII must not end; and in capitals, which are no others."""
    chosen = words[:: len(words) // _WORDS_A_TEXT + 1]
    if chosen:
        yield " ".join(f"{word}é" for word in chosen)
        yield " ".join(f"é{word}" for word in chosen)
    if beyond := [word.upper() for word in words if not word.isascii()][:_WORDS_A_TEXT]:
        yield " ".join(beyond)


def _empty(entry: Input, rows: Array) -> Array | None:
    return np.full_like(rows, "") if entry.is_text else None


def _long(entry: Input, rows: Array) -> Array | None:
    if not entry.is_text:
        return None
    texts = [(f"{text} " * _LONG_TEXT)[:_LONG_TEXT] for text in rows[:4].reshape(-1)]
    return np.resize(np.array(texts, object), rows.shape)


_CHANGES: Mapping[str, _Change] = {
    "zeros": _zeros,
    "negative": _negative,
    "large": _large,
    "missing values": _missing,
    "unseen texts": _unseen,
    "empty texts": _empty,
    "long texts": _long,
}
# Every kind of hard rows that there is; those in pairs are made in `padding.py`.
KINDS = (*_CHANGES, _THRESHOLDS, SHORT, LONG, LONGEST, *PAIRED)
# Of these kinds, those that only columns of texts have.
OF_TEXTS = frozenset(("unseen texts", "empty texts", "long texts"))
# A row that changes everywhere hides what one column does to the others: these change one column a row.
_IN_TURN = frozenset(("missing values", *OF_TEXTS))


def _changed(inputs: Sequence[Input], rows: Rows, change: _Change) -> dict[str, Array]:
    """The inputs that have the kind."""
    found = {entry.name: change(entry, rows[entry.name]) for entry in inputs}
    return {name: values for name, values in found.items() if values is not None}


def _in_turn(inputs: Sequence[Input], head: Rows, change: _Change) -> dict[str, Array]:
    """One column after the other as it is changed, those of all inputs together, then half of them, then all."""
    widths = [head[name][0].size for name in _changed(inputs, head, change)]
    total = sum(widths)
    count = max(len(next(iter(head.values()))), min(total, _MOST_COLUMNS) + 2)
    rows = {name: np.resize(values, (count, *values.shape[1:])) for name, values in head.items()}
    changed = _changed(inputs, rows, change)
    chosen = np.arange(count)[:, None] % total == np.arange(total)
    chosen[-2:, ::2] = True
    chosen[-1:] = True
    parts = np.split(chosen, np.cumsum(widths)[:-1], axis=1)
    return rows | {
        name: np.where(part.reshape(values.shape), values, rows[name])
        for (name, values), part in zip(changed.items(), parts, strict=True)
    }


def _at_thresholds(inputs: Sequence[Input], base: Rows, random: np.random.Generator) -> dict[str, Array]:
    """Rows with one column at a threshold, and at the next number to either side of it."""
    places = [
        (entry.name, column, value)
        for entry in inputs
        for column, values in (entry.thresholds or {}).items()
        for value in values
    ]
    chosen = random.permutation(len(places))[: _MOST_THRESHOLD_ROWS // 3]
    rows = {name: np.resize(values, (3 * len(chosen), *values.shape[1:])).copy() for name, values in base.items()}
    for position, place in enumerate(chosen):
        name, column, value = places[int(place)]
        target = rows[name].reshape(len(rows[name]), -1)
        near = np.float32(value) if target.dtype == np.float32 else np.float64(value)
        below, above = np.nextafter(near, -np.inf, dtype=near.dtype), np.nextafter(near, np.inf, dtype=near.dtype)
        target[3 * position : 3 * position + 3, column] = (below, near, above)
    return rows
