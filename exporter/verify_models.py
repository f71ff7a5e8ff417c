"""`python -m exporter.verify_models`: a models folder looked through, every digest and every parity again."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from exporter.errors import ExportError
from exporter.published import model_versions
from exporter.recheck import Finding, recheck

# Columns of output that goes into a file, so that the table's cells are not broken.
_LOG_WIDTH = 140


def main(arguments: Sequence[str]) -> int:
    """Exit status: 0 where every version is right, 1 where one is not or there is none, 2 for a wrong command line."""
    options = _parse(arguments)
    try:
        folders = model_versions(options.models_dir, options.model, options.model_version)
    except ExportError as error:
        sys.stderr.write(f"not verified: {error}\n")
        return 1
    findings = [recheck(folder) for folder in folders]
    Console(width=None if sys.stdout.isatty() else _LOG_WIDTH).print(_table(findings))
    for finding in findings:
        if finding.failure:
            sys.stderr.write(f"{finding.model} version {finding.version}: {finding.failure}\n")
    return 1 if any(finding.failure for finding in findings) else 0


def _table(findings: Sequence[Finding]) -> Table:
    table = Table("model", "version", "files", "parity again", "worst absolute error")
    for finding in findings:
        report = finding.parity
        if finding.failure:
            table.add_row(finding.model, finding.version, "", "[red]not right[/red]", "")
        elif report is None:
            table.add_row(finding.model, finding.version, f"{finding.file_count} right", "no rows were kept", "")
        else:
            worst = max(output.worst_absolute_error for output in report.outputs)
            rows = f"passed, {report.row_count} rows"
            table.add_row(finding.model, finding.version, f"{finding.file_count} right", rows, f"{worst:.1e}")
    return table


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "argosy models verify",
        description="Compare every file of the published versions with its digest, and run each graph again on the rows"
        " that were kept, against the answers that the source gave to them. Neither source nor framework is needed.",
    )
    add = parser.add_argument
    add("model", nargs="?", default="", metavar="MODEL", help="this model alone; otherwise all")
    add("--model-version", default="", metavar="N", help="this version alone")
    add("--models-dir", type=Path, default=Path("models"), help="the models folder (models)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
