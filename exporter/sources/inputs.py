"""What a model reads, as far as its framework, the user's samples and the user's own statement can tell.

Three may know: the samples have names, dtypes and sizes; the user may have stated a tensor; the framework knows what
was trained. `resolve` puts them together, and what nobody knows is asked for by the flag that would tell it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from exporter.arrays import Array, Rows
from exporter.conversion import Stated
from exporter.errors import SourceError
from exporter.normalisation import Normalisation

TEXT = "text"
# A number is fixed, a name varies.
Shape: TypeAlias = tuple[int | str, ...]

_LOST = (
    "the source reads float64 and the graph float32, which does not hold the samples: train on numbers of fewer digits,"
    " like seconds since the first one"
)
_MADE_UP = re.compile(r"(keras_tensor|input_layer|input_?\d|args?_\d|serving_default|inputs?$|x$|X$|unk__|tensor)")


@dataclass(frozen=True, slots=True)
class Input:
    """One tensor that a model reads. `shape` is without the batch; `name` is the source's own, or empty."""

    name: str
    dtype: str
    shape: Shape = ()
    # The texts that training knew; others are unseen.
    categories: tuple[str, ...] = ()
    # Whether these are words, of which a text has several.
    has_words: bool = False
    # Smallest and largest whole number that it may hold.
    whole_numbers: tuple[int, int] | None = None
    # Where a tree splits a column: column -> thresholds.
    thresholds: Mapping[int, tuple[float, ...]] | None = None
    # Where a column's values lie: centre and spread, one a column or one for all.
    typical: tuple[tuple[float, float], ...] = ((0.0, 1.0),)
    # How many times as large as a typical value a hard one is.
    large: float = 10.0

    @property
    def is_text(self) -> bool:
        return self.dtype == TEXT

    @property
    def dynamic_axes(self) -> dict[int, str]:
        """The axes of the whole tensor, batch not counted, that vary: axis -> name."""
        return {axis: size for axis, size in enumerate(self.shape, 1) if isinstance(size, str)}


def resolve(
    own: Sequence[Input] | None, stated: Sequence[Stated], ranges: Mapping[str, tuple[int, int]], samples: Rows
) -> list[Input]:
    """The inputs in the model's order, each with a name and a dtype.

    `own` is what the framework knows; None: a function that takes what it is given. Raises SourceError that asks for
    what is missing.
    """
    names = _names(own, stated, samples)
    known = {statement.name: statement for statement in stated}
    resolved = []
    for position, name in enumerate(names):
        base = own[position] if own is not None else _unknown(name, known.get(name), samples)
        base = replace(base, name=name, whole_numbers=ranges.get(name, base.whole_numbers))
        if name in samples:
            base = _with_samples(base, samples[name])
        resolved.append(_with_statement(base, known.get(name), is_open=own is None))
    return resolved


def with_typical(inputs: Sequence[Input], given: Normalisation) -> list[Input]:
    """The one input with where its numbers lie. Raises SourceError where there is not one, of numbers that fit."""
    if len(inputs) != 1 or not inputs[0].dtype.startswith("float"):
        told = ", ".join(f"{entry.name}: {entry.dtype}" for entry in inputs)
        raise SourceError(f"--scale, --mean and --std are for a model of one input of fractions: it reads {told}")
    given.check(inputs[0].name, inputs[0].shape)
    return [replace(inputs[0], typical=given.typical())]


def as_declared(values: Array, given: Input) -> Array:
    """Samples in the dtype of the input. Raises SourceError where whole numbers would become others.

    Fractions are rounded to those of the input: what that costs shows where the source is asked them as they are.
    """
    if given.is_text or values.dtype.kind in "OUS" or str(values.dtype) == given.dtype:
        return values
    with np.errstate(invalid="ignore"):
        declared = values.astype(given.dtype)
    if declared.dtype.kind in "iub" and not np.array_equal(declared, values):
        other = values[declared != values][0]
        raise SourceError(
            f"the samples of '{given.name}' hold {other}, the model reads {given.dtype}, which does not: give samples"
            " that it holds"
        )
    return declared


def lost_of(given: Rows, declared: Rows) -> tuple[str, ...]:
    """What may be wrong where the source is asked other numbers than those that its graph can read."""
    same = all(
        values is given[name] or np.array_equal(values, given[name], equal_nan=True)
        for name, values in declared.items()
    )
    return () if same else (_LOST,)


def _names(own: Sequence[Input] | None, stated: Sequence[Stated], samples: Rows) -> list[str]:
    count = len(own) if own is not None else None
    given = list(samples) or [statement.name for statement in stated]
    if given and count in {None, len(given)}:
        own_names = [] if own is None else [entry.name for entry in own]
        return own_names if set(own_names) == set(given) else given
    if given:
        raise SourceError(
            f"the model has {count} input(s){_listed(own)}, {'samples' if samples else 'descriptions'} are of"
            f" {len(given)}: {', '.join(given)}"
        )
    if own is None:
        raise SourceError(
            "the model does not tell what it reads: give --samples, or state each input in the model's order, like"
            " --input 'image=float32[batch,3,224,224]' or --input 'ids=int64[batch,tokens]'"
        )
    return _own_names(own)


def _own_names(own: Sequence[Input]) -> list[str]:
    names = [entry.name for entry in own]
    nameless = [name for name in names if not name or _MADE_UP.match(name)]
    if nameless and len(own) > 1:
        raise SourceError(
            f"input '{nameless[0]}' has a name that a framework made up: name the {len(own)} inputs"
            " in the model's order, with --input NAME each"
        )
    if nameless:
        return ["text" if own[0].is_text else "features" if len(own[0].shape) == 1 else "input"]
    return names


def _unknown(name: str, statement: Stated | None, samples: Rows) -> Input:
    if name in samples:
        values = samples[name]
        return Input(name, TEXT if values.dtype.kind in "OUS" else str(values.dtype), values.shape[1:])
    if statement is None or not statement.dtype or statement.shape is None:
        raise SourceError(f"input '{name}' needs a dtype and a shape: --input '{name}=float32[batch,10]'")
    return Input(name, statement.dtype, statement.shape)


def _with_statement(base: Input, statement: Stated | None, *, is_open: bool) -> Input:
    """The dimensions that the user states as varying do; a framework that knows better is believed."""
    if statement is None or statement.shape is None:
        return base
    for axis, (own, said) in enumerate(zip(base.shape, statement.shape, strict=False), 1):
        if said == -1 and isinstance(own, int) and not is_open:
            raise SourceError(
                f"input '{base.name}' is frozen at {own} in dimension {axis}: make it dynamic where the source is saved"
                " (torch.export freezes the length of recurrent layers: give the module or a TorchScript file instead)"
            )
    shape = statement.shape if is_open else base.shape
    return replace(base, shape=tuple(f"axis_{axis}" if size == -1 else size for axis, size in enumerate(shape, 1)))


def _with_samples(base: Input, samples: Array) -> Input:
    if samples.dtype.kind in "OUS" and not base.is_text:
        raise SourceError(f"the samples of '{base.name}' are texts, the model reads {base.dtype}")
    if samples.dtype.kind not in "OUS" and base.is_text:
        raise SourceError(f"the samples of '{base.name}' are {samples.dtype}, the model reads texts")
    fixed = [(axis, size) for axis, size in enumerate(base.shape, 1) if isinstance(size, int)]
    if base.shape and (samples.ndim != len(base.shape) + 1 or any(samples.shape[axis] != size for axis, size in fixed)):
        raise SourceError(
            f"the samples of '{base.name}' have shape {list(samples.shape)}, the model reads [N, {_told(base)}]"
        )
    if samples.dtype.kind in "iu" and base.whole_numbers is None and samples.size:
        return replace(base, whole_numbers=(int(samples.min()), int(samples.max())))
    return base


def _told(entry: Input) -> str:
    return ", ".join(str(size) for size in entry.shape)


def _listed(own: Sequence[Input] | None) -> str:
    return f" ({', '.join(entry.name for entry in own)})" if own else ""
