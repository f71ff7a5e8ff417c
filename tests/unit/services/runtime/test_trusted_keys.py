"""Whose signature counts, over real gRPC: a version that nobody trusted signed is refused, the one before goes on."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.runtime.trusted_keys import TrustedKeys, UnusableKeyError, trusted_keys
from tests.unit.services.runtime.served import Served, refusal
from tests.unit.services.runtime.tiny import scaling_graph, write_version

OURS, NEXT, THEIRS = (Ed25519PrivateKey.generate() for _ in range(3))


def sign(folder: Path, *keys: Ed25519PrivateKey) -> None:
    manifest = (folder / "model.yaml").read_bytes()
    (folder / "model.yaml.sig").write_bytes(b"".join(base64.b64encode(key.sign(manifest)) + b"\n" for key in keys))


@pytest.fixture
def guarded(serve: Callable[..., Served]) -> Served:
    """Serves tiny/1, which doubles and which OURS signed, and trusts OURS and NEXT."""
    served = serve(trusted=TrustedKeys((OURS.public_key(), NEXT.public_key())))
    sign(write_version(served.models), OURS)
    served.repository.load("tiny")
    return served


def unsigned(folder: Path) -> None:
    pass


def signed_by_others(folder: Path) -> None:
    sign(folder, THEIRS)


def tampered(folder: Path) -> None:
    sign(folder, OURS)
    manifest = folder / "model.yaml"
    manifest.write_text(manifest.read_text() + "description: another\n")


def signature_of_another_version(folder: Path) -> None:
    (folder / "model.yaml.sig").write_bytes((folder.parent / "1" / "model.yaml.sig").read_bytes())


def no_base64(folder: Path) -> None:
    (folder / "model.yaml.sig").write_bytes(b"\xff not base64\n\n")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (unsigned, "NOT_SIGNED"),
        (signed_by_others, "SIGNATURE_WRONG"),
        (tampered, "SIGNATURE_WRONG"),
        (signature_of_another_version, "SIGNATURE_WRONG"),
        (no_base64, "SIGNATURE_WRONG"),
    ],
)
def test_a_version_that_no_trusted_key_signed_is_refused_and_the_one_before_goes_on(
    guarded: Served, fault: Callable[[Path], None], reason: str
) -> None:
    fault(write_version(guarded.models, version="2", graph=scaling_graph(10.0)))
    assert refusal(lambda: guarded.repository.load("tiny")) == reason
    assert guarded.infer((1, 2, 3)) == [[2, 4, 6]]


@pytest.mark.parametrize("keys", [(OURS,), (NEXT,), (THEIRS, NEXT)], ids=["first", "second", "among others"])
def test_a_version_that_one_trusted_key_signed_takes_over(guarded: Served, keys: tuple[Ed25519PrivateKey, ...]) -> None:
    sign(write_version(guarded.models, version="2", graph=scaling_graph(10.0)), *keys)
    guarded.repository.load("tiny")
    assert guarded.infer((1, 2, 3)) == [[10, 20, 30]]


def test_where_no_key_is_named_signatures_do_not_matter(serve: Callable[..., Served]) -> None:
    served = serve(trusted=trusted_keys(()))
    write_version(served.models)
    served.repository.load("tiny")
    assert served.infer((1, 2, 3)) == [[2, 4, 6]]


def public_pem(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read"),
        (b"no key", "holds no public key in PEM"),
        (public_pem(ec.generate_private_key(ec.SECP256R1())), "a key of another kind: ed25519"),
    ],
    ids=["absent", "text", "elliptic curve"],
)
def test_a_file_without_a_usable_key_is_named(tmp_path: Path, content: bytes | None, says: str) -> None:
    path = tmp_path / "key.pub.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnusableKeyError, match=f"require_signature: .*{says}"):
        trusted_keys([path])


def test_the_keys_of_all_files_count(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.pem", "b.pem")]
    for file, key in zip(files, (THEIRS, OURS), strict=True):
        file.write_bytes(public_pem(key))
    folder = write_version(tmp_path / "models")
    sign(folder, OURS)
    trusted = trusted_keys(files)
    assert trusted is not None
    trusted.check((folder / "model.yaml").read_bytes(), folder / "model.yaml.sig")  # raises where it is not signed
