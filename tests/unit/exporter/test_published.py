"""`argosy models verify` and `sign`: what a person sees of a models folder that is right, and of one that is not."""

import base64
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from exporter import sign_models, verify_models
from exporter.errors import SourceError
from exporter.manifest import from_yaml, to_yaml
from exporter.onnx_file import of_bytes
from exporter.parity_rows import PARITY_FILE, Comparison, kept
from exporter.publish import publish
from exporter.published import read_published
from exporter.signing import read_private_key, sign_version


@pytest.fixture
def models(tiny, tmp_path: Path) -> Path:
    """A folder with tiny/1, its rows kept, and tiny/2 from before rows were kept."""
    rows = kept([Comparison({"features": tiny.rows}, {"probabilities": tiny.reference()})])
    publish(tiny.draft(), tiny.graph(), {PARITY_FILE: rows}, tmp_path / "models")
    second = tiny.draft()
    second.version = "2"
    publish(second, tiny.graph(), {}, tmp_path / "models")
    return tmp_path / "models"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key.pem"
    path.write_bytes(pem(Ed25519PrivateKey.generate()))
    return path


def pem(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey, password: bytes = b"") -> bytes:
    hiding = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hiding)


def verified(models: Path, *more: str) -> int:
    return verify_models.main(["--models-dir", str(models), *more])


def signed(models: Path, key: Path, *more: str) -> int:
    return sign_models.main(["tiny", "--key", str(key), "--models-dir", str(models), *more])


def test_a_right_folder_is_found_right(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verified(models) == 0
    out = capsys.readouterr().out
    assert "passed, 40 rows" in out
    assert "no rows were kept" in out


def changed_graph(folder: Path) -> None:
    graph = folder / "model.onnx"
    graph.write_bytes(graph.read_bytes() + b"\0")


def other_answers(folder: Path) -> None:
    """The digests are right, and the graph does not say what the source said."""
    manifest = from_yaml((folder / "model.yaml").read_text())
    rows = folder / PARITY_FILE
    from exporter.manifest import digests
    from exporter.parity_rows import read

    (comparison,) = read(rows.read_bytes())
    answers = comparison.reference["probabilities"][:, ::-1]
    rows.write_bytes(kept([Comparison(comparison.rows, {"probabilities": answers})]))
    contents = {path: (folder / path).read_bytes() for path in ("model.onnx", PARITY_FILE)}
    del manifest.files[:]
    manifest.files.extend(digests(contents))
    (folder / "model.yaml").write_text(to_yaml(manifest))


def missing_file(folder: Path) -> None:
    (folder / PARITY_FILE).unlink()


def added_file(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")


def other_manifest(folder: Path) -> None:
    (folder / "model.yaml").write_text((folder.parent / "2" / "model.yaml").read_text())


def path_by_its_parent(folder: Path) -> None:
    """Within the folder as the path goes, and elsewhere where the files are laid out anew."""
    listing(folder, "../1/parity.npz")


def listing(folder: Path, path: str) -> None:
    """The manifest lists its rows under another path."""
    manifest = from_yaml((folder / "model.yaml").read_text())
    (rows,) = (listed for listed in manifest.files if listed.path == PARITY_FILE)
    rows.path = path
    (folder / "model.yaml").write_text(to_yaml(manifest))


def no_graph(folder: Path) -> None:
    manifest = from_yaml((folder / "model.yaml").read_text())
    (graph,) = (listed for listed in manifest.files if listed.path == "model.onnx")
    manifest.files.remove(graph)
    (folder / "model.yaml").write_text(to_yaml(manifest))
    (folder / "model.onnx").unlink()


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (path_by_its_parent, "tiny version 1: ../1/parity.npz is no plain file name"),
        (no_graph, "tiny version 1: model.onnx is not among the files"),
        (changed_graph, "tiny version 1: model.onnx is not what was published"),
        (other_answers, "tiny version 1: output 'probabilities', row"),
        (missing_file, "tiny version 1: parity.npz cannot be read"),
        (added_file, "tiny version 1: notes.txt is not in the manifest"),
        (other_manifest, "tiny version 1: model.yaml is that of 'tiny' version 2"),
    ],
)
def test_what_is_not_right_is_named_in_one_line(
    models: Path, capsys: pytest.CaptureFixture[str], fault: Callable[[Path], None], says: str
) -> None:
    fault(models / "tiny" / "1")
    assert verified(models) == 1
    error = capsys.readouterr().err
    assert error.startswith(says)
    assert error.count("\n") == 1


def test_one_version_can_be_looked_at_alone(models: Path) -> None:
    changed_graph(models / "tiny" / "1")
    assert verified(models, "tiny", "--model-version", "2") == 0


def test_a_model_that_is_not_there_is_one_line(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verified(models, "nosuch") == 1
    assert "does not have 'nosuch'" in capsys.readouterr().err


def test_a_signature_is_over_the_manifest_and_lies_beside_it(models: Path, key_file: Path) -> None:
    assert signed(models, key_file) == 0
    folder = models / "tiny" / "1"
    line = (folder / "model.yaml.sig").read_bytes()
    public = read_private_key(key_file).public_key()
    public.verify(base64.b64decode(line), (folder / "model.yaml").read_bytes())  # raises where it is none
    assert verified(models) == 0


def test_what_is_signed_is_the_manifest_that_was_found_right(models: Path, key_file: Path) -> None:
    folder, key = models / "tiny" / "1", read_private_key(key_file)
    found_right = read_published(folder).manifest_bytes
    other_manifest(folder)
    sign_version(folder, found_right, key)
    key.public_key().verify(base64.b64decode((folder / "model.yaml.sig").read_bytes()), found_right)  # else it raises


def test_the_graph_that_runs_is_the_one_whose_digest_was_right(tiny, models: Path) -> None:
    published = read_published(models / "tiny" / "1")
    changed_graph(models / "tiny" / "1")
    assert published.graph() == tiny.graph()


def test_weights_that_lie_beside_a_graph_are_those_whose_digest_was_right(tiny, tmp_path: Path) -> None:
    model = onnx.load_model_from_string(tiny.graph())
    (weights,) = model.graph.initializer
    expected, weights.data_location = weights.raw_data, onnx.TensorProto.EXTERNAL
    weights.ClearField("raw_data")
    weights.external_data.add(key="location", value="weights.bin")
    files = {"weights.bin": expected}
    folder = publish(tiny.draft(), model.SerializeToString(), files, tmp_path)
    published = read_published(folder)
    (folder / "weights.bin").write_bytes(bytes(len(expected)))
    assert onnx.load_model_from_string(published.graph()).graph.initializer[0].raw_data == expected


def test_a_second_key_adds_its_signature_and_the_same_one_adds_none(
    models: Path, key_file: Path, tmp_path: Path
) -> None:
    next_key = tmp_path / "next.pem"
    next_key.write_bytes(pem(Ed25519PrivateKey.generate()))
    assert [signed(models, key) for key in (key_file, next_key, key_file)] == [0, 0, 0]
    assert len((models / "tiny" / "1" / "model.yaml.sig").read_bytes().splitlines()) == 2


def test_a_version_whose_files_are_not_right_is_not_signed(
    models: Path, key_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed_graph(models / "tiny" / "1")
    assert signed(models, key_file, "--model-version", "1") == 1
    assert "not signed: model.onnx is not what was published" in capsys.readouterr().err
    assert not (models / "tiny" / "1" / "model.yaml.sig").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read: No such file"),
        (b"no key", "is no private key in PEM"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "is a key of another kind"),
        (pem(Ed25519PrivateKey.generate(), b"secret"), "has a password"),
    ],
    ids=["absent", "text", "elliptic curve", "password"],
)
def test_a_key_that_cannot_sign_is_one_line(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, says: str
) -> None:
    path = tmp_path / "bad.pem"
    if content is not None:
        path.write_bytes(content)
    assert signed(models, path) == 1
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_an_export_with_a_key_appears_signed(tiny, tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    folder = publish(tiny.draft(), tiny.graph(), {}, tmp_path, key)
    signature = base64.b64decode((folder / "model.yaml.sig").read_bytes())
    key.public_key().verify(signature, (folder / "model.yaml").read_bytes())


def test_a_file_of_the_user_cannot_pass_for_the_signature(tiny, tmp_path: Path) -> None:
    from exporter.errors import ManifestError

    with pytest.raises(ManifestError, match=r"model\.yaml\.sig"):
        publish(tiny.draft(), tiny.graph(), {"model.yaml.sig": b""}, tmp_path)


def test_files_are_not_laid_out_beside_the_folder_of_the_graph(tiny) -> None:
    with pytest.raises(SourceError, match=r"\.\./1/w\.bin leads out"):
        of_bytes("model.onnx", {"model.onnx": tiny.graph(), "../1/w.bin": b""})
