"""Data with the right answers, in the forms that people have: a table, a folder of images a class, tensors.

CSV for tables and texts: one column has the right answer, the others are the model's columns, or one is the text. For
images a folder with a sub-folder a class, or a CSV of paths, relative to it, and answers. `.npz` for tensors: an array
an input of the graph, and one with the answers. Only what cannot be read is refused here: whether the values make sense
is the service's to say.
"""

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from argosy.v1.manifest_pb2 import ModelManifest
from argosy_cli.errors import misuse
from argosy_cli.inputs import Cell, read_csv, read_rows
from argosy_cli.questions import Modality, verb_for
from argosy_client.tensors import Array

_IMAGE_SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".webp", ".bmp"))
# What a column is called where nobody names it.
_INPUT_COLUMNS = {Modality.TEXT: ("text", "sentence"), Modality.IMAGE: ("path", "image", "file")}
_ANSWER_COLUMNS = ("label", "target", "class", "answer")


@dataclass(frozen=True, slots=True)
class Labelled:
    """Inputs of one kind, and the right answer to each as it was written."""

    answers: Sequence[str]
    images: Sequence[Path] = ()
    texts: Sequence[str] = ()
    rows: Sequence[Mapping[str, Cell]] = ()
    tensors: Mapping[str, Array] | None = None


def read_labelled(manifest: ModelManifest, data: Path, target: str) -> Labelled:
    """What `data` holds for the model. Raises CliError where it cannot be read or holds nothing."""
    modality = verb_for(manifest).modality
    if not data.exists():
        raise misuse(f"there is no {data}: give a .csv, a folder of images with a sub-folder a class, or an .npz")
    if data.is_dir():
        labelled = _folder(modality, data)
    elif data.suffix.lower() == ".npz":
        labelled = _tensors(manifest, data, target)
    elif modality is Modality.TABLE:
        labelled = _table(manifest, data, target)
    else:
        labelled = _listed(modality, data, target)
    if not labelled.answers:
        raise misuse(f"{data} holds no rows")
    return labelled


def _folder(modality: Modality, data: Path) -> Labelled:
    if modality is not Modality.IMAGE:
        raise misuse(f"{data} is a folder: this model reads no images, give a .csv or an .npz")
    images = sorted(path for path in data.glob("*/*") if path.suffix.lower() in _IMAGE_SUFFIXES)
    if not images:
        raise misuse(f"{data} has no images: a sub-folder a class is needed, named as the class, with images in it")
    return Labelled([path.parent.name for path in images], images=images)


def _table(manifest: ModelManifest, data: Path, target: str) -> Labelled:
    rows = [dict(row.values) for row in read_rows([str(data)], manifest.table.columns)]
    own = {column.name for column in manifest.table.columns}
    chosen = target or _only([name for name in (rows[0] if rows else ()) if name not in own], data)
    answers = []
    for number, row in enumerate(rows, 1):
        answer = row.pop(chosen, None)
        if answer is None:
            raise misuse(f"{data.name}:{number}: no right answer in column '{chosen}'")
        answers.append(str(answer))
    return Labelled(answers, rows=rows)


def _listed(modality: Modality, data: Path, target: str) -> Labelled:
    records = [record for _, record in read_csv(str(data))]
    columns = list(records[0] if records else ())
    answer = target or next((name for name in columns if name.lower() in _ANSWER_COLUMNS), "")
    others = [name for name in columns if name != answer]
    usual = [name for name in others if name.lower() in _INPUT_COLUMNS[modality]]
    given = (usual or others or [""])[0]
    if answer not in columns or (not usual and len(others) != 1):
        wanted = f"'{_INPUT_COLUMNS[modality][0]}' and one of right answers ('{_ANSWER_COLUMNS[0]}', or --target)"
        raise misuse(f"{data} has columns {', '.join(columns) or 'none'}: a column {wanted} is needed")
    answers = [record[answer] or "" for record in records]
    inputs = [record[given] or "" for record in records]
    if modality is Modality.TEXT:
        return Labelled(answers, texts=inputs)
    return Labelled(answers, images=[data.parent / path for path in inputs])


def _tensors(manifest: ModelManifest, data: Path, target: str) -> Labelled:
    arrays = _arrays(data)
    inputs = {spec.name for spec in manifest.inputs}
    if missing := sorted(inputs - arrays.keys()):
        raise misuse(f"{data} has no array '{missing[0]}', which the model reads; it has {', '.join(sorted(arrays))}")
    chosen = target or _only([name for name in arrays if name not in inputs], data)
    if chosen not in arrays:
        raise misuse(f"{data} has no array '{chosen}' of right answers; it has {', '.join(sorted(arrays))}")
    if scalars := [name for name in (*sorted(inputs), chosen) if not arrays[name].ndim]:
        raise misuse(f"{data}: array '{scalars[0]}' has no rows: it is one value")
    counts = {name: len(arrays[name]) for name in (*sorted(inputs), chosen)}
    if len(set(counts.values())) != 1:
        raise misuse(f"{data}: every array needs one row an answer, got {counts}")
    right = arrays[chosen]
    if right.size != len(right):
        raise misuse(f"{data}: array '{chosen}' has shape {list(right.shape)}: one right answer a row is needed")
    return Labelled([str(value) for value in right.ravel().tolist()], tensors={name: arrays[name] for name in inputs})


def _arrays(data: Path) -> dict[str, Array]:
    try:
        with np.load(data, allow_pickle=False) as archive:
            return {name: np.asarray(archive[name]) for name in archive.files}
    # TypeError: it is a single array, whatever its name says.
    except (EOFError, OSError, TypeError, ValueError, zipfile.BadZipFile, zlib.error):
        raise misuse(f"{data} cannot be read as .npz of plain arrays") from None


def _only(candidates: Sequence[str], data: Path) -> str:
    if len(candidates) != 1:
        which = f"{', '.join(candidates)} could all be it" if candidates else "there is none besides the model's own"
        raise misuse(f"{data}: which column has the right answers? {which}: name it with --target")
    return candidates[0]
