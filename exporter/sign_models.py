"""`python -m exporter.sign_models`: sign versions that are published, for services that are told to ask for it."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from exporter.errors import ExportError
from exporter.published import model_versions, read_published
from exporter.signing import read_private_key, sign_version

_EPILOG = """
a pair of keys, the first to sign with, the second for the services' setting require_signature:
  openssl genpkey -algorithm ed25519 -out key.pem && openssl pkey -in key.pem -pubout -out key.pub.pem
"""


def main(arguments: Sequence[str]) -> int:
    """Exit status: 0 signed, 1 refused with one line on standard error, 2 wrong command line."""
    options = _parse(arguments)
    try:
        key = read_private_key(options.key)
        for folder in model_versions(options.models_dir, options.model, options.model_version):
            published = read_published(folder)  # a signature vouches for every digest: they must be right
            added = sign_version(folder, published.manifest_bytes, key)
            sys.stdout.write(f"{folder}: {'signed' if added else 'has this signature already'}\n")
    except ExportError as error:
        sys.stderr.write(f"not signed: {error}\n")
        return 1
    return 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "argosy models sign",
        description="Sign the manifests of a model's published versions with ed25519. Files that are not what the"
        " manifest says are not signed.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", metavar="MODEL", help="the model's name")
    add("--key", type=Path, required=True, metavar="KEY.pem", help="an ed25519 private key, PEM without a password")
    add("--model-version", default="", metavar="N", help="this version alone; otherwise all of the model")
    add("--models-dir", type=Path, default=Path("models"), help="the models folder (models)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
