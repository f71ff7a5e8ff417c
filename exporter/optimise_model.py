"""`python -m exporter.optimise_model`: fp16, int8 and ONNX Runtime's optimisation of a published version, proven."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from exporter.arrays import Array, read_arrays
from exporter.errors import ExportError, ManifestError
from exporter.judge import SHOWN
from exporter.optimise import Optimised, OptimiseOrder, optimise
from exporter.parity import DEFAULT_TOLERANCE, USUAL_ABSOLUTE, Tolerance
from exporter.published import model_versions, newest
from exporter.signing import read_private_key
from exporter.steps import Steps

ABSOLUTE = (
    f"allowed ({USUAL_ABSOLUTE:g}, less of an output without classes of which no number is above 0.1: a ten-thousandth"
    " of its largest)"
)
_EPILOG = """
examples:
  argosy optimise digits --int8 --calibrate some.npz --samples test.npz --target digit \\
      --absolute-tolerance 0.8 --other-labels 50
  argosy optimise minilm --int8 --absolute-tolerance 0.7
  argosy optimise mobilenet --optimise
"""


def main(arguments: Sequence[str]) -> int:
    """Exit status: 0 published, 1 refused with one line on standard error, 2 wrong command line."""
    options = _parse(arguments)
    logging.disable(logging.WARNING)  # the quantiser's advice is for those who call it
    try:
        done = optimise(_order(options), options.models_dir)
    except ExportError as error:
        sys.stderr.write(f"not optimised: {error}\n")
        return 1
    Console(width=None if sys.stdout.isatty() else 100).print(_table(done))
    sys.stdout.write(f"{done.folder}\n")
    return 0


def add_steps(parser: argparse.ArgumentParser) -> None:
    """The flags that `argosy export` has as well."""
    add = parser.add_argument
    add("--fp16", action="store_true", help="weights and computation in 16 bits; inputs and outputs stay as they are")
    add("--int8", action="store_true", help="matrix products in 8 bits, row by row; with --calibrate convolutions too")
    add("--calibrate", type=Path, metavar="FILE.npz", help="rows that int8 is calibrated on: not those it is judged by")
    add("--opset", type=int, default=0, metavar="N", help="bring the graph to this version of ONNX's operators")
    add("--optimise", action="store_true", help="ONNX Runtime's offline optimisation of the graph")
    add("--unlabelled", action="store_true", help="no rows with right answers exist: nothing to judge the steps by")


def read_steps(options: argparse.Namespace) -> Steps:
    """Raises SourceError where the calibration rows cannot be read."""
    calibration = read_arrays(options.calibrate) if options.calibrate else None
    return Steps(options.opset, options.optimise, options.fp16, options.int8, calibration)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "argosy optimise",
        description="Make a published version smaller or faster. What comes out is compared with the source's kept"
        " answers, and with the version's own on rows that you give; over the tolerance, nothing is published.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", metavar="MODEL", help="the model's name")
    add("--model-version", default="", metavar="N", help="the version to begin with; otherwise the newest")
    add_steps(parser)
    add("--samples", type=Path, metavar="FILE.npz", help="further rows to compare on, an array an input")
    add("--target", default="", metavar="NAME", help="the array of the samples that has the right answers")
    add("--absolute-tolerance", type=float, help=ABSOLUTE)
    add("--relative-tolerance", type=float, default=DEFAULT_TOLERANCE.relative, help="and of the answer (%(default)s)")
    add("--other-labels", type=int, default=0, metavar="N", help="rows that may have another likeliest class (0)")
    add("--models-dir", type=Path, default=Path("models"), help="the models folder (models)")
    add("--sign", type=Path, metavar="KEY.pem", help="sign the version with an ed25519 private key")
    options = parser.parse_args(arguments)
    if not (options.fp16 or options.int8 or options.opset or options.optimise):
        parser.error("ask for --fp16, --int8, --opset or --optimise")
    if options.target and not options.samples:
        parser.error("--target names an array of --samples")
    return options


def _order(options: argparse.Namespace) -> OptimiseOrder:
    if options.model_version:
        folder = model_versions(options.models_dir, options.model, options.model_version)[0]
    else:
        folder = newest(options.models_dir, options.model)
    samples = read_arrays(options.samples) if options.samples else None
    truth = taken_out(samples, options.target) if samples is not None and options.target else None
    return OptimiseOrder(
        folder=folder,
        steps=read_steps(options),
        tolerance=Tolerance(options.absolute_tolerance, options.relative_tolerance, options.other_labels),
        samples=samples,
        truth=truth,
        unlabelled=options.unlabelled,
        key=read_private_key(options.sign) if options.sign else None,
    )


def taken_out(samples: dict[str, Array], target: str) -> Array:
    """The array of right answers, which is no input. Raises ManifestError where there is none of the name."""
    if target not in samples:
        raise ManifestError(f"the samples have no array '{target}' of right answers: they have {', '.join(samples)}")
    return samples.pop(target)


def _table(done: Optimised) -> Table:
    made = done.manifest.optimisation
    table = Table("", f"version {made.from_version}", f"version {done.manifest.version}", title=", ".join(made.steps))
    table.add_row("size", f"{made.size_bytes_before:,} bytes", f"{made.size_bytes_after:,} bytes")
    table.add_row("time of one row", "1", f"{made.latency_ratio:.2f}")
    after = {metric.name: metric for metric in done.manifest.metrics if not metric.label}
    for metric in made.metrics_before:
        if metric.name in SHOWN and not metric.label:
            table.add_row(metric.name, f"{metric.value:.4f}", f"{after[metric.name].value:.4f}")
    if made.unjudged:
        table.add_row("figures", "", f"none: {made.unjudged}")
    for output in done.manifest.parity.outputs:
        of_rows = f"{output.disagreeing_labels} of {done.manifest.parity.row_count} rows another class"
        table.add_row(f"parity of {output.output}", "", f"off by at most {output.worst_absolute_error:.2g}; {of_rows}")
    return table


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
