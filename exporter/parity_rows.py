"""Rows and the source's own answers to them, kept with a version: who has the folder can compare again without the
source.

The file is small by rule: few rows, spread evenly over those that were compared, and fewer still where a row is large.
Texts are kept as UTF-8 and where each ends, because numpy's own texts lose NULs and its objects are pickles. Services
do not read the file; its digest is in the manifest like any other.
"""

import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from exporter.errors import ManifestError
from exporter.parity import Array
from exporter.verify import Rows

PARITY_FILE = "parity.npz"
MAX_ROWS = 64
# A version is to fit into a ConfigMap, which holds 1 MiB. One row is kept whatever its size.
MAX_BYTES = 128 * 1024

_TEXT, _ENDS = "utf8", "ends"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the graph and its source were both asked: input -> [N, ...], and what the source said: output -> [N, ...].

    Rows of one comparison run in one batch: rows of another length are another comparison.
    """

    rows: Rows
    reference: Rows


def kept(comparisons: Sequence[Comparison], *, max_rows: int = MAX_ROWS, max_bytes: int = MAX_BYTES) -> bytes:
    """The contents of PARITY_FILE: at most `max_rows` in all, at least one a comparison, in `max_bytes` if it can."""
    limit = max(1, max_rows // max(1, len(comparisons)))
    content = _archive(comparisons, limit)
    while len(content) > max_bytes and limit > 1:
        limit //= 2
        content = _archive(comparisons, limit)
    return content


def read(content: bytes, file: str = PARITY_FILE) -> list[Comparison]:
    """The comparisons that `kept` put into `file`. Raises ManifestError where it is none."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {name: np.asarray(archive[name]) for name in archive.files}
        count = len({name.split("/", 1)[0] for name in arrays})
        found = [
            Comparison(_tensors(arrays, f"{number}/in/"), _tensors(arrays, f"{number}/out/")) for number in range(count)
        ]
    except (EOFError, OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile) as error:
        raise ManifestError(f"{file} cannot be read: export the model again") from error
    if not found:
        raise ManifestError(f"{file} holds no rows: export the model again")
    return found


def _archive(comparisons: Sequence[Comparison], limit: int) -> bytes:
    arrays: dict[str, Array] = {}
    for number, comparison in enumerate(comparisons):
        for kind, tensors in (("in", comparison.rows), ("out", comparison.reference)):
            for name, values in tensors.items():
                arrays.update(_stored(f"{number}/{kind}/{name}", values[_spread(len(values), limit)]))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, values, allow_pickle=False)
    return buffer.getvalue()


def _spread(row_count: int, limit: int) -> Array:
    """Positions of at most `limit` rows, the first and the last among them where there is room."""
    return np.unique(np.linspace(0, row_count - 1, min(limit, row_count)).astype(np.int64))


def _stored(name: str, values: Array) -> Iterator[tuple[str, Array]]:
    if values.dtype.kind not in "OUS":
        yield name, values
        return
    encoded = [str(element).encode() for element in values.ravel().tolist()]
    ends = np.cumsum([len(element) for element in encoded], dtype=np.int64)
    yield f"{name}/{_TEXT}", np.frombuffer(b"".join(encoded), np.uint8)
    yield f"{name}/{_ENDS}", ends.reshape(values.shape)


def _tensors(arrays: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    found: dict[str, Array] = {}
    for path, values in arrays.items():
        name, _, part = path.removeprefix(prefix).partition("/")
        if not path.startswith(prefix) or part == _ENDS:
            continue
        found[name] = _texts(values.tobytes(), arrays[f"{prefix}{name}/{_ENDS}"]) if part == _TEXT else values
    return found


def _texts(utf8: bytes, ends: Array) -> Array:
    texts = np.empty(ends.size, object)
    start = 0
    for position, end in enumerate(ends.ravel().tolist()):
        texts[position] = utf8[start:end].decode()
        start = end
    return texts.reshape(ends.shape)
