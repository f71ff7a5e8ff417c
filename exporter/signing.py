"""A manifest's signature: who published a version, so that services can refuse what others did.

Ed25519 (RFC 8032) over the bytes of model.yaml, which has the digest of every other file. The signature lies in a file
of its own, base64, one line a key: a version can be signed again with the next key while services still ask for the
old one. It can be added to a version that is published; nothing that is signed ever changes. OpenSSL makes the keys:

    openssl genpkey -algorithm ed25519 -out key.pem && openssl pkey -in key.pem -pubout -out key.pub.pem
"""

import base64
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from exporter.errors import SigningError
from exporter.manifest import SIGNATURE_FILE
from exporter.partial_folder import partial_folder


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """The key in a PEM file. Raises SigningError where it is no plain ed25519 private key."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise SigningError(f"the key {path.name} cannot be read: {error.strerror}") from error
    except TypeError as error:
        raise SigningError(f"the key {path.name} has a password: give it without, openssl pkey -in … -out …") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SigningError(f"{path.name} is no private key in PEM: openssl genpkey -algorithm ed25519") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SigningError(f"{path.name} is a key of another kind: openssl genpkey -algorithm ed25519")
    return key


def signature_line(key: Ed25519PrivateKey, manifest: bytes) -> bytes:
    """A line of SIGNATURE_FILE for the bytes of a model.yaml."""
    return base64.b64encode(key.sign(manifest)) + b"\n"


def sign_version(folder: Path, manifest: bytes, key: Ed25519PrivateKey) -> bool:
    """Add the key's signature of `manifest`, the model.yaml that was found right, to a published version.

    False where it is there. Raises SigningError.
    """
    path = folder / SIGNATURE_FILE
    try:
        line = signature_line(key, manifest)
        before = path.read_bytes() if path.exists() else b""
        if line in before.splitlines(keepends=True):
            return False
        # Who is killed here leaves the version as it was.
        with partial_folder(folder.parents[1], folder.parent.name, folder.name) as partial:
            (partial / SIGNATURE_FILE).write_bytes(before + line)
            (partial / SIGNATURE_FILE).replace(path)
            partial.rmdir()
    except OSError as error:
        raise SigningError(f"{folder.parent.name}/{folder.name} cannot be signed: {error.strerror}") from error
    return True
