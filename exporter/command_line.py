"""The flags of `argosy export`, and the order that they make: what a file cannot tell, a flag or a description does."""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml
from google.protobuf import json_format

from argosy.v1 import manifest_pb2 as pb
from exporter.apart import Apart, Limits
from exporter.arrays import Array, read_arrays
from exporter.chain import Part
from exporter.errors import ManifestError, SourceError
from exporter.found_out import DTYPES
from exporter.graph_flags import add_to_graph, read_added, read_normalisation
from exporter.optimise_model import ABSOLUTE, add_steps, read_steps, taken_out
from exporter.own_model import Order
from exporter.parity import DEFAULT_TOLERANCE, Tolerance
from exporter.settings import read_environments
from exporter.signing import read_private_key
from exporter.sniff import FRAMEWORKS, kind_of
from exporter.sources.hard_rows import KINDS

_EPILOG = """
SOURCE is told apart by what it holds: Keras .keras or .h5, a TensorFlow SavedModel folder, a TF.js graph model, TFLite,
TorchScript, a .pt2 of torch.export, a pickle of scikit-learn, XGBoost, LightGBM or PyTorch, XGBoost's .json or .ubj,
LightGBM's text, ONNX, or an object of yours. Pickles, .pt2 and objects run code: --trust-code.

the description is a YAML file with the fields of argosy.v1.ModelManifest that no file can tell, for instance:

  description: Which flower an iris is.
  licence: MIT
  inputs:  [{name: features, meaning: four measurements of a flower, unit: cm}]
  outputs: [{name: probabilities, meaning: probability of each species, role: OUTPUT_ROLE_PROBABILITIES}]
  labels:  [setosa, versicolor, virginica]
  table:
    columns:
    - {name: sepal length, kind: COLUMN_KIND_NUMBER, input: features, index: 0, missing: MISSING_POLICY_REJECT}

examples:
  argosy export trees.ubj --name churn --task tabular-classification --labels stays,leaves
  argosy export iris.joblib --trust-code --name iris --task tabular-classification --columns sepal,petal,w,h
  argosy export churn.joblib --trust-code --name churn --task tabular-classification --samples rows.npz --target left \\
      --folds 5
  argosy export net.keras --name shapes --task image-classification --samples held_out.npz --describe shapes.yaml
  argosy export my_package.networks:trained --trust-code --name mine --task text-embedding \\
      --input 'ids=int64[batch,tokens]' --range ids=0:29999 --describe mine.yaml --file tokenizer.json
"""

_SAMPLES = (
    "rows to compare on, best ones that it was not trained on: an array [N, ...] an input, in the model's order, named"
    " as the inputs shall be; without, rows are made"
)
_INPUT = "an input in the model's order, like ids=int64[batch,tokens] or x=float32[batch,10]; a word varies"
_PYTHON = "interpreter of another virtual environment that has the model's framework, its converter, numpy and onnx"
_FOLDS = (
    "fit the model anew without each of K parts of the samples, export it, judge it on that part: mean ± standard"
    " deviation of the figures; scikit-learn and the scikit-learn classes of XGBoost and LightGBM, with --target"
)
_WITHOUT = f"leave a kind of hard rows out: {', '.join(KINDS)}"
_SETTINGS = "a virtual environment a framework, by its environments; else exporter.yaml, if it is here"
_RELATIVE = "and this share of the source's answer (%(default)s)"
_STATED_INPUT = re.compile(r"([A-Za-z][\w.\-]*)(?:=(\w+)\[(\w+(?:,\w+)*)\])?")
_STATED_RANGE = re.compile(r"([A-Za-z][\w.\-]*)=(-?\d+):(-?\d+)")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """--help and a wrong command line raise SystemExit."""
    parser = argparse.ArgumentParser(
        "argosy export",
        description="Convert a trained model to ONNX, compare the graph with its source on hard rows and on yours, and"
        " publish it as a new version. If the two do not answer alike, nothing is published.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("source", metavar="SOURCE", help="a file or folder of a model, or an object package.module:name")
    add("--framework", choices=FRAMEWORKS, default="", help="what SOURCE is of; otherwise it is looked into")
    add("--name", help="name of the model: lower-case letters, digits and '-'")
    add("--task", choices=[_task_word(value) for value in pb.Task.values() if value], help="what it can be asked for")
    _add_what_it_reads(parser)
    add_to_graph(parser)
    add("--file", type=Path, action="append", default=[], help="a further file of the version, like tokenizer.json")
    add("--output", "--models-dir", type=Path, default=Path("models"), help="the models folder (models)")
    add("--model-version", help="a positive integer; otherwise one more than the highest that is there")
    add("--sign", type=Path, metavar="KEY.pem", help="sign the version with an ed25519 private key")
    _add_how_it_is_compared(parser)
    add_steps(parser)
    _add_how_it_runs(parser)
    options = parser.parse_args(arguments)
    if options.folds and (options.preprocess or options.scale or options.mean or options.std):
        parser.error("--folds fits SOURCE alone: what scales or precedes it has to be in SOURCE")
    if options.folds and not options.target:
        parser.error("--folds needs the right answers: --target names their array in the samples")
    if options.target and not options.samples:
        parser.error("--target names an array of --samples")
    return options


def _add_what_it_reads(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--describe", type=Path, metavar="FILE.yaml", help="what the numbers mean, and preprocessing; see below")
    add("--input", action="append", default=[], metavar="NAME=DTYPE[SIZES]", help=_INPUT)
    add("--range", action="append", default=[], metavar="NAME=LOW:HIGH", help="the whole numbers that an input takes")
    add("--labels", type=_words, default=[], metavar="A,B,C", help="the classes, in the order of the output")
    add("--columns", type=_words, default=[], metavar="A,B,C", help="the columns of a table, in the model's order")
    add("--one-row", action="store_true", help="the graph takes one row at a time, by nature")


def _add_how_it_is_compared(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--samples", type=Path, metavar="FILE.npz", help=_SAMPLES)
    add("--without", action="append", default=[], choices=KINDS, metavar="KIND", help=_WITHOUT)
    add("--absolute-tolerance", type=float, help=ABSOLUTE)
    add("--relative-tolerance", type=float, default=DEFAULT_TOLERANCE.relative, help=_RELATIVE)
    add("--other-labels", type=int, default=0, metavar="N", help="rows that may have another likeliest class (0)")
    add("--target", default="", metavar="NAME", help="the array of the samples that has the right answers, for figures")
    add("--folds", type=int, default=0, metavar="K", help=_FOLDS)


def _add_how_it_runs(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--trust-code", action="store_true", help="load pickles, modules and objects: they run the code in them")
    add("--import", dest="imports", action="append", default=[], metavar="MODULE", help="registers your own layers")
    add("--python", default="", metavar="FILE", help=_PYTHON)
    add("--settings", type=Path, metavar="FILE.yaml", help=_SETTINGS)
    add("--timeout", type=float, default=Limits().timeout_s, metavar="SECONDS", help="for the conversion (%(default)g)")
    add("--memory", type=int, default=Limits().memory_mib, metavar="MIB", help="for the conversion (%(default)s)")
    add("--traceback", action="store_true", help="show where an error came from")


def order_of(options: argparse.Namespace) -> Order:
    """Raises ManifestError or SourceError where a file or a flag says nothing that can be understood."""
    if options.imports and not options.trust_code:
        raise SourceError("--import runs the code of a module: say --trust-code if it is yours")
    samples = {} if options.samples is None else _samples(options.samples)
    truth = taken_out(samples, options.target) if options.target else None
    described, interpreter = _described(options), _interpreters(options)
    return Order(
        source=options.source,
        described=described,
        samples=samples,
        files={path.name: _read(path) for path in options.file},
        tolerance=Tolerance(options.absolute_tolerance, options.relative_tolerance, options.other_labels),
        trust_code=options.trust_code,
        one_row_at_a_time=options.one_row,
        framework=options.framework,
        key=read_private_key(options.sign) if options.sign else None,
        steps=read_steps(options),
        truth=truth,
        folds=options.folds,
        unlabelled=options.unlabelled,
        apart=Apart(Limits(options.timeout, options.memory), interpreter(options.source), options.traceback),
        ranges=dict(map(_range, options.range)),
        columns=tuple(options.columns),
        imports=tuple(options.imports),
        without=tuple(options.without),
        preprocess=tuple(Part(source, interpreter(source)) for source in options.preprocess),
        normalisation=read_normalisation(options, described),
        added=tuple(read_added(options)),
    )


def _interpreters(options: argparse.Namespace) -> Callable[[str], str]:
    """Of a source the one that is named; else, of the framework that is named or seen, that of the settings."""
    environments = read_environments(options.settings)

    def interpreter(source: str) -> str:
        if options.python:
            return str(options.python)
        named = options.framework if source == options.source else ""
        return environments.get(named or kind_of(source).framework, sys.executable)

    return interpreter


def _described(options: argparse.Namespace) -> pb.ModelManifest:
    described = _read_description(options.describe)
    if options.name:
        described.name = options.name
    if options.task:
        del described.tasks[:]
        described.tasks.append(next(value for value in pb.Task.values() if _task_word(value) == options.task))
    if options.model_version:
        described.version = options.model_version
    if options.labels:
        del described.labels[:]
        described.labels.extend(options.labels)
    for text in options.input:
        _state_input(described, text)
    return described


def _state_input(described: pb.ModelManifest, text: str) -> None:
    found = _STATED_INPUT.fullmatch(text)
    if found is None or (found[2] and (found[2] not in DTYPES or found[3].split(",")[0] != "batch")):
        raise ManifestError(
            f"--input {text}: NAME or NAME=DTYPE[batch,SIZES] is needed, DTYPE one of {', '.join(DTYPES)}"
        )
    spec = next((spec for spec in described.inputs if spec.name == found[1]), None) or described.inputs.add()
    spec.name = found[1]
    if found[2]:
        spec.data_type = DTYPES[found[2]]
        sizes = found[3].split(",")[1:]
        spec.shape[:] = [-1, *(int(size) if size.isdecimal() else -1 for size in sizes)]


def _range(text: str) -> tuple[str, tuple[int, int]]:
    found = _STATED_RANGE.fullmatch(text)
    if found is None:
        raise ManifestError(f"--range {text}: NAME=LOW:HIGH is needed, like ids=0:999")
    return found[1], (int(found[2]), int(found[3]))


def _samples(path: Path) -> dict[str, Array]:
    samples = read_arrays(path)
    if not samples:
        raise SourceError(f"{path.name} has no arrays: one a model input is needed, named as the input shall be")
    return samples


def _read_description(path: Path | None) -> pb.ModelManifest:
    if path is None:
        return pb.ModelManifest()
    try:
        return json_format.ParseDict(yaml.safe_load(_read(path)) or {}, pb.ModelManifest())
    except (yaml.YAMLError, json_format.ParseError, TypeError, AttributeError) as error:
        raise ManifestError(f"{path.name}: {' '.join(str(error).split())[:300]}") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ManifestError(f"{path} cannot be read: {error.strerror}") from error


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]


def _task_word(value: pb.Task.ValueType) -> str:
    return pb.Task.Name(value).removeprefix("TASK_").lower().replace("_", "-")
