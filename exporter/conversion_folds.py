"""What a conversion process is asked for a K-fold, and what it leaves: the files of `conversion.py`, a fold each."""

from dataclasses import dataclass
from pathlib import Path

from exporter.arrays import Array, Rows, read_arrays, write_arrays
from exporter.conversion import LEFT_NOTHING, raise_refusal
from exporter.errors import SourceError

_SPLIT = "split.npz"


@dataclass(frozen=True, slots=True)
class Split:
    """For a K-fold: the right answer to each of the samples (class indices or numbers) and the fold that it is in."""

    truth: Array
    fold: Array

    def count(self) -> int:
        return int(self.fold.max()) + 1


@dataclass(frozen=True, slots=True)
class Fold:
    """The graph of what was fitted without the rows of a fold, and the fitted source's answers to these rows."""

    graph: bytes
    answers: Rows


def write_split(folder: Path, split: Split) -> None:
    write_arrays(folder / _SPLIT, {"truth": split.truth, "fold": split.fold})


def read_split(folder: Path) -> Split | None:
    """None: the request is for the model as it is, not for a K-fold."""
    return Split(**read_arrays(folder / _SPLIT)) if (folder / _SPLIT).is_file() else None


def write_fold(folder: Path, number: int, fold: Fold) -> None:
    (folder / f"fold-{number}.onnx").write_bytes(fold.graph)
    write_arrays(folder / f"fold-{number}.npz", fold.answers)


def read_folds(folder: Path, count: int) -> list[Fold]:
    """What a process left of a K-fold. Raises as `read_conversion`."""
    try:
        raise_refusal(folder)
        graphs = [(folder / f"fold-{number}.onnx").read_bytes() for number in range(count)]
        return [Fold(graph, read_arrays(folder / f"fold-{number}.npz")) for number, graph in enumerate(graphs)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(LEFT_NOTHING) from error
