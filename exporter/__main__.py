"""`python -m exporter`: convert a model of your own to ONNX, prove it equal to its source, publish it."""

import sys
import traceback
from collections.abc import Iterator, Sequence

from argosy.v1.manifest_pb2 import ModelManifest
from exporter.command_line import order_of, parse
from exporter.errors import ExportError
from exporter.judge import SHOWN
from exporter.own_model import export_and_report


def main(arguments: Sequence[str]) -> int:
    """Exit status: 0 published, 1 refused with one line on standard error, 2 wrong command line."""
    options = parse(arguments)
    try:
        exported = export_and_report(order_of(options), options.output)
    except ExportError as error:
        if options.traceback:
            traceback.print_exc()
        sys.stderr.write(f"not exported: {' '.join(str(error).split())}\n")
        return 1
    for line in _report(exported.manifest):
        sys.stderr.write(f"{line}\n")
    sys.stdout.write(f"{exported.folder}\n")
    return 0


def _report(manifest: ModelManifest) -> Iterator[str]:
    """What was proven, for a person: standard output has the folder alone, for a program."""
    for output in manifest.parity.outputs:
        yield (
            f"output '{output.output}': at most {output.worst_absolute_error:.2g} off"
            f" ({output.worst_relative_error:.2g} relative), {output.disagreeing_labels} rows with another class"
        )
    for kind in manifest.parity.kinds:
        yield f"  {kind.kind}: " + (kind.not_applicable or f"{kind.row_count} rows")
    for remedy in manifest.source.remedies:
        yield f"  mended: {remedy}"
    for guard in manifest.source.guards:
        yield f"  guarded: {guard}"
    for metric in manifest.metrics:
        if metric.name in SHOWN and not metric.label:
            spread = f" ± {metric.standard_deviation:.4f}" if metric.HasField("standard_deviation") else ""
            yield f"{metric.name} {metric.value:.4f}{spread} ({metric.split}, {metric.row_count} rows)"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
