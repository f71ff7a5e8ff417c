"""`python -m exporter`: convert a model of your own to ONNX, prove it equal to its source, publish it."""

import argparse
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import yaml
from google.protobuf import json_format

from argosy.v1 import manifest_pb2 as pb
from exporter.apart import Limits
from exporter.arrays import Array, read_arrays
from exporter.errors import ExportError, ManifestError, SourceError
from exporter.optimise_model import add_steps, read_steps, taken_out
from exporter.own_model import Apart, Order, export
from exporter.parity import DEFAULT_TOLERANCE, Tolerance
from exporter.signing import read_private_key
from exporter.sniff import FRAMEWORKS

_EPILOG = """
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
  argosy export iris.joblib --trust-code --name iris --task tabular-classification \\
      --samples held_out.npz --describe iris.yaml
  argosy export net.keras --name shapes --task image-classification --samples held_out.npz --describe shapes.yaml
  argosy export my_package.networks:trained --trust-code --name mine --task text-embedding \\
      --samples held_out.npz --describe mine.yaml --file tokenizer.json
"""

_SAMPLES = (
    "rows to compare on, best ones that it was not trained on: an array [N, ...] an input, in the model's order, named"
    " as the inputs shall be named"
)
_PYTHON = "interpreter of another virtual environment that has the model's framework, its converter, numpy and onnx"
_RELATIVE = "and this share of the source's answer (%(default)s)"


def main(arguments: Sequence[str]) -> int:
    """Exit status: 0 published, 1 refused with one line on standard error, 2 wrong command line."""
    options = _parse(arguments)
    try:
        target = export(_order(options), options.output)
    except ExportError as error:
        if options.traceback:
            traceback.print_exc()
        sys.stderr.write(f"not exported: {error}\n")
        return 1
    sys.stdout.write(f"{target}\n")
    return 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "argosy export",
        description="Convert a trained model to ONNX, compare the graph with its source on rows that you give, and"
        " publish it as a new version. If the two do not answer alike, nothing is published.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    tasks = [_task_word(value) for value in pb.Task.values() if value]
    add = parser.add_argument
    add("source", metavar="SOURCE", help="a file or folder of a model, or an object package.module:name")
    add("--framework", choices=FRAMEWORKS, default="", help="what SOURCE is of; otherwise it is looked into")
    add("--name", help="name of the model: lower-case letters, digits and '-'")
    add("--task", choices=tasks, help="what the model can be asked for")
    add("--samples", type=Path, required=True, metavar="FILE.npz", help=_SAMPLES)
    add("--describe", type=Path, metavar="FILE.yaml", help="what the numbers mean, and preprocessing; see below")
    add("--file", type=Path, action="append", default=[], help="a further file of the version, like tokenizer.json")
    add("--output", "--models-dir", type=Path, default=Path("models"), help="the models folder (models)")
    add("--model-version", help="a positive integer; otherwise one more than the highest that is there")
    add("--trust-code", action="store_true", help="load pickles, modules and objects: they run the code in them")
    add("--one-row", action="store_true", help="the graph takes one row at a time, by nature")
    add("--absolute-tolerance", type=float, default=DEFAULT_TOLERANCE.absolute, help="allowed (%(default)s)")
    add("--relative-tolerance", type=float, default=DEFAULT_TOLERANCE.relative, help=_RELATIVE)
    add("--other-labels", type=int, default=0, metavar="N", help="rows that may have another likeliest class (0)")
    add("--python", default=sys.executable, metavar="FILE", help=_PYTHON)
    add("--timeout", type=float, default=Limits().timeout_s, metavar="SECONDS", help="for the conversion (%(default)g)")
    add("--memory", type=int, default=Limits().memory_mib, metavar="MIB", help="for the conversion (%(default)s)")
    add("--sign", type=Path, metavar="KEY.pem", help="sign the version with an ed25519 private key")
    add("--target", default="", metavar="NAME", help="the array of the samples that has the right answers, for figures")
    add_steps(parser)
    add("--traceback", action="store_true", help="show where an error came from")
    return parser.parse_args(arguments)


def _order(options: argparse.Namespace) -> Order:
    described = _described(options.describe)
    if options.name:
        described.name = options.name
    if options.task:
        del described.tasks[:]
        described.tasks.append(next(value for value in pb.Task.values() if _task_word(value) == options.task))
    if options.model_version:
        described.version = options.model_version
    samples = _samples(options.samples)
    truth = taken_out(samples, options.target) if options.target else None
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
        apart=Apart(Limits(options.timeout, options.memory), options.python, options.traceback),
    )


def _samples(path: Path) -> dict[str, Array]:
    samples = read_arrays(path)
    if not samples:
        raise SourceError(f"{path.name} has no arrays: one a model input is needed, named as the input shall be")
    return samples


def _described(path: Path | None) -> pb.ModelManifest:
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


def _task_word(value: pb.Task.ValueType) -> str:
    return pb.Task.Name(value).removeprefix("TASK_").lower().replace("_", "-")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
