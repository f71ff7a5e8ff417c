"""Arrays by name, and the .npz files that carry them between a caller, the exporter and a conversion process.

A file holds plain arrays alone: nothing that is pickled is read or written, so texts travel as numpy's fixed-width
strings and are objects in memory, as ONNX Runtime and the frameworks want them.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from exporter.errors import SourceError
from exporter.foreign import told

Array: TypeAlias = NDArray[np.generic]
# Tensors by name, [N, ...] each.
Rows: TypeAlias = Mapping[str, Array]


def read_arrays(path: Path) -> dict[str, Array]:
    """The arrays of an .npz file in its order. Raises SourceError; nothing pickled is read."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: np.asarray(archive[name]) for name in archive.files}
    except (OSError, ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise SourceError(f"{path.name} cannot be read as .npz of plain arrays: {told(error)}") from error
    return {name: values.astype(object) if values.dtype.kind == "U" else values for name, values in arrays.items()}


def write_arrays(path: Path, arrays: Rows) -> None:
    """What `read_arrays` reads back: [N, ...] each, numbers or texts."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, _plain(values), allow_pickle=False)


def _plain(values: Array) -> Array:
    return values.astype(np.str_) if values.dtype.kind == "O" else values
