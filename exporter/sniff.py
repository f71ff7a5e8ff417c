"""What a source is, by looking into it: a name is a hint that anyone can get wrong, as in a pickle called model.onnx.

A pickle, and an object of a module, run code when they are read. So what is neither known nor harmless is told apart
here, before anything of it is loaded. Nothing here parses a model: the framework's own module does, and complains.
"""

import gzip
import json
import zipfile
import zlib
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

from exporter.errors import SourceError

# Sources that tell their framework only once they are loaded.
OBJECT, PICKLE = "object", "pickle"
FRAMEWORKS = (
    "keras",
    "tensorflow",
    "tfjs",
    "tflite",
    "pytorch",
    "scikit-learn",
    "xgboost",
    "lightgbm",
    "onnx",
    "tokenizers",
)

_HEAD_BYTES = 4096
_COMPRESSED_PICKLES = {".joblib", ".pkl", ".pickle", ".gz", ".z", ".bz2", ".xz", ".lzma", ".lz4"}
# Members of a module pickled whole, and of a .pt2 as the versions of torch.export name it.
_READ_BY_PICKLE = {"data.pkl", "archive_format", "serialized_exported_program.json", "models/model.json"}


@dataclass(frozen=True, slots=True)
class Kind:
    """A framework, or PICKLE or OBJECT; `runs_code` where reading it runs what it brings along."""

    framework: str
    runs_code: bool = False


def kind_of(source: str) -> Kind:
    """Raises SourceError for what is not there, is empty or cut short, or is nothing that can be exported."""
    path = Path(source)
    if path.is_dir():
        return _of_folder(path)
    if path.is_file():
        return _of_file(path)
    module, colon, name = source.partition(":")
    if colon and all(part.isidentifier() for part in [*module.split("."), name]):
        return Kind(OBJECT, runs_code=True)
    if "/" in source or "." in source:
        raise SourceError(f"there is no file {source}")
    raise SourceError(f"{source} is neither a file or folder nor an object like package.module:name")


def _of_folder(folder: Path) -> Kind:
    if (folder / "saved_model.pb").is_file():
        return Kind("tensorflow")
    if (folder / "model.json").is_file():
        return _of_file(folder / "model.json")
    raise SourceError(f"the folder {folder.name} has neither saved_model.pb (TensorFlow) nor model.json (TF.js)")


def _of_file(path: Path) -> Kind:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    if not head:
        raise SourceError(f"{path.name} is empty")
    return _by_magic(path, head) or _by_text(path, head) or _by_compression(path, head) or _last_guess(path, head)


def _by_magic(path: Path, head: bytes) -> Kind | None:
    if head.startswith(b"PK\x03\x04"):
        return _of_archive(path)
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return Kind("keras")
    if head[4:8] == b"TFL3":
        return Kind("tflite")
    if head[0] == 0x80 and head[1:2] in {b"\x02", b"\x03", b"\x04", b"\x05"}:
        return Kind(PICKLE, runs_code=True)
    if head.startswith(b"{L") and b"learner" in head:  # UBJSON
        return Kind("xgboost")
    return None


def _of_archive(path: Path) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        raise SourceError(f"{path.name} is cut short or damaged: copy it again") from error
    inner = {name.split("/", 1)[-1] for name in names}
    if "config.json" in names and any(name.startswith("model.weights") for name in names):
        return Kind("keras")
    if is_torch_script(inner):
        return Kind("pytorch")
    # Anyone can add a member: the name of another format takes nothing from what PyTorch unpickles of this one.
    if inner & _READ_BY_PICKLE:
        return Kind("pytorch", runs_code=True)
    if any(name.endswith(".npy") for name in names):
        raise SourceError(f"{path.name} holds arrays and no model: give it as --samples")
    raise SourceError(f"{path.name} is an archive, and neither of Keras nor of PyTorch")


def is_torch_script(members: Set[str]) -> bool:
    """By the members of a PyTorch archive, told without its first folder."""
    return "constants.pkl" in members and any(name.startswith("code/") for name in members)


def _by_text(path: Path, head: bytes) -> Kind | None:
    if head.lstrip().startswith(b"{"):
        return _of_json(path, path.read_bytes())
    if head.startswith(b"tree\n"):
        return Kind("lightgbm")
    if head[8:9] == b"{":
        raise SourceError(
            f"{path.name} holds weights (safetensors) and no model: give the module as package.module:name"
        )
    return None


def _of_json(path: Path, text: bytes) -> Kind:
    try:
        keys = json.loads(text).keys()
    except (ValueError, AttributeError) as error:
        raise SourceError(f"{path.name} is JSON that is cut short or damaged: copy it again") from error
    if "modelTopology" in keys:
        return Kind("tfjs")
    if "learner" in keys:
        return Kind("xgboost")
    if {"model", "pre_tokenizer"} <= keys:
        return Kind("tokenizers")
    raise SourceError(f"{path.name} is JSON, and neither a TF.js nor an XGBoost model nor a tokenizer")


def _by_compression(path: Path, head: bytes) -> Kind | None:
    if head.startswith(b"\x1f\x8b"):
        try:
            inner = gzip.decompress(path.read_bytes())
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(f"{path.name} is cut short or damaged: copy it again") from error
        return _of_json(path, inner) if inner.lstrip().startswith(b"{") else Kind(PICKLE, runs_code=True)
    # joblib compresses with whatever it is told to; only the name says that it was joblib.
    return Kind(PICKLE, runs_code=True) if path.suffix.lower() in _COMPRESSED_PICKLES else None


def _last_guess(path: Path, head: bytes) -> Kind:
    """ONNX has no magic number: a message whose first field is the IR version, a small number."""
    if path.suffix.lower() == ".onnx" or (head[0] == 0x08 and head[1:2] < b"\x20"):
        return Kind("onnx")
    raise SourceError(
        f"{path.name} is nothing that can be exported: {', '.join(FRAMEWORKS)} or a pickle of their models"
    )
