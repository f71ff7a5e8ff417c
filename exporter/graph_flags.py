"""Flags of `argosy export` for what is in the graph besides SOURCE: what runs before it, what its outputs become."""

import argparse
import re
from collections.abc import Iterator, Mapping

from argosy.v1 import manifest_pb2 as pb
from exporter.added_outputs import AddedOutput, Kind
from exporter.errors import ManifestError
from exporter.normalisation import LAST_AXIS, Normalisation

_PREPROCESS = (
    "a source whose answers SOURCE reads, like a vectoriser or a pipeline of scalers: both become one graph that reads"
    " what this one reads; given more than once, they run in that order"
)
# What each step answers, and what for.
_ADDS: Mapping[Kind, tuple[str, str]] = {
    Kind.SOFTMAX: ("probabilities", "add probabilities: the softmax of logits [N, classes]"),
    Kind.SIGMOID: ("probabilities", "the same of the one logit [N, 1] of a yes or no, for both classes"),
    Kind.COMPLEMENT: ("probabilities", "the same of the probability [N, 1] of the second of two classes"),
    Kind.ARGMAX: ("label", "add the label of the likeliest class; its index without --labels"),
}
_ADDED = re.compile(r"(?:([A-Za-z][\w.\-]*)=)?([A-Za-z][\w.\-]*)")


def add_to_graph(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--preprocess", action="append", default=[], metavar="SOURCE", help=_PREPROCESS)
    add("--scale", type=float, metavar="X", help="the graph scales its input: (given * scale - mean) / std")
    add("--mean", type=_numbers, metavar="A,B,C", help="one number for all, or one a channel or column")
    add("--std", type=_numbers, metavar="A,B,C", help="as --mean")
    for kind, (name, told) in _ADDS.items():
        help_text = f"{told}; by the name '{name}' unless one is given"
        add(f"--{kind}", action="append", default=[], metavar="[NAME=]OUTPUT", help=help_text)


def read_normalisation(options: argparse.Namespace, described: pb.ModelManifest) -> Normalisation | None:
    """What the flags say; None where they say nothing. Raises ManifestError where the service would do it as well."""
    if options.scale is None and options.mean is None and options.std is None:
        return None
    image = described.image
    if image.scale not in {0, 1} or image.mean or image.std:
        raise ManifestError(
            "scale, mean and std are in the description's image as well, where the service does them: leave them out of"
            " one of the two"
        )
    return Normalisation(
        scale=1.0 if options.scale is None else options.scale,
        mean=options.mean or (0.0,),
        std=options.std or (1.0,),
        axis=1 if image.layout == pb.IMAGE_LAYOUT_NCHW else LAST_AXIS,
    )


def read_added(options: argparse.Namespace) -> Iterator[AddedOutput]:
    """Raises ManifestError where a flag names no output."""
    for kind, (usual, _) in _ADDS.items():
        for text in getattr(options, kind):
            found = _ADDED.fullmatch(text)
            if found is None:
                raise ManifestError(f"--{kind} {text}: OUTPUT or NAME=OUTPUT is needed, like --{kind} logits")
            yield AddedOutput(kind, of=found[2], name=found[1] or usual)


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(map(float, text.split(",")))
