"""Whose models are served: the ed25519 public keys that the operator trusts, and whether one of them signed a manifest.

The exporter writes the signature beside the manifest, base64, one line a key (RFC 8032 over the manifest's bytes).
What is checked is the bytes that are then parsed, so that nobody can change them in between. serving.yaml is the
operator's own and not covered.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from services.runtime.errors import refused_load


class UnusableKeyError(Exception):
    """A file of the setting require_signature holds no ed25519 public key; the text is one line."""


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """At least one key."""

    keys: tuple[Ed25519PublicKey, ...]

    def check(self, manifest: bytes, signature_file: Path) -> None:
        """Raises ServingError (REFUSED_LOAD) unless one of the keys signed these bytes."""
        try:
            lines = signature_file.read_bytes().splitlines()
        except OSError:
            raise refused_load(
                "NOT_SIGNED", f"{signature_file.name}: missing; this service serves signed versions only"
            ) from None
        if not any(_is_signed(key, line, manifest) for line in lines for key in self.keys):
            raise refused_load(
                "SIGNATURE_WRONG", f"{signature_file.name}: no key that this service trusts has signed this manifest"
            )


def trusted_keys(files: Sequence[Path]) -> TrustedKeys | None:
    """The keys of PEM files; None for no files: then whatever is right is served. Raises UnusableKeyError."""
    return TrustedKeys(tuple(map(_read_key, files))) if files else None


def _read_key(file: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(file.read_bytes())
    except OSError as error:
        raise UnusableKeyError(f"require_signature: {file} cannot be read: {error.strerror}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableKeyError(f"require_signature: {file} holds no public key in PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise UnusableKeyError(f"require_signature: {file} holds a key of another kind: ed25519 is needed")
    return key


def _is_signed(key: Ed25519PublicKey, line: bytes, manifest: bytes) -> bool:
    try:
        key.verify(base64.b64decode(line, validate=True), manifest)
    except (InvalidSignature, binascii.Error):
        return False
    return True
